"""Reading a request body within limits, and noticing when the client leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from localai.domain.batches import begun
from localai.domain.errors import BodyIncomplete, BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from starlette.types import Receive, Scope

MEGABYTE = 1_000_000
_IDLE_S = 30.0
_DRAIN_LIMIT_BYTES = 512 * 1024 * 1024
_DRAIN_S = 30.0


class HungUp(Exception):
    """The client left before its request was complete; there is nobody to answer."""


async def read_body(scope: Scope, receive: Receive, *, limit_bytes: int) -> bytes:
    """The whole body.

    Raises BodyTooLarge (the rest is read and thrown away first, so that the client gets to read
    the answer), BodyIncomplete when nothing comes for 30 s, HungUp.
    """
    declared = declared_length(scope)
    pieces: list[bytes] = []
    size = 0
    more = True
    if declared > limit_bytes:
        await drain(receive, declared)
        raise BodyTooLarge(limit_bytes=limit_bytes)
    while more:
        piece, more = await next_piece(receive)
        size += len(piece)
        if size > limit_bytes:
            await drain(receive)
            raise BodyTooLarge(limit_bytes=limit_bytes)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def next_piece(receive: Receive) -> tuple[bytes, bool]:
    """The next bytes of the body, and whether more come. Raises BodyIncomplete, HungUp."""
    message, rest = begun(receive())
    if rest is not None:  # most bodies are there with their head, and need no clock
        try:
            async with asyncio.timeout(_IDLE_S):
                message = await rest
        except TimeoutError:
            raise BodyIncomplete(timeout_s=_IDLE_S) from None
    if message["type"] == "http.disconnect":
        raise HungUp
    return message.get("body", b""), message.get("more_body", False)


async def drain(receive: Receive, expected: int = 0) -> None:
    """Throw away the rest of a body, so that a client that is still sending reads the answer.

    One that is announced to be endless is not waited for. Raises HungUp.
    """
    if expected > _DRAIN_LIMIT_BYTES:
        return
    try:
        async with asyncio.timeout(_DRAIN_S):
            size, more = 0, True
            while more and size <= _DRAIN_LIMIT_BYTES:
                piece, more = await next_piece(receive)
                size += len(piece)
    except (TimeoutError, BodyIncomplete):
        return


def declared_length(scope: Scope) -> int:
    """The length that the caller announced, in bytes; 0 when it said none."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


async def until_hung_up(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run `work`; cancel it when the client disconnects."""
    running = asyncio.current_task()
    assert running is not None
    has_hung_up = False

    async def watch() -> None:
        nonlocal has_hung_up
        await _disconnect(receive)
        has_hung_up = True
        running.cancel()

    watching: asyncio.Task[None] | None = None

    def begin() -> None:
        nonlocal watching
        watching = asyncio.create_task(watch())

    beginning = asyncio.get_running_loop().call_soon(begin)  # when `work` waits for the first time
    try:
        await work
    except asyncio.CancelledError:
        if not has_hung_up:
            raise
        running.uncancel()
    finally:
        beginning.cancel()
        if watching is not None:
            watching.cancel()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

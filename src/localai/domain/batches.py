"""A stream on its way through the server, as batches of items that arrived together.

Batches are pushed: whoever reads the socket hands each one to a function, which hands it on. No
task is switched and no generator resumed for a token, which would cost more than all that is done
with it. Those who would rather pull, iterate.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing
from typing import Any, Generic, Self, TypeVar

_MOST_WAITING = 64  # batches that were pushed and not pulled yet

Item = TypeVar("Item")

# Takes a batch. What it returns, if anything, must be awaited before it is given the next one.
Take = Callable[[Sequence[Item]], Awaitable[None] | None]


class Batches(AsyncIterator[Sequence[Item]], Generic[Item]):
    """The batches that `deliver` pushes. They can be had once, by `into` or by iterating.

    Who iterates must see to `aclose`, best with `contextlib.aclosing`.
    """

    def __init__(self, deliver: Callable[[Take[Item]], Awaitable[None]]) -> None:
        self._deliver = deliver
        self._pulled: AsyncGenerator[Sequence[Item], None] | None = None

    async def into(self, take: Take[Item]) -> None:
        """Hand every batch to `take` as it arrives. Raises what breaks the stream, or `take`."""
        await self._deliver(take)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Item]:
        if self._pulled is None:
            self._pulled = _pulled(self._deliver)
        return await anext(self._pulled)

    async def aclose(self) -> None:
        """End the stream; what was pushed and not pulled is lost."""
        if self._pulled is not None:
            await self._pulled.aclose()


def batches_of(generator: AsyncGenerator[Sequence[Item], None]) -> Batches[Item]:
    """The batches that an asynchronous generator gives."""

    async def deliver(take: Take[Item]) -> None:
        async with aclosing(generator):
            async for batch in generator:
                await taken(take, batch)

    return Batches(deliver)


async def taken(take: Take[Item], batch: Sequence[Item]) -> None:
    """Hand over one batch, and wait as long as `take` wants."""
    pending = take(batch)
    if pending is not None:
        await pending


def at_once(work: Generator[Any, Any, Any] | Any) -> Awaitable[None] | None:
    """Run the coroutine `work` up to where it must wait.

    None when it has ended, which most do that send something; else its rest, to be awaited.
    """
    try:
        waited = work.send(None)
    except StopIteration:
        return None
    return _Rest(work, waited)


def begun(work: Generator[Any, Any, Any] | Any) -> tuple[Any, Awaitable[Any] | None]:
    """Run the coroutine `work` up to where it must wait: what it gave, and its rest if there is one."""
    try:
        waited = work.send(None)
    except StopIteration as ended:
        return ended.value, None
    return None, _Rest(work, waited)


class _Rest(Generator[Any, Any, None]):
    """What is left of a coroutine that has begun outside of a task."""

    __slots__ = ("_waited", "_work")

    def __init__(self, work: Any, waited: Any) -> None:
        self._work = work
        self._waited = [waited]  # what it waits for, as a coroutine tells it to a task

    def __await__(self) -> Self:
        return self

    def send(self, value: Any) -> Any:
        if not self._waited:
            return self._work.send(value)
        return self._waited.pop()

    def throw(self, *error: Any) -> Any:
        return self._work.throw(*error)

    def close(self) -> None:
        self._work.close()


async def _pulled(
    deliver: Callable[[Take[Item]], Awaitable[None]],
) -> AsyncGenerator[Sequence[Item], None]:
    waiting: deque[Sequence[Item]] = deque()
    changed = asyncio.Event()
    has_room = asyncio.Event()

    def take(batch: Sequence[Item]) -> Awaitable[Any] | None:
        waiting.append(batch)
        changed.set()
        if len(waiting) < _MOST_WAITING:
            return None
        has_room.clear()
        return has_room.wait()

    async def push() -> None:
        try:
            await deliver(take)
        finally:
            changed.set()

    pushing = asyncio.create_task(push())
    try:
        while True:
            while waiting:
                yield waiting.popleft()
                has_room.set()
            if pushing.done():
                await pushing
                return
            changed.clear()
            await changed.wait()
    finally:
        pushing.cancel()
        await asyncio.wait([pushing])
        if not pushing.cancelled():
            pushing.exception()  # it was raised above, or nobody wants to know

"""A server on a real socket that says exactly what a test tells it to, and notes what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from localai.wire.http_client import HttpClient
from tests.live import PATIENCE_S

Script = Callable[["Line"], Awaitable[None]]
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Line:
    """One accepted connection. `number` counts them from 0."""

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number
        self.writer = writer
        self._reader = reader

    async def request(self) -> bytes:
        """The next request, head and body; empty when the caller has hung up."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return head + await self._reader.readexactly(length)

    async def say(self, data: bytes) -> None:
        """Send this now, in a packet of its own."""
        self.writer.write(data)
        await self.writer.drain()

    async def hung_up(self) -> bool:
        """Wait until the caller hangs up; whether it did in time."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self._reader.read(1), PATIENCE_S) == b""
        return True

    def hang_up(self) -> None:
        """Close, with whatever was not read still there."""
        with contextlib.suppress(AttributeError):  # asyncio's, for one that is closed already
            self.writer.transport.abort()


class Scripted:
    """The server: what it was asked on all lines, and how to reach it."""

    def __init__(self, address: str, server: asyncio.Server, path: Path | None) -> None:
        self.address = address
        self.lines: list[Line] = []
        self.asked: list[bytes] = []
        self._server = server
        self._path = path

    def vanish(self) -> None:
        """Stop listening, as a process that has ended."""
        self._server.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def serving(script: Script, *, unix: bool = True) -> AsyncIterator[Scripted]:
    """Run `script` for each connection."""
    found: list[Scripted] = []
    answering: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answering.add(task)
        line = Line(len(found[0].lines), reader, writer)
        found[0].lines.append(line)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await script(line)
            writer.close()
        except asyncio.CancelledError:
            line.hang_up()
        finally:
            answering.discard(task)

    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as folder:
        path = Path(folder) / "s.sock" if unix else None
        if path is not None:
            server = await asyncio.start_unix_server(accept, path, limit=1 << 26, backlog=1000)
            address = f"unix:{path}"
        else:
            server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1 << 26)
            address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found.append(Scripted(address, server, path))
        try:
            yield found[0]
        finally:
            server.close()
            await asyncio.sleep(0.01)  # for what has just been accepted
            running = list(answering)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for line in found[0].lines:
                line.hang_up()
            await asyncio.sleep(0.01)  # for the sockets to be closed


def run(test: Coroutine[Any, Any, None], loop: str) -> None:
    """Run a test to its end on one of the two event loops."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(asyncio.wait_for(test, PATIENCE_S))


async def ask(client: HttpClient, path: str = "/x", body: bytes = b"{}") -> tuple[int, bytes]:
    """Status and body of one POST."""
    async with await client.post(path, body) as answer:
        return answer.status, await answer.whole()


def with_server(
    script: Callable[[Line], Awaitable[None]],
    test: Callable[[Scripted, HttpClient], Awaitable[None]],
    *,
    loop: str = "uvloop",
    unix: bool = True,
    **more: Any,
) -> None:
    """Run `test` with a client of a server that follows `script`."""

    async def running() -> None:
        async with serving(script, unix=unix) as server:
            client = HttpClient(server.address, token="secret", **more)
            try:
                await test(server, client)
            finally:
                await client.close()

    run(running(), loop)


def answering(*answers: bytes) -> Callable[[Line], Awaitable[None]]:
    """Give these answers, one for each request on a line, then hang up."""

    async def script(line: Line) -> None:
        for answer in answers:
            if not await line.request():
                return
            await line.say(answer)

    return script

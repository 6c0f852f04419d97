"""A worker's HTTP server on a real socket, with a handler of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from localai.worker.http_server import Exchange, HttpServer
from tests.live import PATIENCE_S
from tests.wire.scripted import run

TEXT = "text/plain"
POST = b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b"2\r\nhe\r\n3 ; a=b\r\nllo\r\n0\r\n\r\n"
)
GET = b"GET /a HTTP/1.1\r\nhost:x\r\n\r\n"
SAID = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nPOST /a hello"
Handler = Callable[[Exchange], Awaitable[None]]


async def repeat(exchange: Exchange) -> None:
    """Say what was asked."""
    request = exchange.request
    exchange.reply(200, f"{request.method} {request.path} ".encode() + request.body, TEXT)


class Running:
    """A listening server and what its handler has seen."""

    def __init__(self, server: HttpServer, address: Any) -> None:
        self.server = server
        self.address = address
        self.opened: list[asyncio.StreamWriter] = []

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection."""
        if isinstance(self.address, Path):
            made = await asyncio.open_unix_connection(self.address, limit=1 << 26)
        else:
            made = await asyncio.open_connection(*self.address, limit=1 << 26)
        self.opened.append(made[1])
        return made

    async def say(self, *pieces: bytes, pause_s: float = 0.0) -> bytes:
        """Everything that comes back for these bytes, until the server hangs up."""
        reader, writer = await self.open()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
            with contextlib.suppress(ConnectionError):
                return await asyncio.wait_for(reader.read(), PATIENCE_S)
            return b""
        except ConnectionError:
            return b""
        finally:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def listening(handler: Handler, *, unix: bool = True, **more: Any) -> AsyncIterator[Running]:
    server = HttpServer(handler, **more)
    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as folder:
        address: Any = Path(folder) / "s.sock"
        if unix:
            await server.listen_unix(str(address))
        else:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                address = free.getsockname()
            await server.listen_tcp(*address)
        found = Running(server, address)
        try:
            yield found
        finally:
            await server.close(grace_s=0.0)
            for writer in found.opened:
                with contextlib.suppress(
                    AttributeError
                ):  # asyncio's, for one that is closed already
                    writer.transport.abort()
            await asyncio.sleep(0.01)  # for the sockets to be closed


def with_server(
    handler: Handler,
    test: Callable[[Running], Awaitable[None]],
    *,
    loop: str = "uvloop",
    **more: Any,
) -> None:
    async def running() -> None:
        async with listening(handler, **more) as found:
            await test(found)

    run(running(), loop)


async def until(probe: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not probe():  # noqa: ASYNC110 - anything may be waited for
            await asyncio.sleep(0.01)


async def stream(exchange: Exchange) -> None:
    """Three pieces, and one with nothing in it."""
    for piece in (b"one ", b"", b"two "):
        await exchange.send(piece, TEXT)
        await asyncio.sleep(0)
    exchange.end(b"three", TEXT)


def close(request: bytes) -> bytes:
    """The same request as the last one of its connection."""
    return request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)

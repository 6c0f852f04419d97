"""The HTTP/1.1 server of a worker: asyncio and the standard library, nothing else.

One handler gets every request, whole. A caller who hangs up cancels it; one who does not read
slows it down, and is cut off in the end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from localai.worker.http_requests import Refused, Request, RequestReader

_log = logging.getLogger("localai.worker")
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_BACKLOG = 1024
_MOST_WAITING_BYTES = 1 << 16  # of requests sent before the last one was answered
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER_S = 2.0  # for a refused caller to read why, while it still sends


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a caller may take: bytes of a body, and seconds.

    `head_s` is for the head of a request, from its first byte or that of the connection; `body_s`
    for the next piece of a body; `read_s` for reading anything of an answer that waits.
    """

    body_bytes: int = 1 << 31
    head_s: float = 30.0
    body_s: float = 30.0
    read_s: float = 600.0


class HttpServer:
    """Serves `handler`; `admit` looks at a head before its body is read, and may raise Refused."""

    def __init__(
        self,
        handler: Callable[[Exchange], Awaitable[None]],
        *,
        admit: Callable[[Request], None] = lambda _request: None,
        limits: Limits = Limits(),
    ) -> None:
        self.handler = handler
        self.admit = admit
        self.limits = limits
        self.connections: set[_Connection] = set()
        self._listener: asyncio.AbstractServer | None = None

    async def listen_unix(self, path: str) -> None:
        """Listen on a Unix socket."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_unix_server(
            lambda: _Connection(self), path, backlog=_BACKLOG
        )

    async def listen_tcp(self, host: str, port: int) -> None:
        """Listen on TCP."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: _Connection(self), host, port, backlog=_BACKLOG, reuse_address=True
        )

    async def close(self, *, grace_s: float) -> None:
        """Take no more, let what runs end for `grace_s` seconds, then cancel it."""
        if self._listener is not None:
            self._listener.close()
        running = [c.task for c in self.connections if c.task is not None]
        for connection in list(self.connections):
            connection.close_when_idle()
        if running:
            await asyncio.wait(running, timeout=grace_s)
        for connection in list(self.connections):
            connection.abort()
        await asyncio.gather(*running, return_exceptions=True)


class Exchange:
    """One request, and the way back. Answer with `reply`, or with `send` and `end`."""

    __slots__ = ("_connection", "_has_begun", "has_ended", "request")

    def __init__(self, connection: _Connection, request: Request) -> None:
        self.request = request
        self.has_ended = False
        self._connection = connection
        self._has_begun = False

    def reply(self, status: int, body: bytes, media_type: str) -> None:
        """Answer with one body."""
        connection = self._connection
        self.has_ended = True
        connection.write(
            b"%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (connection.head(status), media_type.encode(), len(body), body)
        )

    async def send(self, data: bytes, media_type: str) -> None:
        """Send a piece of an answer, with the head before the first one.

        Waits while the caller does not read.
        """
        self.put(data, media_type)
        await self.room()

    def put(self, data: bytes, media_type: str) -> None:
        """Send as `send` does, without waiting."""
        connection = self._connection
        if not self._has_begun:
            self._has_begun = True
            connection.write(self._streaming_head(media_type) + connection.chunk(data))
        else:
            connection.write(connection.chunk(data))

    @property
    def is_full(self) -> bool:
        """Whether the caller does not read as fast as it is answered."""
        return self._connection.room is not None

    async def room(self) -> None:
        """Wait while the caller does not read."""
        if self._connection.room is not None:
            await self._connection.room

    def end(self, data: bytes, media_type: str) -> None:
        """Send the last piece."""
        connection = self._connection
        head = b"" if self._has_begun else self._streaming_head(media_type)
        self.has_ended = True
        connection.write(head + connection.chunk(data) + connection.last_chunk)

    def _streaming_head(self, media_type: str) -> bytes:
        connection = self._connection
        chunked = b"Transfer-Encoding: chunked\r\n" if connection.last_chunk else b""
        return b"%bContent-Type: %b\r\n%b\r\n" % (
            connection.head(200),
            media_type.encode(),
            chunked,
        )


class _Connection(asyncio.Protocol):
    """One connection. One request is handled at a time; the next one waits in the reader."""

    def __init__(self, server: HttpServer) -> None:
        self.task: asyncio.Task[None] | None = None
        self.room: asyncio.Future[None] | None = None  # while the caller does not read
        self.last_chunk = b"0\r\n\r\n"  # empty for a caller of HTTP/1.0, which knows no chunks
        self._server = server
        self._reader = RequestReader(most_body_bytes=server.limits.body_bytes)
        self._request: Request | None = None  # whose body is coming
        self._transport: Any = None  # asyncio's or uvloop's
        self._timer: asyncio.TimerHandle | None = None
        self._unread_bytes = 0
        self._keeps = True
        self._is_closing = False
        self._is_paused = False

    # What an exchange needs

    def head(self, status: int) -> bytes:
        """The first lines of an answer."""
        phrase = _PHRASES[status]
        close = "" if self._keeps else "Connection: close\r\n"
        return f"HTTP/1.1 {status} {phrase}\r\n{close}".encode()

    def chunk(self, data: bytes) -> bytes:
        """A piece of an answer as this caller reads it. An empty chunk would end it."""
        return b"%x\r\n%b\r\n" % (len(data), data) if data and self.last_chunk else data

    def write(self, data: bytes) -> None:
        """Send, or keep until it can be sent."""
        if not self._is_closing:
            self._transport.write(data)

    # What the server needs

    def close_when_idle(self) -> None:
        """Answer what runs, and nothing more."""
        self._keeps = False
        if self.task is None:
            self._close()

    def abort(self) -> None:
        """Hang up at once."""
        self._is_closing = True
        if self in self._server.connections:  # else it is lost already
            self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected; a request is due."""
        self._transport = transport
        self._server.connections.add(self)
        made: socket.socket = transport.get_extra_info("socket")
        if made.family != getattr(socket, "AF_UNIX", None):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._wait(self._server.limits.head_s)

    def data_received(self, data: bytes) -> None:
        """Read on. A request that comes too early waits."""
        if self._is_closing:
            return
        self._reader.feed(data)
        if self.task is None:
            self._advance()
        elif self._reader.waiting_bytes > _MOST_WAITING_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - both ends are the same
        """The caller hung up: nobody waits for the answer."""
        self._is_closing = True
        self._server.connections.discard(self)
        self._stop_waiting()
        if self._request is not None and self._request.sink is not None:
            self._request.sink.close()
        if self.task is not None:
            self.task.cancel()
        self.resume_writing()

    def pause_writing(self) -> None:
        """The caller does not read as fast as it is answered."""
        if self.room is None:
            self.room = asyncio.get_running_loop().create_future()
            self._unread_bytes = self._transport.get_write_buffer_size()
            self._wait(self._server.limits.read_s)

    def resume_writing(self) -> None:
        """It has read."""
        room, self.room = self.room, None
        if room is not None:
            self._stop_waiting()
            if not room.done():
                room.set_result(None)

    # Requests, one after the other

    def _advance(self) -> None:
        """Read what is there; begin to answer when it is a whole request."""
        try:
            if self._request is None:
                self._request = self._reader.head()
                if self._request is not None:
                    self._admit(self._request)
                    self._reader.spill(self._request.sink)
            request = self._request
            if request is None:
                if self._timer is None and self._reader.waiting_bytes:
                    self._wait(self._server.limits.head_s)
                return
            body = self._reader.body()
        except OSError as error:  # the disk of a sink is full
            self._refuse(Refused(507, f"The body cannot be kept: {error}."))
            return
        except Refused as refused:
            self._refuse(refused)
            return
        if body is None:
            self._wait(self._server.limits.body_s)
            return
        request.body = body
        self._stop_waiting()
        self._request = None
        exchange = Exchange(self, request)
        self.task = asyncio.get_running_loop().create_task(self._answer(exchange))
        self.task.add_done_callback(self._answered)

    def _admit(self, request: Request) -> None:
        self._keeps = self._keeps and request.keeps
        self.last_chunk = b"" if request.is_1_0 else b"0\r\n\r\n"
        self._server.admit(request)
        if request.headers.get("expect", "").lower() == "100-continue":
            self._transport.write(_CONTINUE)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._server.handler(exchange)
        finally:
            if exchange.request.sink is not None:
                exchange.request.sink.close()
        if not (exchange.has_ended and self._keeps):
            self._close()

    def _answered(self, task: asyncio.Task[None]) -> None:
        self.task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("answering failed", exc_info=error)
            self.abort()
        if self._is_closing:
            return
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        self._advance()

    def _refuse(self, refused: Refused) -> None:
        """Say why, then read for a moment: a caller that still sends would not see the answer."""
        self._keeps = False
        text = f"{refused}\n".encode()
        self._transport.write(
            b"%bContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b"
            % (self.head(refused.status), len(text), text)
        )
        self._is_closing = True
        self._wait(_LINGER_S)

    def _close(self) -> None:
        """Hang up after what is written has been sent."""
        self._is_closing = True
        self._transport.close()
        self._wait(self._server.limits.read_s)

    # Time

    def _wait(self, seconds: float) -> None:
        """Expect something within `seconds`."""
        self._stop_waiting()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._too_late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if self.room is None and not self._is_closing:
            self._close()
            return
        unread_bytes = self._transport.get_write_buffer_size()
        if self.room is not None and unread_bytes < self._unread_bytes:  # slow, but it reads
            self._unread_bytes = unread_bytes
            self._wait(self._server.limits.read_s)
            return
        if self.room is not None:
            seconds = self._server.limits.read_s
            _log.warning("a caller left its answer unread for %g s and was cut off", seconds)
        self.abort()

"""A client of one HTTP/1.1 server on a Unix socket or TCP: a worker, or an engine's own server.

It keeps connections, hands out an answer while it still arrives, and says exactly what a broken
connection means: `NotReached` when asking again is safe, `CutShort` when the other side may have
begun. A server that closes an idle connection the moment it is used again is no error.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, Self
from urllib.parse import urlsplit

import httptools

from localai.wire.ends import Ends, arrived
from localai.wire.incoming import Incoming, TakeBytes

_UNIX = "unix:"
_MOST_KEPT = 64  # idle connections; each costs the other side a descriptor
_MOST_HEAD_BYTES = 1 << 16
_MOST_WAITING_BYTES = 1 << 18  # of an answer that nobody reads; then its connection is paused
_MOST_WHOLE_BYTES = 1 << 30
_FIRST_FINAL_STATUS = _OK = 200
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class NotReached(ConnectionError):
    """The request did not reach the program on the other side, so asking again is safe."""


class CutShort(ConnectionError):
    """The connection ended early. The request may have been read.

    `has_begun` says that a part of the answer had come.
    """

    def __init__(self, message: str, *, has_begun: bool) -> None:
        super().__init__(message)
        self.has_begun = has_begun


class NotHttp(ConnectionError):
    """The other side answered something that is not HTTP, or over its limits."""


class HttpClient:
    """Asks the server at `address`: `unix:/a/path`, `http://host:port` or `https://host:port`.

    `token` is sent as a bearer token. Answers may take for ever; limit the wait with
    `asyncio.timeout`. Cancelling closes the connection, which tells the server to stop.
    `reopens` is for connections that are used up by an answer, because the server closes them or
    this side hangs up early: the next one is opened then, and not when it is needed.
    """

    def __init__(
        self, address: str, *, token: str = "", connect_s: float = 10.0, reopens: bool = False
    ) -> None:
        self._address = address
        self._is_unix = address.startswith(_UNIX)
        self._path = address.removeprefix(_UNIX).removeprefix("//")
        self._url = urlsplit(address)
        self._connect_s = connect_s
        host = "localhost" if self._is_unix else self._url.netloc
        bearer = f"Authorization: Bearer {token}\r\n" if token else ""
        self._common = f"Host: {host}\r\n{bearer}".encode()
        self._kept: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._ends = Ends()
        self._reopens = reopens
        self._reopening: asyncio.Task[None] | None = None
        self._is_closed = False

    async def get(self, path: str) -> Answer:
        """Ask with GET. Raises as `post` does."""
        return await self._ask(b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), self._common))

    async def post(self, path: str, body: bytes, take: TakeBytes | None = None) -> Answer:
        """Send JSON with POST. The answer has its status, while its body may still be coming.

        `take`, which `Answer.follow` will be called with, gets what comes with the head of an
        answer of status 200 at once. Raises NotReached, CutShort, NotHttp. Use the answer as a
        context manager, or close it.
        """
        head = b"POST %b HTTP/1.1\r\n%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return await self._ask(head % (path.encode(), self._common, len(body)) + body, take)

    async def post_pieces(self, path: str, pieces: AsyncIterator[bytes]) -> Answer:
        """Send a body that is not in memory, as it comes, on a connection of its own.

        Nothing of it is sent twice. Raises as `post` does, and what `pieces` raises.
        """
        head = b"POST %b HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n"
        connection = await self._connect()
        return await connection.ask(head % (path.encode(), self._common), pieces=pieces)

    async def close(self) -> None:
        """Close all connections; answers that still arrive are cut short."""
        self._is_closed = True
        if self._reopening is not None:
            self._reopening.cancel()
        for connection in list(self._open):
            connection.abort()
        self._ends.close()

    def _used_up(self) -> None:
        """A connection has ended with its answer."""
        if not self._reopens or self._kept or self._is_closed:
            return
        if self._reopening is None or self._reopening.done():
            self._reopening = asyncio.get_running_loop().create_task(self._reopen())

    async def _reopen(self) -> None:
        with contextlib.suppress(NotReached):  # the next request will tell
            self._kept.append(await self._connect())

    async def _ask(self, message: bytes, take: TakeBytes | None = None) -> Answer:
        doubt: CutShort | None = None
        if self._kept:
            try:
                return await self._kept.pop().ask(message, take)
            except NotReached:
                pass
            except CutShort as error:  # most likely it was closed while idle, just now
                if error.has_begun:
                    raise
                doubt = error
        try:
            connection = await self._connect()
        except NotReached as error:
            if doubt is not None:  # the server is gone, and perhaps this very request was why
                raise doubt from error
            raise
        return await connection.ask(message, take)

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        self._check_open()
        is_safe = self._url.scheme == "https"
        try:
            async with asyncio.timeout(self._connect_s):
                if self._is_unix:
                    made = await loop.create_unix_connection(self._connection, self._path)
                else:
                    made = await loop.create_connection(
                        self._connection,
                        self._url.hostname or "localhost",
                        self._url.port or (443 if is_safe else 80),
                        ssl=True if is_safe else None,
                    )
        except (OSError, TimeoutError) as error:
            why = str(error) or f"no connection within {self._connect_s:g} s"
            message = f"{self._address} cannot be reached: {why}"
            raise NotReached(message) from error
        try:
            self._check_open()
        except NotReached:  # closed meanwhile
            made[1].abort()
            raise
        return made[1]

    def _check_open(self) -> None:
        if self._is_closed:
            message = f"The client of {self._address} is closed."
            raise NotReached(message)

    def _connection(self) -> _Connection:
        return _Connection(self._open, self._kept, self._used_up, self._ends, is_unix=self._is_unix)


class Answer:
    """The answer to one request, as it arrives."""

    __slots__ = ("_connection", "_incoming", "status")

    def __init__(self, connection: _Connection, incoming: Incoming) -> None:
        self.status = incoming.status
        self._connection = connection
        self._incoming = incoming

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def piece(self) -> bytes:
        """What has arrived since the last call, at least one byte; nothing at the end.

        Raises CutShort when the connection ended before the answer did, NotHttp.
        """
        incoming = self._incoming
        pieces = incoming.pieces
        while not pieces:
            if incoming.is_complete:
                return b""
            if incoming.error is not None:
                raise incoming.error
            await incoming.change()
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        incoming.waiting_bytes = 0
        self._go_on()
        return data

    async def follow(self, take: TakeBytes) -> None:
        """Hand every piece to `take` as it arrives, from within the event loop's own callback.

        What `take` returns, if anything, is awaited before it gets more. Returns at the end of the
        answer. Raises what `piece` raises, and what `take` raises.
        """
        incoming = self._incoming
        try:
            while True:
                if incoming.refusal is not None:
                    raise incoming.refusal
                if incoming.pending is not None:
                    pending, incoming.pending = incoming.pending, None
                    await pending
                if incoming.pieces:
                    incoming.take = take
                    incoming.hand_over()
                    self._go_on()
                elif incoming.is_complete:
                    return
                elif incoming.error is not None:
                    raise incoming.error
                else:
                    incoming.take = take
                    await incoming.change()
        finally:
            incoming.take = None
            incoming.drop()

    def rest(self, seconds: float) -> None:
        """Leave what comes in the kernel for a while, where it wakes nobody.

        The end of the connection ends a rest too. Does nothing where the kernel cannot tell that.
        """
        if not self._incoming.is_complete and self._incoming.error is None:
            self._connection.rest(seconds)

    def _go_on(self) -> None:
        """Read more, where there was no room for it."""
        if self._incoming.is_paused:
            self._incoming.is_paused = False
            self._connection.read_on()

    async def whole(self) -> bytes:
        """All that was not read yet. Raises as `piece` does, NotHttp when it is over 1 GiB."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.piece():
            pieces.append(piece)
            size += len(piece)
            if size > _MOST_WHOLE_BYTES:
                self.close()
                message = f"The answer is larger than {_MOST_WHOLE_BYTES} bytes."
                raise NotHttp(message)
        return b"".join(pieces)

    def close(self) -> None:
        """Read no more. Before the end of the answer this hangs up, which stops the other side."""
        if not self._incoming.is_complete and self._incoming.error is None:
            self._connection.abort()
            self._connection.used_up()


class _Connection(asyncio.Protocol):
    """One connection. At most one request is under way on it."""

    def __init__(
        self,
        opened: set[_Connection],
        kept: list[_Connection],
        used_up: Callable[[], None],
        ends: Ends,
        *,
        is_unix: bool,
    ) -> None:
        self._opened = opened
        self._kept = kept
        self.used_up = used_up  # called when an answer was the last one, whoever hung up
        self._ends = ends
        self._descriptor = -1
        self._is_encrypted = False
        self._has_answered = False
        self._is_unix = is_unix
        self._transport: Any = None  # asyncio's or uvloop's
        self._parser: Any = httptools.HttpResponseParser(self)
        self._incoming: Incoming | None = None
        self._pieces: list[bytes] = []
        self._room: asyncio.Future[None] | None = None  # while the other side does not read
        self._timer: asyncio.TimerHandle | None = None  # while this side does not read

    async def ask(
        self,
        message: bytes,
        take: TakeBytes | None = None,
        *,
        pieces: AsyncIterator[bytes] | None = None,
    ) -> Answer:
        """Send a request and wait for the head of its answer; `take` gets what comes with that.

        Whoever refuses a request may answer while its `pieces` are being sent; then no more are.
        """
        incoming = self._incoming = Incoming(take=take)
        self._pieces = incoming.pieces
        self._transport.write(message)
        try:
            if pieces is not None:
                await self._send(pieces, incoming)
            await incoming.head()
            incoming.is_answered = True
        except BaseException:
            incoming.drop()
            self.abort()
            raise
        return Answer(self, incoming)

    async def _send(self, pieces: AsyncIterator[bytes], incoming: Incoming) -> None:
        async for piece in pieces:
            if piece:
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if self._room is not None:
                await self._room
            if incoming.status or incoming.error is not None:
                return
        self._transport.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Hang up at once."""
        self._forget(CutShort("The connection was closed on this side.", has_begun=True))
        if self._parser is not None:  # else it is lost already
            self._transport.abort()

    def rest(self, seconds: float) -> None:
        """Be woken by nothing that comes for a while, but by the end."""
        if self._timer is not None or self._is_encrypted:  # what the kernel has is no answer then
            return
        if self._ends.watch(self._descriptor, self._rested):
            self._transport.pause_reading()
            self._timer = asyncio.get_running_loop().call_later(seconds, self._rested)

    def _rested(self) -> None:
        """Take what has come. Who rests again is not woken between, as a transport would be."""
        self._stop_timer()
        incoming = self._incoming
        if data := arrived(self._descriptor):
            self.data_received(data)
        if incoming is None or not incoming.is_paused:
            self._listen()

    def _listen(self) -> None:
        """Be woken again, if nobody wants to rest."""
        if self._timer is None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def read_on(self) -> None:
        """There is room again."""
        self._transport.resume_reading()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = transport
        self._opened.add(self)
        made: socket.socket = transport.get_extra_info("socket")
        self._descriptor = made.fileno()
        self._is_encrypted = transport.get_extra_info("sslcontext") is not None
        if not self._is_unix:  # a host that is gone without a word is noticed in the end
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """Something of the answer has come."""
        incoming = self._incoming
        if incoming is None:  # nobody asked
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            incoming.fail(NotHttp(f"The other side answered something that is not HTTP: {error}."))
            self.abort()
            return
        if not incoming.status:
            incoming.head_bytes += len(data)
            if incoming.head_bytes > _MOST_HEAD_BYTES:
                incoming.fail(NotHttp(f"The answer's head is over {_MOST_HEAD_BYTES} bytes."))
                self.abort()
            return
        if incoming.take is not None and incoming.pieces and incoming.status == _OK:
            incoming.hand_over()
            if incoming.is_complete or not incoming.is_answered:
                incoming.wake()
            return
        incoming.waiting_bytes += len(data)
        if incoming.waiting_bytes > _MOST_WAITING_BYTES and not incoming.is_complete:
            incoming.is_paused = True
            self._transport.pause_reading()
        incoming.wake()

    def pause_writing(self) -> None:
        """The other side reads more slowly than is sent."""
        self._room = self._room or asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """It has read."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side closed it, or this one did."""
        self.resume_writing()
        incoming = self._incoming
        has_begun = incoming is not None and incoming.has_begun
        if incoming is not None and incoming.status and not incoming.has_length and exc is None:
            incoming.is_complete = True  # an answer without a length ends with its connection
        if exc is not None and self._is_unix and not has_begun:
            # So the kernel reports an end that was closed before all of the request was read.
            self._forget(NotReached(f"The other side ended before it read the request: {exc}"))
        else:
            why = f": {exc}" if exc else ""
            self._forget(CutShort(f"The other side hung up{why}.", has_begun=has_begun))
        self._parser = None  # it knows this object, and both would wait for the garbage collector
        if self._has_answered and incoming is None:
            self.used_up()

    # What the parser calls

    def on_message_begin(self) -> None:
        """The first byte of a message; nothing may follow an answer unasked."""
        if self._incoming is None:
            message = "more than was asked for"
            raise ValueError(message)

    def on_header(self, name: bytes, _value: bytes) -> None:
        """One header."""
        if name.lower() in _FRAMING:
            assert self._incoming is not None
            self._incoming.has_length = True

    def on_headers_complete(self) -> None:
        """The head is whole."""
        incoming = self._incoming
        assert incoming is not None
        status = self._parser.get_status_code()
        incoming.is_interim = status < _FIRST_FINAL_STATUS
        if incoming.is_interim:
            incoming.has_length = False
            return
        incoming.is_keepable = self._parser.should_keep_alive()
        incoming.status = status

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole, and the connection free for the next request."""
        incoming = self._incoming
        assert incoming is not None
        if incoming.is_interim:
            return
        incoming.is_complete = True
        self._incoming = None
        self._ends.forget(self._descriptor)
        self._has_answered = True
        was_read = not self._transport.get_write_buffer_size()  # or it was refused half-way
        if incoming.is_keepable and was_read and len(self._kept) < _MOST_KEPT:
            self._kept.append(self)
        else:
            self.abort()

    def _forget(self, error: ConnectionError) -> None:
        """Use this connection no more, and tell whoever waits for its answer."""
        self._opened.discard(self)
        if self in self._kept:
            self._kept.remove(self)
        self._stop_timer()
        self._ends.forget(self._descriptor)
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.fail(error)

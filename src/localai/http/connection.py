"""What uvicorn leaves open: how large the head of a request may be, and how long it may take.

Without these limits anybody who can connect, key or not, could fill the memory with one header,
and a client that asks and then reads nothing would keep its place at a model for ever. And the
head of an answer goes out together with its first piece: one packet, one wake-up.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from localai.observe.log import logger

_log = logger(__name__)
_LARGEST_HEAD_BYTES = 128 * 1024
_HEAD = b"HTTP/1.1 "
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class _Joining:
    """A transport that keeps a head back for what follows it, until the loop's next turn at most."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(HttpToolsProtocol):
    """One connection of a client. A head that is too large or too slow ends it.

    So does a reader that takes nothing for `unread_s` while there is more than the buffers hold.
    """

    head_s: ClassVar[float] = 30.0
    unread_s: ClassVar[float] = 300.0
    _heads = 0
    _is_in_head = False
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """A client connected; its first head is due."""
        super().connection_made(_Joining(transport, self.loop))  # type: ignore[arg-type]  # all that is asked of one
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._stop_timer()
        self._is_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; count what does not end a head that had begun before."""
        before = self._heads, self._is_in_head
        super().data_received(data)
        if not self._is_in_head or before != (self._heads, True):
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > _LARGEST_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def pause_writing(self) -> None:
        """Nothing more fits until the client has read."""
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(self.unread_s, self._give_up)

    def resume_writing(self) -> None:
        """The client reads on."""
        self._is_read()
        super().resume_writing()

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        super().on_message_begin()
        self._is_in_head = True
        if self._head_timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """The head is whole; its body has limits of its own."""
        self._is_in_head = False
        self._heads += 1
        self._stop_timer()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_s, self._too_slow)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_read(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _give_up(self) -> None:
        _log.info("a client has read nothing of its answer for %g s; it is cut off", self.unread_s)
        self.transport.abort()

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

"""A connection that is kept, for calls with one answer: as cheap as a client can be, since it shares the cores."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class Client(asyncio.Protocol):
    """One connection, one call at a time."""

    def __init__(self) -> None:
        self._data = b""
        self._length: int | None = None  # of the whole answer; None until its head is there
        self._first: asyncio.Future[bytes] | None = None
        self._whole: asyncio.Future[bytes] | None = None

    @classmethod
    async def open(cls, port: int) -> Client:
        """Connect."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(cls, "127.0.0.1", port)
        return client

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data = self._data + data if self._data else data
        if self._length is None and not self._read_head():
            return
        if self._first is not None and not self._first.done():
            self._first.set_result(self._data)
        is_whole = (
            self._data.endswith(_LAST_CHUNK)
            if self._length < 0
            else len(self._data) >= self._length  # type: ignore[operator]  # the head is there
        )
        if is_whole and self._whole is not None and not self._whole.done():
            self._whole.set_result(self._data)

    def connection_lost(self, exc: Exception | None) -> None:
        for waiting in (self._first, self._whole):
            if waiting is not None and not waiting.done():
                waiting.set_exception(exc or ConnectionError("the server hung up"))

    def _read_head(self) -> bool:
        """The length of the answer, -1 for one in chunks; whether its first byte has come."""
        head, end, body = self._data.partition(_HEAD_END)
        if not end or not body:
            return False
        _, named, length = head.lower().partition(b"content-length:")
        self._length = len(head) + len(end) + int(length.split(b"\r", 1)[0]) if named else -1
        return True

    async def post(self, path: str, body: Any) -> bytes:
        """The answer to a body that is made JSON. Raises RuntimeError for an error."""
        return await self.ask(request(path, json.dumps(body).encode()))

    async def ask(self, data: bytes) -> bytes:
        """The body of the answer to a whole request."""
        self._begin(data)
        assert self._whole is not None
        answer = await self._whole
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(answer[:800].decode(errors="replace"))
        is_chunked = self._length == -1
        body = answer.partition(_HEAD_END)[2]
        return _joined(body) if is_chunked else body

    async def first_byte_s(self, path: str, body: Any) -> float:
        """Seconds until the first byte of the answer's body."""
        data = request(path, json.dumps(body).encode())
        began = time.perf_counter()
        self._begin(data)
        assert self._first is not None
        first = await self._first
        took = time.perf_counter() - began
        if not first.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(first[:800].decode(errors="replace"))
        return took

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()

    def _begin(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._data, self._length = b"", None
        self._first, self._whole = loop.create_future(), loop.create_future()
        self._first.add_done_callback(_seen)
        self._whole.add_done_callback(_seen)
        self._transport.write(data)


def request(path: str, body: bytes, content_type: str = "application/json") -> bytes:
    """A whole POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _seen(future: asyncio.Future[bytes]) -> None:
    """An exception that nobody waits for is no news."""
    if not future.cancelled():
        future.exception()


def _joined(chunked: bytes) -> bytes:
    """The body of an answer in chunks."""
    pieces = []
    while chunked:
        size, _, chunked = chunked.partition(b"\r\n")
        length = int(size, 16)
        pieces.append(chunked[:length])
        chunked = chunked[length + 2 :]
    return b"".join(pieces)

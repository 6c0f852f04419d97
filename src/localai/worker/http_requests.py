"""Reads HTTP/1.1 requests, with the standard library only: a worker runs beside any engine.

Strict: what RFC 9112 leaves to interpretation, and what this server has no use for, is refused, so
that no proxy in front of it can read a request differently.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Protocol

_MOST_HEAD_BYTES = 1 << 16
_MOST_CHUNK_LINE_BYTES = 256
_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.([01])")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # in a header's value
_LENGTH_NAME = b"\r\nContent-Length: "
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t -~\x80-\xff]*)?")  # extensions mean nothing
_ONLY_ONCE = frozenset({"authorization", "content-length", "host", "transfer-encoding"})


class Refused(Exception):
    """This is no request that can be answered: `status` and a sentence why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Sink(Protocol):
    """Takes a body that is too large for memory."""

    def write(self, piece: bytes, /) -> Any:
        """The next piece."""
        ...

    def close(self) -> None:
        """The body is not needed any more."""
        ...


@dataclass(slots=True, eq=False)
class Request:
    """A request; its body is whole once `RequestReader.body` says so. Header names are small.

    With a `sink` the body goes there as it comes, and `body` stays empty.
    """

    method: str
    path: str
    headers: dict[str, str]
    is_1_0: bool
    keeps: bool = True  # whether the connection may take another request
    body: bytes = b""
    sink: Sink | None = None


class RequestReader:
    """Takes bytes as they come; gives a head, then its body, then the next head.

    Both methods give None until more has been fed, and raise Refused; then nothing more is read.
    """

    def __init__(self, *, most_body_bytes: int) -> None:
        self._most_body_bytes = most_body_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._pieces: list[bytes] = []
        self._sink: Sink | None = None
        self._has_chunks = False
        self._size = 0
        self._left = 0  # bytes of the body, or of the present chunk, that are still missing
        self._is_chunked = False
        self._is_last = False
        self._known: tuple[bytes, bytes, Request] | None = None  # the head before, as `_again` says

    @property
    def waiting_bytes(self) -> int:
        """How much was fed and not read yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what has come."""
        self._buffer += data

    def head(self) -> Request | None:
        """The next request, without its body."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # RFC 9112, 2.2: some clients end a body with one
            del buffer[:2]
        if buffer and not b"A" <= buffer[:1] <= b"Z":
            raise Refused(400, "This is not HTTP.")
        end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end > _MOST_HEAD_BYTES or (end < 0 and len(buffer) > _MOST_HEAD_BYTES):
            raise Refused(431, f"The head of a request may have {_MOST_HEAD_BYTES} bytes.")
        self._searched = len(buffer)
        if end < 0:
            return None
        head = bytes(buffer[:end])
        del buffer[: end + 4]
        self._searched = 0
        request = self._again(head)
        self._expect_body(request)
        return request

    def _again(self, head: bytes) -> Request:
        """Parse a head; one that differs from the last in its length alone, as most do, at once."""
        before, found, after = head.partition(_LENGTH_NAME)
        length, _, rest = after.partition(b"\r\n")
        known = self._known
        if known is not None and known[0] == before and known[1] == rest and length.isdigit():
            last = known[2]
            headers = last.headers | {"content-length": length.decode()}
            return Request(last.method, last.path, headers, last.is_1_0, last.keeps)
        request = _parse(head.split(b"\r\n"))
        without_body = dataclasses.replace(request)
        self._known = (before, rest, without_body) if found else None
        return request

    def spill(self, sink: Sink | None) -> None:
        """Give the body of the request that `head` gave to `sink`, piece by piece."""
        self._sink = sink

    def body(self) -> bytes | None:
        """The body of the request that `head` gave, all of it."""
        while self._left or self._is_chunked:
            if self._left:
                if not self._buffer:
                    return None
                self._take()
            elif not self._next_chunk():
                return None
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _expect_body(self, request: Request) -> None:
        """Find out where the body ends."""
        self._size = self._left = 0
        coding = request.headers.get("transfer-encoding")
        length = request.headers.get("content-length")
        self._is_chunked = coding is not None
        self._is_last = self._has_chunks = False
        self._sink = None
        if coding is not None:
            if length is not None or request.is_1_0:
                raise Refused(400, "The length of the body is told twice.")
            if coding.lower() != "chunked":
                raise Refused(501, f"The transfer coding {coding!r} is not known; chunked is.")
        elif length is not None:
            if not _LENGTH.fullmatch(length.encode()):
                raise Refused(400, f"The content length {length!r} is no number.")
            self._grow(int(length))

    def _grow(self, size: int) -> None:
        self._left = size
        self._size += size
        if self._size > self._most_body_bytes:
            raise Refused(413, f"The body may have {self._most_body_bytes} bytes.")

    def _take(self) -> None:
        """Move what is there of the body, or of the chunk."""
        piece = bytes(memoryview(self._buffer)[: self._left])
        del self._buffer[: len(piece)]
        if self._sink is not None:
            self._sink.write(piece)
        else:
            self._pieces.append(piece)
        self._left -= len(piece)

    def _next_chunk(self) -> bool:
        """Read what stands between two chunks, or after the last. False when more is needed."""
        buffer = self._buffer
        start = 2 if self._has_chunks or self._is_last else 0  # the end of the chunk before
        if len(buffer) < start:
            return False
        if start and not buffer.startswith(b"\r\n"):
            raise Refused(400, "The body does not keep to the sizes of its chunks.")
        if self._is_last:
            del buffer[:2]
            self._is_chunked = False
            return True
        end = buffer.find(b"\r\n", start, start + _MOST_CHUNK_LINE_BYTES)
        if end < 0:
            if len(buffer) > start + _MOST_CHUNK_LINE_BYTES:
                raise Refused(400, "The size of a chunk is missing.")
            return False
        found = _CHUNK.fullmatch(bytes(buffer[start:end]))
        if found is None:
            raise Refused(400, "The size of a chunk is no number.")
        del buffer[: end + 2]
        self._grow(int(found[1], 16))
        self._has_chunks = True
        self._is_last = not self._left
        return True


def _parse(lines: list[bytes]) -> Request:
    line = _REQUEST_LINE.fullmatch(lines[0])
    if line is None:
        raise Refused(400, "The first line is no request of HTTP/1.1.")
    headers: dict[str, str] = {}
    for text in lines[1:]:
        found, colon, value = text.partition(b":")
        if not colon or not _NAME.fullmatch(found) or _FORBIDDEN.search(value):
            raise Refused(400, "A header has no valid name or value.")
        name = found.decode().lower()
        if name in headers and name in _ONLY_ONCE:
            raise Refused(400, f"The header {name} is there twice.")
        headers[name] = value.strip(b" \t").decode("latin-1")
    is_1_0 = line[3] == b"0"
    if "host" not in headers and not is_1_0:
        raise Refused(400, "The header host is missing.")
    path = line[2].decode().partition("?")[0]
    words = headers.get("connection", "").lower().replace(" ", "").split(",")
    keeps = not is_1_0 and "close" not in words
    return Request(line[1].decode(), path, headers, is_1_0, keeps)

"""Reading a form with a file in it, piece by piece: a file is never whole in memory.

The parser is python-multipart's. It works in threads, a batch of the body at a time, because the
file's bytes are written to a disk there. Source: RFC 7578.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from localai.domain.errors import BodyIncomplete, InvalidRequest, LocalAIError
from localai.http.body import drain, next_piece

if TYPE_CHECKING:
    from starlette.types import Receive

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # callers are told what is wrong

_BATCH_BYTES = 256 * 1024
_MOST_FIELDS = 64
_LONGEST_FIELD_BYTES = 64 * 1024


class Sink(Protocol):
    """Takes the bytes of a file. Its methods block."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        ...


class Form:
    """One form as it comes: its text `fields`, and its one file, for which `open_sink` is called.

    Of a field that comes several times `fields` has the last value, `lists` has all.

    The file is the part named `file`; `filename` and `media_type` are what the caller says of it.
    The methods block.
    """

    def __init__(self, content_type: str, open_sink: Callable[[], Sink]) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind.lower() != b"multipart/form-data" or not boundary:
            message = f"The body must be multipart/form-data with a boundary, not {content_type[:80] or 'untyped'}."
            raise InvalidRequest(message, hint="Send the file as a form does: curl -F file=@name.")
        self.fields: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        self.filename = ""
        self.media_type = ""
        self.sink: Sink | None = None
        self._open_sink = open_sink
        self._header = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._value: list[bytes] | None = None  # of a text field; None in the file
        self._parts = self._value_bytes = 0
        self._is_whole = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _malformed(str(error)) from None

    def feed(self, data: bytes) -> None:
        """Read the next bytes of the body. Raises InvalidRequest, and what the sink raises."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _malformed(str(error)) from None

    def end(self) -> None:
        """The body has ended. Raises InvalidRequest when the form has not."""
        if not self._is_whole:
            raise _malformed("it ends before its last boundary")
        if self.sink is None:
            raise InvalidRequest(
                "file is missing; the form must have a part of that name.", param="file"
            )

    def _on_part_begin(self) -> None:
        self._headers, self._header = {}, (b"", b"")
        self._parts += 1
        if self._parts > _MOST_FIELDS:
            raise InvalidRequest(f"The form has more than {_MOST_FIELDS} parts.")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        name, value = self._header
        self._header = name + data[start:end], value

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        name, value = self._header
        self._header = name, value + data[start:end]

    def _on_header_end(self) -> None:
        name, value = self._header
        self._headers[name.lower()] = value
        self._header = b"", b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise _malformed("one of its parts has no name")
        self._name = _text(options[b"name"])
        if self._name != "file":
            self._value, self._value_bytes = [], 0
            return
        if self.sink is not None:
            raise InvalidRequest("The form has two files; send one.", param="file")
        self._value = None
        self.filename = _text(options.get(b"filename", b""))
        self.media_type = _text(self._headers.get(b"content-type", b"")).partition(";")[0].strip()
        self.sink = self._open_sink()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._value is None:
            assert self.sink is not None
            self.sink.write(data[start:end])
            return
        self._value_bytes += end - start
        if self._value_bytes > _LONGEST_FIELD_BYTES:
            message = f"{self._name[:40]} is longer than {_LONGEST_FIELD_BYTES} bytes."
            raise InvalidRequest(message, param=self._name[:40])
        self._value.append(data[start:end])

    def _on_part_end(self) -> None:
        if self._value is not None:
            self.fields[self._name] = text = _text(b"".join(self._value))
            self.lists.setdefault(self._name, []).append(text)

    def _on_end(self) -> None:
        self._is_whole = True


async def read_form(form: Form, receive: Receive) -> None:
    """Read the whole body into `form`.

    Raises what `Form` raises, after the rest of the body was thrown away, so that the client gets
    to read the answer; BodyIncomplete, HungUp.
    """
    more = True
    try:
        while more:
            pieces: list[bytes] = []
            size = 0
            while more and size < _BATCH_BYTES:
                piece, more = await next_piece(receive)
                pieces.append(piece)
                size += len(piece)
            await _in_thread(form.feed, b"".join(pieces))
        form.end()
    except LocalAIError as error:
        if more and not isinstance(error, BodyIncomplete):
            await drain(receive)
        raise


async def _in_thread(work: Callable[[bytes], None], data: bytes) -> None:
    """Do `work` off the event loop; a caller that is cancelled waits until it is done."""
    running = asyncio.ensure_future(asyncio.to_thread(work, data))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _malformed(why: str) -> InvalidRequest:
    return InvalidRequest(f"The form cannot be read: {why.rstrip('.')}.")

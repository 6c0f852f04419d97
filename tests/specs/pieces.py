"""The pieces of streams, as values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def ndjson_pieces(body: bytes) -> Iterator[Any]:
    """The lines of a stream that came whole."""
    *lines, _ = body.split(b"\n")
    yield from (json.loads(line) for line in lines)


def sse_pieces(body: bytes) -> Iterator[Any]:
    """The events of a stream that came whole, but for comments and the mark of the end."""
    *frames, _ = body.split(b"\n\n")
    for frame in frames:
        name, data = b"", b""
        for line in frame.split(b"\n"):
            key, _, value = line.partition(b":")
            assert key in {b"event", b"data", b""}, f"not a field of an event: {line[:100]!r}"
            value = value.removeprefix(b" ")
            name = value if key == b"event" else name
            data = value if key == b"data" else data
        if data and data != b"[DONE]":
            piece = json.loads(data)
            assert not name or name.decode() == piece["type"]
            yield piece

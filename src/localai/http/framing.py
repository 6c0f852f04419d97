"""Frames as bytes: server-sent events, or one JSON object a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from localai.dialects.contract import Frame


class Framing(NamedTuple):
    """How frames become bytes. `keep_alive` is what a silent stream may send; nothing if empty."""

    content_type: bytes
    join: Callable[[Iterable[Frame]], bytes]
    keep_alive: bytes = b""


def sse(frames: Iterable[Frame]) -> bytes:
    """Frames as server-sent events. Their data holds no newline."""
    return b"".join(
        [
            b"event: %b\ndata: %b\n\n" % (event.encode(), data) if event else b"data: %b\n\n" % data
            for data, event in frames
        ]
    )


def ndjson(frames: Iterable[Frame]) -> bytes:
    """Frames as lines of JSON."""
    return b"".join([data + b"\n" for data, _ in frames])


# A comment: clients skip it, proxies see life.
SSE = Framing(b"text/event-stream; charset=utf-8", sse, keep_alive=b": waiting\n\n")
NDJSON = Framing(b"application/x-ndjson", ndjson)

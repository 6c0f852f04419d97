"""Frames as bytes: server-sent events."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localai.dialects.contract import Frame

SSE = b"text/event-stream; charset=utf-8"
KEEP_ALIVE = b": waiting\n\n"  # a comment: clients skip it, proxies see life


def sse(frames: Iterable[Frame]) -> bytes:
    """Frames as server-sent events. Their data holds no newline."""
    return b"".join(
        [
            b"event: %b\ndata: %b\n\n" % (event.encode(), data) if event else b"data: %b\n\n" % data
            for data, event in frames
        ]
    )

"""How this API writes JSON, times, durations and names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from localai.domain.events import FinishReason

to_json = msgspec.json.Encoder().encode

DEFAULT_TAG = "latest"
FOREVER = "9999-12-31T23:59:59.000000000Z"
_NS_PER_MS = 1_000_000

# Several clients, Ollama's own for Python among them, take these for ends of lines.
_LINE_ENDS = (
    (b"\xc2\x85", b"\\u0085"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)

DONE_REASONS: Mapping[FinishReason, str] = {
    FinishReason.STOP: "stop",
    FinishReason.STOP_SEQUENCE: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "stop",  # this API has no word for it
    FinishReason.FILTERED: "content_filter",  # nor for this, and "stop" would hide it
}


def to_line(value: Any) -> bytes:
    """Give JSON that stands on one line, whatever a client takes for the end of a line."""
    return on_one_line(to_json(value))


def on_one_line(json: bytes) -> bytes:
    """Escape what some clients take for the end of a line; the JSON has no other line ends."""
    if json.isascii():
        return json
    for character, escape in _LINE_ENDS:
        json = json.replace(character, escape)
    return json


def rfc3339(unix_s: float) -> str:
    """Spell a time as Ollama does: in UTC, to the nanosecond."""
    try:
        whole_s = int(unix_s // 1)
        moment = datetime.fromtimestamp(whole_s, UTC)
    except (OverflowError, ValueError, OSError):
        return FOREVER if unix_s > 0 else "0001-01-01T00:00:00.000000000Z"
    nanoseconds = int((unix_s - whole_s) * 1e9)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z".rjust(len(FOREVER), "0")


def nanoseconds(ms: float) -> int:
    """Give milliseconds as whole nanoseconds, the unit of every duration here."""
    return round(ms * _NS_PER_MS)


def with_tag(name: str) -> str:
    """Give a model's name with `:latest` where it has no tag: clients compare such names."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:{DEFAULT_TAG}"

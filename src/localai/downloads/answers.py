"""What servers answer to a request for a part of a file.

Source: RFC 9110, sections 14 (range requests), 13.1.5 (If-Range) and 10.2.3 (Retry-After).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from localai.domain.errors import LocalAIError
from localai.domain.source_errors import DownloadFailed, SourceForbidden, SourceNotFound

OK: Final = 200
PARTIAL: Final = 206
NOT_SATISFIABLE: Final = 416
REFUSED: Final = frozenset({401, 403})
TOO_MUCH: Final = frozenset({429, 503})
_GONE: Final = frozenset({404, 410})
_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


def part_of(headers: Mapping[str, str]) -> tuple[int, int, int | None] | None:
    """First byte, end (not included) and size of the whole, as `Content-Range` says."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None:
        return None
    return int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3])


def tag_of(headers: Mapping[str, str]) -> str:
    """What tells one version of a file from another: its strong ETag, else its date."""
    tag = headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return headers.get("Last-Modified", "")


def is_later(status: int) -> bool:
    """Whether trying again can help."""
    return status in _LATER


def wait_s(headers: Mapping[str, str], now_s: float | None = None) -> float:
    """How long a server asks to wait, 0 when it does not."""
    said = headers.get("Retry-After", "").strip()
    if not said:
        return 0.0
    try:
        found = float(said)
    except ValueError:
        try:
            found = parsedate_to_datetime(said).timestamp() - (now_s or time.time())
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return max(0.0, found) if math.isfinite(found) else 0.0


def refusal(name: str, address: str, status: int, headers: Mapping[str, str]) -> LocalAIError:
    """The error that a final status means."""
    place = address.partition("?")[0][:300]
    if status in _GONE:
        return SourceNotFound(name, f"is not there: {place} answered with status {status}")
    if headers.get("X-Error-Code") == "GatedRepo":
        return SourceForbidden(
            name,
            "is gated: its owner wants to know who uses it",
            hint="Accept the terms on its page at Hugging Face, then set HF_TOKEN to a token of your account.",
        )
    if status in REFUSED:
        return SourceForbidden(
            name,
            f"may not be fetched: {place} answered with status {status}",
            hint="It may need a token (HF_TOKEN for Hugging Face), or its terms accepted on its page.",
        )
    return DownloadFailed(name, f"{place} answered with status {status}")

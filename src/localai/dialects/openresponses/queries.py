"""What stands after the question mark of an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localai.domain.errors import InvalidRequest

MOST_LISTED = 100
_LISTED = 20
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemQuery:
    """Which items to list: at most `limit`, those after the item `after`."""

    limit: int = _LISTED
    is_ascending: bool = False
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamQuery:
    """Whether to show a response as its events, and after which of them to begin."""

    streams: bool = False
    starting_after: int | None = None


def item_query(query: Mapping[str, str]) -> ItemQuery:
    """Read `limit`, `order` and `after`. Raises InvalidRequest."""
    order = query.get("order") or "desc"
    if order not in {"asc", "desc"}:
        raise InvalidRequest(f"order is {order[:40]!r}; it must be asc or desc.", param="order")
    limit = _number(query, "limit")
    if limit is not None and not 1 <= limit <= MOST_LISTED:
        message = f"limit is {limit}; it must be between 1 and {MOST_LISTED}."
        raise InvalidRequest(message, param="limit")
    return ItemQuery(
        limit=limit or _LISTED, is_ascending=order == "asc", after=query.get("after") or None
    )


def stream_query(query: Mapping[str, str]) -> StreamQuery:
    """Read `stream` and `starting_after`. Raises InvalidRequest."""
    stream = (query.get("stream") or "false").lower()
    if stream not in {"true", "false", "1", "0"}:
        raise InvalidRequest(
            f"stream is {stream[:40]!r}; it must be true or false.", param="stream"
        )
    return StreamQuery(
        streams=stream in {"true", "1"}, starting_after=_number(query, "starting_after")
    )


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS):
        message = f"{name} is {text[:40]!r}; it must be a whole number."
        raise InvalidRequest(message, param=name)
    return int(text)

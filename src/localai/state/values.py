"""What a store keeps, as frozen values. Bodies, items and events are JSON that nobody here reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Item = tuple[str, bytes]
"""An item: its id and its JSON."""

Event = tuple[bytes, str]
"""An event of a stream: its JSON and its name."""

RUNNING = ("queued", "in_progress")
"""The states of a response that has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """A response. `streams` says whether its events are kept; `response` is the whole body."""

    response_id: str
    created_unix_s: int
    status: str
    owner: str
    response: bytes
    streams: bool = False
    previous_id: str | None = None
    conversation_id: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.status in RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConversation:
    """A conversation; its items are asked for page by page."""

    conversation_id: str
    created_unix_s: int
    owner: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery:
    """Which items to list: at most `limit`, those after the item `after`."""

    limit: int = 20
    is_ascending: bool = False
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some items, and whether there are more after them."""

    items: tuple[Item, ...]
    has_more: bool

"""What is remembered: stored responses with their items and events, and conversations.

`store.ResponseStore` is what the use cases ask for; `sqlite.SqliteStore` is the one that ships.
Nothing here knows how a response is spelled: bodies, items and events are bytes with ids. Another
store is another class with the same methods.
"""

from localai.state.errors import EventsDropped, NotStored
from localai.state.sqlite import SqliteStore
from localai.state.store import ResponseStore
from localai.state.values import (
    Event,
    Item,
    Page,
    PageQuery,
    StoredConversation,
    StoredResponse,
)

__all__ = [
    "Event",
    "EventsDropped",
    "Item",
    "NotStored",
    "Page",
    "PageQuery",
    "ResponseStore",
    "SqliteStore",
    "StoredConversation",
    "StoredResponse",
]

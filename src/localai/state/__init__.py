"""What is remembered: stored responses with their items and events, conversations, and files.

`store.ResponseStore` is what the use cases ask for; `sqlite.SqliteStore` is the one that ships.
Nothing here knows how a response is spelled: bodies, items and events are bytes with ids. Another
store is another class with the same methods. `files.FileStore` keeps uploads: their bytes in a
folder, what is known of them in the same `database.Database`. So does `jobs.JobStore`
with jobs.
"""

from localai.domain.errors import NotStored
from localai.state.database import Database
from localai.state.errors import EventsDropped
from localai.state.files import FileStore, free_bytes
from localai.state.incoming import Flags, Incoming, remove_left_behind
from localai.state.jobs import JobStore
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
    "Database",
    "Event",
    "EventsDropped",
    "FileStore",
    "Flags",
    "Incoming",
    "Item",
    "JobStore",
    "NotStored",
    "Page",
    "PageQuery",
    "ResponseStore",
    "SqliteStore",
    "StoredConversation",
    "StoredResponse",
    "free_bytes",
    "remove_left_behind",
]

"""The store in one SQLite file, or in memory."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from localai.domain.errors import SetupError, ShuttingDown
from localai.state import tables
from localai.state.errors import NotStored
from localai.state.schema import open_database
from localai.state.store import Ending
from localai.state.values import (
    Event,
    Item,
    Page,
    PageQuery,
    StoredConversation,
    StoredResponse,
)

_Result = TypeVar("_Result")
_PURGE_EVERY_S = 60.0


class SqliteStore:
    """Keeps responses in the file at `path`, or in memory when it is None.

    The file is made when the first thing is stored. Responses are forgotten `ttl_s` seconds after
    they ended, never when it is 0; what a younger response goes on from stays as long as that.
    All work is done by one thread, so nothing here blocks the event loop.
    """

    def __init__(
        self, path: Path | None, *, ttl_s: float = 0.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._ttl_s = ttl_s
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._db: sqlite3.Connection | None = None
        self._purged_s = 0.0
        self._closed = False

    async def add(
        self, response: StoredResponse, given: Sequence[Item], said: Sequence[Item] = ()
    ) -> None:
        """Keep a response with its input and output. Raises InvalidRequest for a used id."""

        def work(db: sqlite3.Connection) -> None:
            expires = self._expiry()
            tables.insert_response(db, response, None if response.is_running else expires, given)
            tables.keep_chain(db, response, expires)
            if not response.is_running:
                tables.insert_items(db, response.response_id, response.owner, said, is_output=True)
                tables.grow_conversation(db, response, [*given, *said])

        await self._write(work)

    async def end(
        self, response: StoredResponse, said: Sequence[Item], first: int, events: Sequence[Event]
    ) -> bool:
        """Keep how a response that was added ended; False when it is not running any more."""

        def work(db: sqlite3.Connection) -> bool:
            if not tables.end_response(db, response, self._expiry(), said):
                return False
            tables.insert_events(db, response.response_id, first, events)
            return True

        return await self._write(work)

    async def update(self, response_id: str, status: str, body: bytes) -> bool:
        """Replace the state and body of a running response."""
        sql = (
            "UPDATE responses SET status = ?, response = ? WHERE response_id = ?"
            " AND status IN ('queued', 'in_progress')"
        )
        return await self._write(
            lambda db: bool(db.execute(sql, (status, body, response_id)).rowcount)
        )

    async def get(self, response_id: str, owner: str) -> StoredResponse:
        """A response. Raises NotStored."""
        return await self._read(
            lambda db: tables.find_response(db, response_id, owner, self._clock())
        )

    async def delete(self, response_id: str, owner: str) -> None:
        """Forget a response with its items and events. Raises NotStored."""

        def work(db: sqlite3.Connection) -> None:
            tables.find_response(db, response_id, owner, self._clock())
            db.execute("DELETE FROM responses WHERE response_id = ?", (response_id,))

        await self._write(work)

    async def history(self, response_id: str, owner: str) -> tuple[bytes, ...]:
        """The items of a response and of all before it, oldest first. Raises NotStored."""
        return await self._read(lambda db: tables.history(db, response_id, owner))

    async def input_items(self, response_id: str, owner: str, query: PageQuery) -> Page:
        """A page of the input of a response. Raises NotStored."""

        def work(db: sqlite3.Connection) -> Page:
            tables.find_response(db, response_id, owner, self._clock())
            return tables.page(db, response_id, query)

        return await self._read(work)

    async def find_items(self, item_ids: Sequence[str], owner: str) -> Mapping[str, bytes]:
        """Those of the items that are kept anywhere."""
        return await self._read(lambda db: tables.find_items(db, item_ids, owner))

    async def append_events(self, response_id: str, first: int, events: Sequence[Event]) -> None:
        """Keep the next events, of which the first has the number `first`."""
        await self._write(lambda db: tables.insert_events(db, response_id, first, events))

    async def drop_events(self, response_id: str, before: int) -> None:
        """Forget the events with smaller numbers."""
        sql = "DELETE FROM events WHERE response_id = ? AND number < ?"
        await self._write(lambda db: db.execute(sql, (response_id, before)))

    async def events(
        self, response_id: str, after: int, limit: int
    ) -> tuple[tuple[int, bytes, str], ...]:
        """Up to `limit` events with numbers above `after`: number, JSON, name."""
        sql = (
            "SELECT number, data, event FROM events WHERE response_id = ? AND number > ?"
            " ORDER BY number LIMIT ?"
        )
        return await self._read(
            lambda db: tuple(db.execute(sql, (response_id, after, limit)).fetchall())
        )

    async def recover(self, ending: Ending) -> int:
        """End what a server left running when it died. A file that is not there is not made."""
        if self._path is None or not await asyncio.to_thread(self._path.exists):
            return 0
        return await self._write(lambda db: tables.recover(db, ending, self._expiry()))

    async def add_conversation(
        self, conversation: StoredConversation, items: Sequence[Item]
    ) -> None:
        """Keep a conversation and what it begins with."""

        def work(db: sqlite3.Connection) -> None:
            named = (conversation.conversation_id, conversation.created_unix_s, conversation.owner)
            metadata = json.dumps(dict(conversation.metadata))
            db.execute("INSERT INTO conversations VALUES (?, ?, ?, ?)", (*named, metadata))
            tables.insert_items(db, conversation.conversation_id, conversation.owner, items)

        await self._write(work)

    async def conversation(self, conversation_id: str, owner: str) -> StoredConversation:
        """A conversation. Raises NotStored."""
        return await self._read(lambda db: tables.find_conversation(db, conversation_id, owner))

    async def update_conversation(
        self, conversation_id: str, owner: str, metadata: Mapping[str, str]
    ) -> StoredConversation:
        """Replace the metadata of a conversation. Raises NotStored."""

        def work(db: sqlite3.Connection) -> StoredConversation:
            found = tables.find_conversation(db, conversation_id, owner)
            db.execute(
                "UPDATE conversations SET metadata = ? WHERE conversation_id = ?",
                (json.dumps(dict(metadata)), conversation_id),
            )
            return replace(found, metadata=dict(metadata))

        return await self._write(work)

    async def delete_conversation(self, conversation_id: str, owner: str) -> None:
        """Forget a conversation with its items. Raises NotStored."""

        def work(db: sqlite3.Connection) -> None:
            tables.find_conversation(db, conversation_id, owner)
            db.execute("DELETE FROM conversations WHERE conversation_id = ?", (conversation_id,))

        await self._write(work)

    async def add_items(self, conversation_id: str, owner: str, items: Sequence[Item]) -> None:
        """Add items to a conversation. Raises NotStored."""

        def work(db: sqlite3.Connection) -> None:
            tables.find_conversation(db, conversation_id, owner)
            tables.insert_items(db, conversation_id, owner, items)

        await self._write(work)

    async def conversation_items(self, conversation_id: str, owner: str, query: PageQuery) -> Page:
        """A page of the items of a conversation. Raises NotStored."""

        def work(db: sqlite3.Connection) -> Page:
            tables.find_conversation(db, conversation_id, owner)
            return tables.page(db, conversation_id, query)

        return await self._read(work)

    async def conversation_history(self, conversation_id: str, owner: str) -> tuple[bytes, ...]:
        """All items of a conversation, oldest first. Raises NotStored."""

        def work(db: sqlite3.Connection) -> tuple[bytes, ...]:
            tables.find_conversation(db, conversation_id, owner)
            sql = "SELECT data FROM items WHERE parent_id = ? ORDER BY place"
            return tuple(data for (data,) in db.execute(sql, (conversation_id,)))

        return await self._read(work)

    async def conversation_item(self, conversation_id: str, item_id: str, owner: str) -> bytes:
        """One item of a conversation. Raises NotStored."""

        def work(db: sqlite3.Connection) -> bytes:
            tables.find_conversation(db, conversation_id, owner)
            sql = "SELECT data FROM items WHERE parent_id = ? AND item_id = ?"
            row = db.execute(sql, (conversation_id, item_id)).fetchone()
            if row is None:
                raise NotStored("item", item_id)
            data: bytes = row[0]
            return data

        return await self._read(work)

    async def delete_item(self, conversation_id: str, item_id: str, owner: str) -> None:
        """Forget one item of a conversation. Raises NotStored."""

        def work(db: sqlite3.Connection) -> None:
            tables.find_conversation(db, conversation_id, owner)
            sql = "DELETE FROM items WHERE parent_id = ? AND item_id = ?"
            if not db.execute(sql, (conversation_id, item_id)).rowcount:
                raise NotStored("item", item_id)

        await self._write(work)

    async def close(self) -> None:
        """Write what is left and let go of the file."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
            self._thread.shutdown(wait=False)

    async def _read(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        return await self._in_thread(lambda: work(self._connection()))

    async def _write(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        return await self._in_thread(lambda: self._transaction(work))

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        if self._closed:
            raise ShuttingDown
        try:
            running = asyncio.get_running_loop().run_in_executor(self._thread, work)
            return await asyncio.shield(running)  # what was begun is done, in its order
        except sqlite3.Error as error:
            where = f"in {self._path} " if self._path else ""
            message = f"The stored responses {where}cannot be used: {error}."
            raise SetupError(message, hint="Is the disk full or the file damaged?") from error

    def _transaction(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        db = self._connection()
        db.execute("BEGIN IMMEDIATE")
        try:
            self._purge(db)
            result = work(db)
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        return result

    def _purge(self, db: sqlite3.Connection) -> None:
        now_s = self._clock()
        if self._ttl_s and not 0 <= now_s - self._purged_s < _PURGE_EVERY_S:
            self._purged_s = now_s
            db.execute("DELETE FROM responses WHERE expires <= ?", (now_s,))

    def _expiry(self) -> float | None:
        return self._clock() + self._ttl_s if self._ttl_s else None

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_database(self._path)
        return self._db

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

"""The store of responses in the database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from localai.domain.errors import NotStored
from localai.state import tables
from localai.state.database import Database
from localai.state.store import Ending
from localai.state.values import (
    Event,
    Item,
    Page,
    PageQuery,
    StoredConversation,
    StoredResponse,
)


class SqliteStore:
    """Keeps responses in `database`, which it closes.

    Responses are forgotten `ttl_s` seconds after they ended, never when it is 0; what a younger
    response goes on from stays as long as that.
    """

    def __init__(self, database: Database, *, ttl_s: float = 0.0) -> None:
        self._database = database
        self._read, self._write, self._clock = database.read, database.write, database.clock
        self._ttl_s = ttl_s
        database.purge_with(self._purge)

    async def add(
        self, response: StoredResponse, given: Sequence[Item], said: Sequence[Item] = ()
    ) -> None:
        """Keep a response with its input and output. Raises InvalidRequest for a used id."""

        def work(db: sqlite3.Connection) -> None:
            expires = self._expiry()
            tables.insert_response(
                db,
                response,
                None if response.is_running else expires,
                given,
                server_id=self._database.presence.server_id,
            )
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
        """End what servers left running when they died. A file that is not there is not made."""
        if not await self._database.exists():
            return 0
        is_alive = self._database.presence.is_alive
        return await self._write(lambda db: tables.recover(db, ending, self._expiry(), is_alive))

    async def runs_elsewhere(self, response_id: str) -> bool:
        """Whether another server, which lives, works on a response."""
        presence = self._database.presence

        def work(db: sqlite3.Connection) -> bool:
            server = tables.running_at(db, response_id)
            return server != presence.server_id and presence.is_alive(server)

        return await self._read(work)

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
        """Write what is left and let go of the database."""
        await self._database.close()

    def _purge(self, db: sqlite3.Connection, now_s: float) -> None:
        if self._ttl_s:
            db.execute("DELETE FROM responses WHERE expires <= ?", (now_s,))

    def _expiry(self) -> float | None:
        return self._clock() + self._ttl_s if self._ttl_s else None

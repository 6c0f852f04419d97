"""The statements behind the store. Each function is one transaction's work on a connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence

from localai.domain.errors import InvalidRequest, NotStored
from localai.state.store import Ending
from localai.state.values import (
    Item,
    Page,
    PageQuery,
    StoredConversation,
    StoredResponse,
)

_MOST_TURNS = 100_000  # a chain that is longer can only be a circle
_COLUMNS = "response_id, created, status, owner, response, streams, previous_id, conversation_id"
_CHAIN = f"""
WITH RECURSIVE chain (response_id, previous_id, depth) AS (
    SELECT response_id, previous_id, 0 FROM responses WHERE response_id = ?1 AND owner = ?2
    UNION ALL
    SELECT r.response_id, r.previous_id, chain.depth + 1
    FROM responses AS r JOIN chain ON r.response_id = chain.previous_id
    WHERE r.owner = ?2 AND chain.depth < {_MOST_TURNS}
)
"""  # noqa: S608 - all of this is ours
_OLDEST = f"""
{_CHAIN} SELECT r.response_id, r.previous_id, r.conversation_id
FROM chain JOIN responses AS r USING (response_id) ORDER BY depth DESC LIMIT 1
"""  # noqa: S608 - as above
_HISTORY = f"""
{_CHAIN} SELECT data FROM chain JOIN items ON parent_id = response_id ORDER BY depth DESC, place
"""  # noqa: S608 - as above
# What a conversation held when a response of it was made: all before its output, but its input.
_BEFORE = """
SELECT data FROM items WHERE parent_id = ?1
AND item_id NOT IN (SELECT item_id FROM items WHERE parent_id = ?2)
AND place < coalesce(
    (SELECT min(place) FROM items WHERE parent_id = ?1 AND item_id IN
        (SELECT item_id FROM items WHERE parent_id = ?2 AND is_output = 1)),
    9e18
)
ORDER BY place
"""
_KEEP = f"""
{_CHAIN} UPDATE responses SET expires = max(expires, ?3)
WHERE response_id IN (SELECT response_id FROM chain)
"""  # noqa: S608 - as above


def insert_response(
    db: sqlite3.Connection,
    row: StoredResponse,
    expires: float | None,
    given: Sequence[Item],
    *,
    server_id: str,
) -> None:
    """Keep a new response of a server, and its input. Raises InvalidRequest when the id is taken."""
    values = (
        row.response_id, row.created_unix_s, expires, row.status, row.owner,
        row.streams, row.previous_id, row.conversation_id, row.response, server_id,
    )  # fmt: skip
    try:
        db.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    except sqlite3.IntegrityError:
        message = f"There is a response with the id {row.response_id!r} already."
        raise InvalidRequest(message, hint="Let the server choose the id.") from None
    insert_items(db, row.response_id, row.owner, given)


def keep_chain(db: sqlite3.Connection, row: StoredResponse, expires: float | None) -> None:
    """Let what a response goes on from expire no earlier than the response."""
    if expires is not None and row.previous_id is not None:
        db.execute(_KEEP, (row.previous_id, row.owner, expires))


def end_response(
    db: sqlite3.Connection,
    row: StoredResponse,
    expires: float | None,
    said: Sequence[Item],
) -> bool:
    """Keep how a running response ended. False when it is gone, or has ended already."""
    known = db.execute(
        "UPDATE responses SET status = ?, response = ?, expires = ? WHERE response_id = ?"
        " AND status IN ('queued', 'in_progress')",
        (row.status, row.response, expires, row.response_id),
    ).rowcount
    if not known:
        return False
    keep_chain(db, row, expires)
    insert_items(db, row.response_id, row.owner, said, is_output=True)
    given = db.execute(
        "SELECT item_id, data FROM items WHERE parent_id = ? AND is_output = 0 ORDER BY place",
        (row.response_id,),
    ).fetchall()
    grow_conversation(db, row, [*given, *said])
    return True


def grow_conversation(db: sqlite3.Connection, row: StoredResponse, items: Sequence[Item]) -> None:
    """Add the items of a response to its conversation, if it has one that is still there."""
    if row.conversation_id is not None:
        known = db.execute(
            "SELECT 1 FROM conversations WHERE conversation_id = ? AND owner = ?",
            (row.conversation_id, row.owner),
        ).fetchone()
        if known:
            insert_items(db, row.conversation_id, row.owner, items)


def insert_items(
    db: sqlite3.Connection,
    parent_id: str,
    owner: str,
    items: Sequence[Item],
    *,
    is_output: bool = False,
) -> None:
    """Add items to a response or conversation; those it has already stay as they are."""
    db.executemany(
        "INSERT OR IGNORE INTO items (parent_id, is_output, item_id, owner, data)"
        " VALUES (?, ?, ?, ?, ?)",
        [(parent_id, is_output, item_id, owner, data) for item_id, data in items],
    )


def find_response(
    db: sqlite3.Connection, response_id: str, owner: str, now: float
) -> StoredResponse:
    """A response. Raises NotStored."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM responses WHERE response_id = ? AND owner = ?"  # noqa: S608
        " AND (expires IS NULL OR expires > ?)",
        (response_id, owner, now),
    ).fetchone()
    if row is None:
        raise NotStored("response", response_id)
    return _response(row)


def history(db: sqlite3.Connection, response_id: str, owner: str) -> tuple[bytes, ...]:
    """The items of a response and of all before it. Raises NotStored when one of them is gone."""
    oldest = db.execute(_OLDEST, (response_id, owner)).fetchone()
    if oldest is None:
        raise NotStored("response", response_id)
    first_id, missing_id, conversation_id = oldest
    if missing_id is not None:
        raise NotStored("response", missing_id)
    rows = db.execute(_HISTORY, (response_id, owner))
    own = tuple(data for (data,) in rows)
    if conversation_id is None:
        return own
    find_conversation(db, conversation_id, owner)
    before = db.execute(_BEFORE, (conversation_id, first_id))
    return (*(data for (data,) in before), *own)


def page(db: sqlite3.Connection, parent_id: str, query: PageQuery) -> Page:
    """A page of the given items of a response or conversation. Raises NotStored for `after`."""
    compared, order, start = (">", "ASC", 0) if query.is_ascending else ("<", "DESC", 2**62)
    if query.after is not None:
        row = db.execute(
            "SELECT place FROM items WHERE parent_id = ? AND is_output = 0 AND item_id = ?",
            (parent_id, query.after),
        ).fetchone()
        if row is None:
            raise NotStored("item", query.after, param="after")
        start = row[0]
    rows = db.execute(
        "SELECT item_id, data FROM items WHERE parent_id = ? AND is_output = 0"  # noqa: S608
        f" AND place {compared} ? ORDER BY place {order} LIMIT ?",
        (parent_id, start, query.limit + 1),
    ).fetchall()
    return Page(items=tuple(rows[: query.limit]), has_more=len(rows) > query.limit)


def find_items(db: sqlite3.Connection, item_ids: Sequence[str], owner: str) -> Mapping[str, bytes]:
    """Those of the items that are kept anywhere; the newest where there are several."""
    found: dict[str, bytes] = {}
    for item_id in item_ids:
        row = db.execute(
            "SELECT data FROM items WHERE item_id = ? AND owner = ? ORDER BY place DESC LIMIT 1",
            (item_id, owner),
        ).fetchone()
        if row is not None:
            found[item_id] = row[0]
    return found


def running_at(db: sqlite3.Connection, response_id: str) -> str:
    """The id of the server that works on a response; "" when none does."""
    row = db.execute(
        "SELECT server FROM responses WHERE response_id = ? AND status IN ('queued', 'in_progress')",
        (response_id,),
    ).fetchone()
    return str(row[0]) if row else ""


def recover(
    db: sqlite3.Connection,
    ending: Ending,
    expires: float | None,
    is_alive: Callable[[str], bool],
) -> int:
    """End every running response whose server has died."""
    rows = db.execute(
        f"SELECT server, {_COLUMNS} FROM responses WHERE status IN ('queued', 'in_progress')"  # noqa: S608
    ).fetchall()
    alive = {server for server in {row[0] for row in rows} if is_alive(server)}
    left = [_response(row[1:]) for row in rows if row[0] not in alive]
    for row in left:
        (count,) = db.execute(
            "SELECT coalesce(max(number) + 1, 0) FROM events WHERE response_id = ?",
            (row.response_id,),
        ).fetchone()
        body, events = ending(row, count)
        db.execute(
            "UPDATE responses SET status = 'failed', response = ?, expires = ? WHERE response_id = ?",
            (body, expires, row.response_id),
        )
        insert_events(db, row.response_id, count, events if row.streams else ())
    return len(left)


def insert_events(
    db: sqlite3.Connection, response_id: str, first: int, events: Sequence[tuple[bytes, str]]
) -> None:
    """Keep the next events of a response that is still there."""
    db.executemany(
        "INSERT OR IGNORE INTO events SELECT ?1, ?2, ?3, ?4"
        " WHERE EXISTS (SELECT 1 FROM responses WHERE response_id = ?1)",
        [(response_id, first + i, name, data) for i, (data, name) in enumerate(events)],
    )


def find_conversation(
    db: sqlite3.Connection, conversation_id: str, owner: str
) -> StoredConversation:
    """A conversation. Raises NotStored."""
    row = db.execute(
        "SELECT created, metadata FROM conversations WHERE conversation_id = ? AND owner = ?",
        (conversation_id, owner),
    ).fetchone()
    if row is None:
        raise NotStored("conversation", conversation_id)
    created, metadata = row
    return StoredConversation(
        conversation_id=conversation_id, created_unix_s=int(created), owner=owner,
        metadata=json.loads(metadata),
    )  # fmt: skip


def _response(
    row: tuple[str, float, str, str, bytes, int, str | None, str | None],
) -> StoredResponse:
    response_id, created, status, owner, response, streams, previous_id, conversation_id = row
    return StoredResponse(
        response_id=response_id, created_unix_s=int(created), status=status, owner=owner,
        response=response, streams=bool(streams), previous_id=previous_id,
        conversation_id=conversation_id,
    )  # fmt: skip

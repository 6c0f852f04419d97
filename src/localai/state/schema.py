"""The database file: opening it, its tables and their version."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from localai.domain.errors import SetupError

_BUSY_S = 30.0  # how long to wait while another process writes, perhaps to a slow disk
_AGAIN_S = 0.01

# Items hang on a response or on a conversation. Their `place` grows, so it is their order.
# An empty line stands between statements.
_RESPONSES = """
CREATE TABLE responses (
    response_id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    expires REAL,
    status TEXT NOT NULL,
    owner TEXT NOT NULL,
    streams INTEGER NOT NULL,
    previous_id TEXT,
    conversation_id TEXT,
    response BLOB NOT NULL
);

CREATE INDEX responses_by_expiry ON responses (expires) WHERE expires IS NOT NULL;

CREATE INDEX responses_by_status ON responses (status) WHERE status IN ('queued', 'in_progress');

CREATE TABLE conversations (
    conversation_id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    owner TEXT NOT NULL,
    metadata TEXT NOT NULL
);

CREATE TABLE items (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    parent_id TEXT NOT NULL,
    is_output INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (parent_id, is_output, item_id)
);

CREATE INDEX items_by_id ON items (item_id, owner);

CREATE TABLE events (
    response_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    event TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (response_id, number)
);

CREATE TRIGGER response_gone AFTER DELETE ON responses BEGIN
    DELETE FROM items WHERE parent_id = old.response_id;
    DELETE FROM events WHERE response_id = old.response_id;
END;

CREATE TRIGGER conversation_gone AFTER DELETE ON conversations BEGIN
    DELETE FROM items WHERE parent_id = old.conversation_id;
END;
"""

# What the files hold lies beside the database, in files named like their ids.
_FILES = """
CREATE TABLE files (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    file_id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL,
    filename TEXT NOT NULL,
    media_type TEXT NOT NULL,
    purpose TEXT NOT NULL,
    size_bytes INTEGER NOT NULL
);

CREATE INDEX files_by_owner ON files (owner, place);

CREATE INDEX files_by_expiry ON files (expires) WHERE expires IS NOT NULL;
"""

_JOBS = """
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    is_removal INTEGER NOT NULL,
    state TEXT NOT NULL,
    step TEXT NOT NULL,
    created INTEGER NOT NULL,
    request BLOB NOT NULL,
    error BLOB
);
"""

# The server that works on a row, by the id of its presence; "" for one that nobody knows.
_SERVERS = """
ALTER TABLE responses ADD COLUMN server TEXT NOT NULL DEFAULT '';

ALTER TABLE jobs ADD COLUMN server TEXT NOT NULL DEFAULT '';
"""

_STEPS = (
    _RESPONSES,
    _FILES,
    _JOBS,
    _SERVERS,
)  # from each version to the next; never changed, only added to
VERSION = len(_STEPS)


def open_database(path: Path | None) -> sqlite3.Connection:
    """A connection to the file at `path`, made if it is not there; in memory when None.

    Raises SetupError when the file is of another kind or of a newer version.
    """
    try:
        connection = _connected(path)
        version = _prepared(connection)
    except (sqlite3.Error, OSError) as error:
        message = f"What is stored in {path} cannot be opened: {error}."
        raise SetupError(message, hint="Move the file away to begin with an empty one.") from error
    if version > VERSION:
        connection.close()
        message = (
            f"{path} was written by a newer version of this server ({version}, not {VERSION})."
        )
        raise SetupError(message, hint="Use that version, or move the file away.")
    return connection


def _connected(path: Path | None) -> sqlite3.Connection:
    if path is None:
        return sqlite3.connect(":memory:", isolation_level=None)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)  # it holds what people said
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = NORMAL")  # survives a killed process
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite itself does not wait for another who does that, too."""
    until_s = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                raise
            time.sleep(_AGAIN_S)
        else:
            return


def _prepared(connection: sqlite3.Connection) -> int:
    """Make the tables that are missing; gives the version of those that are there."""
    connection.execute("BEGIN IMMEDIATE")  # another server may be doing the same
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    for step in _STEPS[version:]:
        for statement in step.split("\n\n"):
            connection.execute(statement)
    if version < VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
    return max(version, VERSION)

"""The one database file, and the one thread that works on it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from localai.domain.errors import SetupError, ShuttingDown
from localai.state.presence import Presence
from localai.state.schema import open_database

_Result = TypeVar("_Result")
_PURGE_EVERY_S = 60.0

Work = Callable[[sqlite3.Connection], _Result]


class Database:
    """The file at `path`, or a database in memory when it is None.

    The file is made by the first transaction. All work is done by one thread, so nothing here
    blocks the event loop, and what was begun is done in its order. `clock` gives Unix time.
    Several servers may use one file; `presence` tells them apart.
    """

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.clock = clock
        self.presence = Presence(None if path is None else path.parent / "servers")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._connection: sqlite3.Connection | None = None
        self._purges: list[Callable[[sqlite3.Connection, float], None]] = []
        self._purged_s = 0.0
        self._closed = False

    def purge_with(self, purge: Callable[[sqlite3.Connection, float], None]) -> None:
        """Call `purge` with the time before other work, about once a minute, to forget what is old."""
        self._purges.append(purge)

    async def exists(self) -> bool:
        """Whether there is anything to read; asking does not make the file."""
        return self.path is None or await asyncio.to_thread(self.path.exists)

    async def read(self, work: Work[_Result]) -> _Result:
        """What `work` finds. Raises SetupError when the file cannot be used, ShuttingDown."""
        return await self._in_thread(lambda: work(self._open()))

    async def write(self, work: Work[_Result]) -> _Result:
        """Do `work` as one transaction, whole or not at all. Raises as `read` does."""
        return await self._in_thread(lambda: self._transaction(work))

    async def close(self) -> None:
        """Write what is left and let go of the file."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
            self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        if self._closed:
            raise ShuttingDown
        try:
            running = asyncio.get_running_loop().run_in_executor(self._thread, work)
            return await asyncio.shield(running)  # what was begun is done, in its order
        except sqlite3.Error as error:
            where = f"in {self.path} " if self.path else ""
            message = f"What is stored {where}cannot be used: {error}."
            raise SetupError(message, hint="Is the disk full or the file damaged?") from error

    def _transaction(self, work: Work[_Result]) -> _Result:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._purge(connection)
            result = work(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return result

    def _purge(self, connection: sqlite3.Connection) -> None:
        now_s = self.clock()
        if not 0 <= now_s - self._purged_s < _PURGE_EVERY_S:
            self._purged_s = now_s
            for purge in self._purges:
                purge(connection, now_s)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_database(self.path)
            self.presence.enter()  # before anything can be written that names this server
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self.presence.leave()

"""Uploaded files: their bytes in a folder, what is known of them in the database."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from localai.domain.errors import NotStored
from localai.domain.files import FilePage, FileQuery, NewFile, StoredFile
from localai.state.database import Database
from localai.state.incoming import Incoming, remove_left_behind

_PREFIX = "file-"
_COLUMNS = "file_id, filename, media_type, purpose, size_bytes, created, expires"
_LIVES = "(expires IS NULL OR expires > ?)"


def free_bytes(folder: Path) -> int:
    """What the disk under `folder` has left."""
    return shutil.disk_usage(folder).free


class FileStore:
    """Keeps files of at most `limit_bytes` in `folder`, which is made with the first of them.

    Files are forgotten when their upload said so, else after `ttl_s` seconds, never when that is
    0. Everything belongs to an owner, and is not there for anyone else. On the disk a file is
    named by its id, which is ours: no name of a caller's is ever part of a path.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        *,
        limit_bytes: int,
        ttl_s: float = 0.0,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self.limit_bytes = limit_bytes
        self._folder = folder
        self._database = database
        self._ttl_s = ttl_s
        self._free = free
        database.purge_with(self._purge)

    def receive(self, expected_bytes: int) -> Incoming:
        """Begin to take a file; blocks. Raises FileTooLarge, StorageFull, SetupError."""
        return Incoming(
            self._folder,
            limit_bytes=self.limit_bytes,
            free_bytes=self._free,
            expected_bytes=expected_bytes,
        )

    async def keep(
        self, incoming: Incoming, new: NewFile, *, owner: str, filename: str, media_type: str
    ) -> StoredFile:
        """Keep what has come, whole and for good. Raises StorageFull, SetupError."""
        await asyncio.to_thread(incoming.seal)
        created_s = self._database.clock()
        ttl_s = new.ttl_s or self._ttl_s
        kept = StoredFile(
            file_id=_PREFIX + uuid.uuid4().hex,
            filename=filename,
            media_type=media_type,
            purpose=new.purpose,
            size_bytes=incoming.size_bytes,
            created_unix_s=int(created_s),
            expires_unix_s=int(created_s + ttl_s) if ttl_s else None,
        )

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                f"INSERT INTO files (owner, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - all of this is ours
                (owner, kept.file_id, filename, media_type, kept.purpose, kept.size_bytes,
                 kept.created_unix_s, kept.expires_unix_s),
            )  # fmt: skip
            incoming.move_to(self._path(kept.file_id))  # inside, so that there is both or neither

        await self._database.write(work)
        return kept

    async def get(self, file_id: str, owner: str, *, param: str | None = None) -> StoredFile:
        """What is known of a file. Raises NotStored with `param`."""
        return await self._database.read(lambda db: self._find(db, file_id, owner, param))

    async def open(
        self, file_id: str, owner: str, *, param: str | None = None
    ) -> tuple[StoredFile, BinaryIO]:
        """A file, open for reading; it stays readable if it is deleted now. Raises NotStored."""

        def work(db: sqlite3.Connection) -> tuple[StoredFile, BinaryIO]:
            found = self._find(db, file_id, owner, param)
            try:
                return found, self._path(file_id).open("rb")
            except FileNotFoundError:
                raise NotStored("file", file_id, param=param) from None

        return await self._database.read(work)

    async def list(self, owner: str, query: FileQuery) -> FilePage:
        """A page of the files. Raises NotStored for `after`."""
        return await self._database.read(lambda db: self._page(db, owner, query))

    async def delete(self, file_id: str, owner: str) -> None:
        """Forget a file. Raises NotStored."""

        def work(db: sqlite3.Connection) -> None:
            self._find(db, file_id, owner, None)
            self._remove(db, [file_id])

        await self._database.write(work)

    async def recover(self) -> None:
        """Remove what a server left unfinished when it died, and files whose time has come."""
        if not await asyncio.to_thread(self._folder.is_dir):
            return

        def work(db: sqlite3.Connection) -> None:  # a transaction, so no server is just adding one
            remove_left_behind(self._folder)
            self._purge(db, self._database.clock())
            known = {file_id for (file_id,) in db.execute("SELECT file_id FROM files")}
            for path in self._folder.glob(f"{_PREFIX}*"):
                if path.name not in known:
                    path.unlink(missing_ok=True)

        await self._database.write(work)

    def _path(self, file_id: str) -> Path:
        return self._folder / file_id

    def _find(
        self, db: sqlite3.Connection, file_id: str, owner: str, param: str | None
    ) -> StoredFile:
        row = db.execute(
            f"SELECT {_COLUMNS} FROM files WHERE file_id = ? AND owner = ? AND {_LIVES}",  # noqa: S608 - all of this is ours
            (file_id, owner, self._database.clock()),
        ).fetchone()
        if row is None:
            raise NotStored("file", file_id, param=param)
        return _file(row)

    def _page(self, db: sqlite3.Connection, owner: str, query: FileQuery) -> FilePage:
        order, compared = ("ASC", ">") if query.is_ascending else ("DESC", "<")
        wanted, values = f"owner = ? AND {_LIVES}", [owner, self._database.clock()]
        if query.purpose is not None:
            wanted, values = f"{wanted} AND purpose = ?", [*values, query.purpose]
        if query.file_ids is not None:
            places = ", ".join("?" * len(query.file_ids))
            wanted, values = f"{wanted} AND file_id IN ({places})", [*values, *query.file_ids]
        if query.after is not None:
            self._find(db, query.after, owner, "after")
            after = "(SELECT place FROM files WHERE file_id = ?)"
            wanted, values = f"{wanted} AND place {compared} {after}", [*values, query.after]
        rows = db.execute(
            f"SELECT {_COLUMNS} FROM files WHERE {wanted} ORDER BY place {order} LIMIT ?",  # noqa: S608 - all of this is ours
            [*values, query.limit + 1],
        ).fetchall()
        files = tuple(_file(row) for row in rows[: query.limit])
        return FilePage(files=files, has_more=len(rows) > query.limit)

    def _purge(self, db: sqlite3.Connection, now_s: float) -> None:
        rows = db.execute("SELECT file_id FROM files WHERE expires <= ?", (now_s,)).fetchall()
        self._remove(db, [file_id for (file_id,) in rows])

    def _remove(self, db: sqlite3.Connection, file_ids: Sequence[str]) -> None:
        for file_id in file_ids:
            db.execute("DELETE FROM files WHERE file_id = ?", (file_id,))
            with contextlib.suppress(FileNotFoundError):
                self._path(file_id).unlink()


def _file(row: tuple[str, str, str, str, int, float, float | None]) -> StoredFile:
    file_id, filename, media_type, purpose, size_bytes, created, expires = row
    return StoredFile(
        file_id=file_id, filename=filename, media_type=media_type, purpose=purpose,
        size_bytes=size_bytes, created_unix_s=int(created),
        expires_unix_s=None if expires is None else int(expires),
    )  # fmt: skip

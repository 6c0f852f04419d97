"""A file on its way in: written piece by piece, kept whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from localai.domain.errors import FileTooLarge, SetupError, StorageFull

RESERVE_BYTES = 256 * 1024 * 1024  # what uploads leave free for everything else on the disk
_LOOK_EVERY_BYTES = 8 * 1024 * 1024
_HEAD_BYTES = 1024
_PIECE_BYTES = 256 * 1024
_ENDING = ".part"
_YOUNG_S = 60.0
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Flags:
    """What the operator can change: the flags of the limit and of the folder."""

    limit: str = "--file-limit"
    folder: str = "--data-path"


class Incoming:
    """Takes the bytes of one file. Every method but `read` blocks, so none belongs on the event loop.

    While they come they are in a file of their own, which is locked: one that nobody has locked
    was left behind by a server that died. `expected_bytes` is what the caller announced, perhaps
    0. Raises FileTooLarge, StorageFull, and SetupError when the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit_bytes: int,
        free_bytes: Callable[[Path], int],
        expected_bytes: int = 0,
        flags: Flags = Flags(),
    ) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._free_bytes = free_bytes
        self._flags = flags
        self.size_bytes = 0
        self.head = b""
        if expected_bytes > limit_bytes:
            raise FileTooLarge(limit_bytes=limit_bytes, flag=flags.limit)
        with _folder_errors(folder, expected_bytes, flags.folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_room(expected_bytes)
            self._path = folder / f"{uuid.uuid4().hex}{_ENDING}"
            self._path.touch(mode=0o600, exist_ok=False)
            self._file = self._path.open("wb")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        before = self.size_bytes
        self.size_bytes += len(data)
        if self.size_bytes > self._limit_bytes:
            raise FileTooLarge(limit_bytes=self._limit_bytes, flag=self._flags.limit)
        if len(self.head) < _HEAD_BYTES:
            self.head += data[: _HEAD_BYTES - len(self.head)]
        with _folder_errors(self._folder, self.size_bytes, self._flags.folder):
            if before // _LOOK_EVERY_BYTES != self.size_bytes // _LOOK_EVERY_BYTES:
                self._check_room(0)
            self._file.write(data)

    def seal(self) -> None:
        """Nothing more comes: see that all of it is on the disk."""
        with _folder_errors(self._folder, self.size_bytes, self._flags.folder):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def move_to(self, path: Path) -> None:
        """Give it its final name, where it appears whole."""
        with _folder_errors(self._folder, self.size_bytes, self._flags.folder):
            self._path.rename(path)

    async def read(self) -> AsyncIterator[bytes]:
        """What has come, from the first byte on, in pieces; it can be read more than once."""
        await asyncio.to_thread(self._file.flush)
        with await asyncio.to_thread(self._path.open, "rb") as file:
            while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
                yield piece

    def discard(self) -> None:
        """Leave nothing behind. After `move_to` this does nothing."""
        with contextlib.suppress(OSError):  # what could not be written cannot be flushed either
            self._file.close()
        self._path.unlink(missing_ok=True)

    def _check_room(self, coming_bytes: int) -> None:
        spare_bytes = self._free_bytes(self._folder) - RESERVE_BYTES
        if coming_bytes > spare_bytes:
            needed_bytes = max(coming_bytes, self.size_bytes)
            raise StorageFull(free_bytes=max(0, spare_bytes), needed_bytes=needed_bytes)


def remove_left_behind(folder: Path) -> None:
    """Remove what servers that died were receiving; what a living one receives is locked."""
    for path in folder.glob(f"*{_ENDING}"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            if time.time() - path.stat().st_mtime > _YOUNG_S:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


@contextlib.contextmanager
def _folder_errors(folder: Path, needed_bytes: int, flag: str) -> Iterator[None]:
    """Say what an error of the file system means."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull(free_bytes=0, needed_bytes=needed_bytes) from error
        message = f"The folder {folder} cannot take uploads: {error.strerror or error}."
        raise SetupError(
            message, hint=f"Look at its permissions, or name another with {flag}."
        ) from error

"""A file that is on its way: its bytes under a quarantine name, and which of them are there.

    <models>/.local-ai/downloads/<key>.part    the bytes
    <models>/.local-ai/downloads/<key>.json    what is known of them, replaced in one step
    <models>/.local-ai/downloads/<key>.lock    held by the process that works on them

A kill loses at most what came since the description was last written, which is then fetched again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from localai.domain.downloads import RemoteFile
from localai.domain.errors import LocalAIError, StorageFull
from localai.domain.source_errors import DownloadFailed
from localai.downloads.names import HIDDEN
from localai.downloads.ranges import Ranges

_SAVED_EVERY_S: Final = 0.1
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_KEY_BYTES: Final = 16


class Known(msgspec.Struct, kw_only=True):
    """What is known of a file on its way; `done` are half-open ranges of bytes.

    `tag` is the server's ETag or date, which must stay the same for the bytes to fit together.
    `sha256` is of the whole file once it is `is_verified`.
    """

    name: str
    address: str
    size_bytes: int | None = None
    tag: str = ""
    done: list[tuple[int, int]] = []
    is_verified: bool = False
    sha256: str = ""


def downloads_folder(models_path: Path) -> Path:
    """Where files on their way lie; a hidden folder, on the same disk as the models."""
    return models_path / HIDDEN / "downloads"


def key_of(file: RemoteFile) -> str:
    """What two downloads of one file have in common: where it goes, and its content or address."""
    content = file.sha256 or file.address.partition("?")[0]
    return blake2b(f"{file.name}\n{content}".encode(), digest_size=_KEY_BYTES).hexdigest()


class Partial:
    """One file on its way. Not safe for two users; `lock_path` is what they agree by."""

    def __init__(self, models_path: Path, file: RemoteFile) -> None:
        folder = downloads_folder(models_path)
        key = key_of(file)
        self.path = folder / f"{key}.part"
        self.lock_path = folder / f"{key}.lock"
        self._known_path = folder / f"{key}.json"
        self._file = file
        self._descriptor = -1
        self._saved_s = 0.0
        self.known = self._fresh()
        self.ranges = Ranges()

    def open(self) -> None:
        """Begin, or go on with what an earlier try left. Raises StorageFull, DownloadFailed."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self.disk_error(error) from error
        try:
            self.known = msgspec.json.decode(self._known_path.read_bytes(), type=Known)
        except (OSError, msgspec.DecodeError):
            self.reset()
        size = os.fstat(self._descriptor).st_size
        self.ranges = Ranges((start, min(end, size)) for start, end in self.known.done)

    def close(self) -> None:
        """Let go of the file; what came stays."""
        if self._descriptor >= 0:
            with contextlib.suppress(LocalAIError):  # on a full disk the older note stays
                self.save()
            os.close(self._descriptor)
            self._descriptor = -1

    def reset(self) -> None:
        """Forget all bytes: they belong to another version of the file."""
        self.known = self._fresh()
        self.ranges = Ranges()
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
        self.save()

    def discard(self) -> None:
        """Remove everything."""
        self.close()
        for path in (self.path, self._known_path, self.lock_path):
            path.unlink(missing_ok=True)

    def write(self, offset: int, pieces: list[bytes]) -> None:
        """Write bytes at `offset`. Raises StorageFull, DownloadFailed."""
        try:
            left = sum(map(len, pieces))
            written = os.pwritev(self._descriptor, pieces, offset)
            if written < left:  # a full disk, or a signal; the next call says which
                rest = memoryview(b"".join(pieces))[written:]
                while rest:
                    count = os.pwrite(self._descriptor, rest, offset + written)
                    written, rest = written + count, rest[count:]
        except OSError as error:
            raise self.disk_error(error) from error

    def flush(self) -> None:
        """Wait until what was written is on the disk. Raises StorageFull, DownloadFailed."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self.disk_error(error) from error

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Read what was written; gives the number of bytes."""
        return os.preadv(self._descriptor, [buffer], offset)

    def add(self, start: int, end: int) -> None:
        """Note that bytes were written; the note reaches the disk every now and then."""
        self.ranges.add(start, end)
        now_s = time.monotonic()
        if now_s - self._saved_s >= _SAVED_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write down what is known. Raises StorageFull, DownloadFailed."""
        self._saved_s = time.monotonic()
        self.known.done = list(self.ranges)
        new = self._known_path.with_suffix(".new")
        try:
            new.write_bytes(msgspec.json.encode(self.known))
            new.replace(self._known_path)
        except OSError as error:
            raise self.disk_error(error) from error

    def verified(self, sha256: str, size_bytes: int) -> None:
        """The content is what it should be: put it on the disk for good, then say so."""
        try:
            os.ftruncate(self._descriptor, size_bytes)
            os.fsync(self._descriptor)
        except OSError as error:
            raise self.disk_error(error) from error
        self.known.is_verified, self.known.sha256 = True, sha256
        self.known.size_bytes = size_bytes
        self.save()

    def check_room(self, total: int, spare_bytes: int) -> None:
        """Make sure that what is missing of `total` bytes fits. Raises StorageFull."""
        needed = total - self.ranges.size
        free = free_bytes(self.path.parent)
        if needed > 0 and needed + spare_bytes > free:
            raise StorageFull(free_bytes=free, needed_bytes=needed)

    def disk_error(self, error: OSError) -> LocalAIError:
        """What an error of the disk means for the download."""
        if error.errno in _NO_ROOM:
            total = self.known.size_bytes or self._file.size_bytes or 0
            needed = max(0, total - self.ranges.size)
            return StorageFull(free_bytes=free_bytes(self.path.parent), needed_bytes=needed)
        why = f"{self.path.parent} cannot be written: {error.strerror or error}"
        return DownloadFailed(self._file.name, why, hint="May the server write to its models folder?")  # fmt: skip

    def _fresh(self) -> Known:
        return Known(name=self._file.name, address=self._file.address.partition("?")[0])


def free_bytes(folder: Path) -> int:
    """What the disk has left for this user, 0 when it cannot be asked."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0

"""The checksum of a file while it is written."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import threading
from typing import TYPE_CHECKING, Final

from localai.downloads.threads import in_thread

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from localai.downloads.partial import Partial

_HASH_BYTES: Final = 4 << 20


class Digest:
    """The SHA-256 of a file that is being written, following its part without gaps."""

    def __init__(self, partial: Partial, threads: ThreadPoolExecutor) -> None:
        self._partial = partial
        self._threads = threads
        self._hash = hashlib.sha256()
        self._at = 0
        self._woken = asyncio.Event()
        self._is_complete = False
        self._buffer = memoryview(bytearray(_HASH_BYTES))

    @property
    def hexdigest(self) -> str:
        """The checksum of what was read."""
        return self._hash.hexdigest()

    def wake(self, *, is_complete: bool = False) -> None:
        """There is more to read, or nothing more will come."""
        self._is_complete = self._is_complete or is_complete
        self._woken.set()

    def restart(self) -> None:
        """The file begins anew."""
        self._hash, self._at = hashlib.sha256(), 0

    async def follow(self) -> None:
        """Read until the end. Raises DownloadFailed when the file is cut from outside."""
        while True:
            self._woken.clear()
            end = self._partial.ranges.prefix
            if end - self._at >= (1 if self._is_complete else _HASH_BYTES):
                of, stop = self._hash, threading.Event()
                read = await in_thread(self._threads, self._read, of, self._at, end, stop, stop=stop)  # fmt: skip
                if of is not self._hash:
                    continue  # the file began anew meanwhile
                if not read:
                    raise self._partial.disk_error(OSError(errno.EIO, "what was written is gone"))
                self._at += read
            elif self._is_complete:
                return
            else:
                await self._woken.wait()

    def _read(self, into: hashlib._Hash, start: int, end: int, stop: threading.Event) -> int:
        """Take in all that is there, without a way back to the busy event loop in between."""
        at = start
        while at < end and not stop.is_set():
            read = self._partial.read_into(at, self._buffer[: end - at])
            if not read:
                break
            into.update(self._buffer[:read])
            at += read
        return at - start

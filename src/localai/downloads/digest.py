"""The checksum of a file while it is written."""

from __future__ import annotations

import asyncio
import hashlib
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
        """Read until the end."""
        while True:
            self._woken.clear()
            end = self._partial.ranges.prefix
            if self._at < end:
                count = min(end - self._at, _HASH_BYTES)
                if count == _HASH_BYTES or self._is_complete:
                    of = self._hash
                    read = await in_thread(self._threads, self._read, of, self._at, count)
                    self._at += read if of is self._hash else 0
                    continue
            elif self._is_complete:
                return
            await self._woken.wait()

    def _read(self, into: hashlib._Hash, start: int, count: int) -> int:
        read = self._partial.read_into(start, self._buffer[:count])
        into.update(self._buffer[:read])
        return read

"""Bringing what was written to the disk while more of it comes.

A file is verified only when it is on the disk for good. Left to the end, that waits as long as the
whole download again where disk and network are about as fast.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from localai.downloads.threads import in_thread

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from localai.downloads.partial import Partial

_EVERY_BYTES: Final = 64 << 20


class Flush:
    """Has the disk at work on one file, never for long on little."""

    def __init__(self, partial: Partial, threads: ThreadPoolExecutor) -> None:
        self._partial = partial
        self._threads = threads
        self._waiting_bytes = 0
        self._woken = asyncio.Event()
        self._is_complete = False

    def wrote(self, count: int) -> None:
        """So many bytes were written."""
        self._waiting_bytes += count
        if self._waiting_bytes >= _EVERY_BYTES:
            self._woken.set()

    def end(self) -> None:
        """Nothing more will come; the rest is brought to the disk when the file is verified."""
        self._is_complete = True
        self._woken.set()

    async def follow(self) -> None:
        """Flush until the end. Raises StorageFull, DownloadFailed."""
        while True:
            await self._woken.wait()
            if self._is_complete:
                return
            self._woken.clear()
            self._waiting_bytes = 0
            await in_thread(self._threads, self._partial.flush)

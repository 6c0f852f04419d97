"""How fast bytes may come, and how fast they do."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_WINDOW_S: Final = 10.0
_LEAST_S: Final = 1.0


class Limiter:
    """Lets `bytes_per_s` through, shared by everybody who asks; None lets everything through."""

    def __init__(self, bytes_per_s: float | None) -> None:
        self._rate = bytes_per_s
        self._free_at_s = 0.0

    async def pass_through(self, count: int) -> None:
        """Wait until `count` more bytes may have come."""
        if self._rate is None:
            return
        now_s = asyncio.get_running_loop().time()
        self._free_at_s = max(self._free_at_s, now_s) + count / self._rate
        if self._free_at_s > now_s:
            await asyncio.sleep(self._free_at_s - now_s)


class Speed:
    """The speed of the last seconds, and how long the rest will take."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def left_s(self, done: int, total: int) -> float | None:
        """How long the rest takes at the present speed; None while nobody can tell."""
        now_s = self._clock()
        self._seen.append((now_s, done))
        while len(self._seen) > 1 and now_s - self._seen[0][0] > _WINDOW_S:
            self._seen.popleft()
        began_s, began = self._seen[0]
        if not total or now_s - began_s < _LEAST_S or done <= began:
            return None
        return (total - done) * (now_s - began_s) / (done - began)

"""Decisions without effects: when to try again, and who leaves for a new worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_COOLDOWN_S = 300.0
_HEALTHY_AFTER_S = 60.0


@dataclass(slots=True)
class Backoff:
    """How long to leave a failing model alone: `first_s`, doubling to five minutes.

    Times are seconds of one monotonic clock. A change of the model's files forgives everything.
    """

    first_s: float
    failures: int = 0
    crashes: int = 0
    until_s: float = 0.0
    reason: str = ""
    revision: str = ""

    def failed(self, *, now_s: float, reason: str, revision: str) -> None:
        """Count a failed start."""
        if revision != self.revision:
            self.forgive()
        self.failures += 1
        pause_s = min(self.first_s * 2.0 ** min(self.failures - 1, 30), _MAX_COOLDOWN_S)
        self.until_s, self.reason, self.revision = now_s + pause_s, reason, revision

    def crashed(self, *, now_s: float, uptime_s: float, reason: str, revision: str) -> None:
        """Count a crash: the first one is free, a second soon after the start is a failure."""
        if uptime_s >= _HEALTHY_AFTER_S or revision != self.revision:
            self.forgive()
        self.revision = revision
        self.crashes += 1
        if self.crashes > 1:
            self.failed(now_s=now_s, reason=reason, revision=revision)

    def remaining_s(self, *, now_s: float, revision: str) -> float:
        """Seconds until the next try; 0 when it may start now."""
        if revision != self.revision:
            return 0.0
        return max(0.0, self.until_s - now_s)

    def forgive(self) -> None:
        """Start from the first step again."""
        self.failures, self.crashes, self.until_s = 0, 0, 0.0


@dataclass(frozen=True, slots=True)
class Resident:
    """A running worker as the policy sees it."""

    name: str
    last_used_s: float
    is_busy: bool
    is_pinned: bool


def capacity(limit: int, residents: Sequence[Resident]) -> int:
    """How many workers there may be: `limit`, and always one beside those that never leave.

    0 is no limit.
    """
    pinned = sum(resident.is_pinned for resident in residents)
    return max(limit, pinned + 1) if limit else 0


def to_evict(residents: Sequence[Resident], count: int) -> list[str]:
    """Which workers leave so that `count` others may start.

    Those that do nothing go first, and then those that will when their answers are whole; among
    them, the least recently used. A pinned one stays.
    """
    able = [resident for resident in residents if not resident.is_pinned]
    able.sort(key=lambda resident: (resident.is_busy, resident.last_used_s))
    return [resident.name for resident in able[: max(0, count)]]

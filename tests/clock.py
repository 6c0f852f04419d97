"""A clock for what asks for the time."""

from __future__ import annotations


class Clock:
    """Gives seconds; it moves when a test says so."""

    def __init__(self, now_s: float = 1_700_000_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

"""When a range of a file is asked for again, and when it has been enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tenacity import RetryCallState
from tenacity.wait import wait_random_exponential

if TYPE_CHECKING:
    from localai.downloads.settings import DownloadSettings


_LEAST_BYTES: Final = 1 << 14  # a try that brings less was in vain


class TryAgain(Exception):
    """What came is kept; the rest is worth another try, after `wait_s` seconds at least."""

    def __init__(self, why: str, *, wait_s: float = 0.0, is_full: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.wait_s = wait_s
        self.is_full = is_full


@dataclass(slots=True)
class Piece:
    """A range that one connection fetches; `at` is the next byte."""

    start: int
    end: int | None
    at: int


class Patience:
    """When a piece is tried again. tenacity asks `hopes`, `pause_s`, `is_over`, in this order."""

    def __init__(self, settings: DownloadSettings, piece: Piece, *, is_helping: bool) -> None:
        self._settings = settings
        self._piece = piece
        self._is_helping = is_helping
        self._at = piece.at
        self._fruitless = 0
        self._error: TryAgain | None = None
        self._backoff = wait_random_exponential(
            multiplier=settings.pause_s, max=settings.longest_pause_s
        )

    def hopes(self, state: RetryCallState) -> bool:
        """Whether the error is one that trying again may cure; counts it."""
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, TryAgain):
            return False
        self._error = error
        has_moved = self._piece.at >= self._at + _LEAST_BYTES
        self._fruitless = 1 if has_moved else self._fruitless + 1
        self._at = self._piece.at
        return True

    def pause_s(self, state: RetryCallState) -> float:
        """How long to wait: as long as the server asks, and longer after each fruitless try."""
        state.attempt_number = self._fruitless
        asked_s = self._error.wait_s if self._error else 0.0
        return max(asked_s, float(self._backoff(state)))

    def is_over(self, _: RetryCallState) -> bool:
        """Whether it has been enough; a helper leaves as soon as the server has enough of us."""
        is_unwelcome = self._is_helping and self._error is not None and self._error.is_full
        return is_unwelcome or self._fruitless >= self._settings.attempts

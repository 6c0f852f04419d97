"""Sends what a model says, together what comes within a few milliseconds.

Nobody sees the difference, and every piece costs a system call and a wake-up in each process that
it passes through: for a small model more than the making of its token, and where all cores compute
each wake-up holds one of them up, while the others wait for it. The first piece of an answer and
its last one never wait, nor does one that comes after a pause.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from localai.worker.http_server import Exchange

_TOGETHER_S = 0.016  # what a screen needs for a picture


class Senders:
    """The senders of all answers that are under way; those that hold something share one timer."""

    def __init__(self) -> None:
        self._holding: set[Sender] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a timer is to send what somebody holds."""
        return self._timer is not None

    def sender(self, exchange: Exchange, media_type: str) -> Sender:
        """A sender for one answer."""
        return Sender(self, exchange, media_type)

    def add(self, sender: Sender) -> None:
        """`sender` holds something now."""
        self._holding.add(sender)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER_S, self._flush)

    def remove(self, sender: Sender) -> None:
        """`sender` holds nothing any more. A timer that nobody needs would wake the process."""
        self._holding.discard(sender)
        if self._timer is not None and not self._holding:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        self._timer = None
        holding, self._holding = self._holding, set()
        now_s = time.monotonic()
        for sender in holding:
            sender.flush(now_s)


class Sender:
    """Sends the pieces of one answer."""

    __slots__ = ("_all", "_exchange", "_held", "_media_type", "_sent_s", "has_ended")

    def __init__(self, senders: Senders, exchange: Exchange, media_type: str) -> None:
        self._all = senders
        self._exchange = exchange
        self._media_type = media_type
        self._held: list[bytes] = []
        self._sent_s = 0.0
        self.has_ended = False

    def send(self, piece: bytes) -> Awaitable[None] | None:
        """Send a piece, or hold it for a moment. To be awaited while the caller does not read."""
        now_s = time.monotonic()
        is_due = now_s - self._sent_s >= _TOGETHER_S
        if self._held:
            self._held.append(piece)
            if is_due:
                self._all.remove(self)
                self.flush(now_s)
        elif is_due:
            self._sent_s = now_s
            self._exchange.put(piece, self._media_type)
        else:
            self._held.append(piece)
            self._all.add(self)
        return self._exchange.room() if self._exchange.is_full else None

    def end(self, piece: bytes) -> None:
        """Send the last piece, with all that was held."""
        self.has_ended = True
        self._all.remove(self)  # or the timer sends it once more, after the end
        last = b"".join([*self._held, piece])
        self._held.clear()
        self._exchange.end(last, self._media_type)

    def close(self) -> None:
        """Send nothing more."""
        self._all.remove(self)

    def flush(self, now_s: float) -> None:
        """Send what is held."""
        self._sent_s = now_s
        piece = b"".join(self._held)
        self._held.clear()
        self._exchange.put(piece, self._media_type)

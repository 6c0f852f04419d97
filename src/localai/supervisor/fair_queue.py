"""Who may run next: first come, first served, in turns between clients."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class FairQueue:
    """Gives out `slots` places. A client with many requests waits behind its own, not others do.

    Single writer: everything runs on one event loop and no method awaits while it changes state.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(line) for line in self._waiting.values())

    async def acquire(self, client: str) -> None:
        """Wait for a place. Cancelling gives the turn to the next one."""
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.release()
            else:
                self._forget(client, turn)
            raise

    def release(self) -> None:
        """Give a place back; the next client in turn gets it."""
        for turn in self._in_turn():
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def fail_all(self, error: Exception) -> None:
        """Send everybody away with `error`."""
        for line in self._waiting.values():
            for turn in line:
                if not turn.done():
                    turn.set_exception(error)
        self._waiting.clear()

    def _in_turn(self) -> Iterator[asyncio.Future[None]]:
        """Take waiting requests, one client after the other."""
        while self._waiting:
            client, line = self._waiting.popitem(last=False)
            turn = line.popleft()
            if line:
                self._waiting[client] = line  # to the end of the round
            yield turn

    def _forget(self, client: str, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(client)
        if line is not None and turn in line:
            line.remove(turn)
            if not line:
                del self._waiting[client]

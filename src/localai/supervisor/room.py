"""How many workers there may be at once: a newcomer waits until there is a place."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True, eq=False)
class Ticket:
    """A worker that wants to start: it waits for a place, or loads in one."""

    name: str
    is_waiting: bool = False
    is_loading: bool = False


class Room:
    """Gives out places for workers, first come, first served.

    A place is taken before a worker's process starts and given back after it has ended, so that
    memory never holds more of them than `capacity` says; 0 is no limit. `make_way` is called
    whenever somebody waits who may have to be helped: it has workers leave.

    Single writer: everything runs on one event loop and no method awaits while it changes state.
    """

    def __init__(self, capacity: Callable[[], int], make_way: Callable[[], None]) -> None:
        self._capacity = capacity
        self._make_way = make_way
        self._line: dict[Ticket, asyncio.Future[None]] = {}
        self.taken = 0

    @property
    def waiting(self) -> tuple[str, ...]:
        """The names of those who wait, in their order."""
        return tuple(ticket.name for ticket, turn in self._line.items() if not turn.done())

    async def enter(self, ticket: Ticket) -> None:
        """Wait for a place. Cancelling gives it to the next one."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line[ticket] = turn
        ticket.is_waiting = True
        self.look()
        try:
            await turn
        except asyncio.CancelledError:
            ticket.is_waiting = False
            if ticket.is_loading:
                self.give_back(ticket)
            self._line.pop(ticket, None)
            raise

    def give_back(self, ticket: Ticket) -> None:
        """Leave the place of a worker that will not start."""
        ticket.is_loading = False
        self.leave()

    def leave(self) -> None:
        """Leave a place; who has waited longest gets it."""
        self.taken -= 1
        self.look()

    def look(self) -> None:
        """Let in who can be, and have workers leave for the others: something has changed."""
        self._let_in()
        if self.waiting:
            self._make_way()

    def _let_in(self) -> None:
        capacity = self._capacity()
        while self._line and (not capacity or self.taken < capacity):
            ticket = next(iter(self._line))
            turn = self._line.pop(ticket)
            ticket.is_waiting = False
            if not turn.done():
                ticket.is_loading = True
                self.taken += 1
                turn.set_result(None)

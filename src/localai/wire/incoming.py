"""What has arrived of one answer, and who waits for more of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass, field

TakeBytes = Callable[[bytes], Awaitable[None] | None]


@dataclass(slots=True, eq=False)
class Incoming:
    """What has arrived of one answer."""

    status: int = 0
    head_bytes: int = 0
    pieces: list[bytes] = field(default_factory=list)
    waiting_bytes: int = 0
    error: ConnectionError | None = None
    has_length: bool = False
    is_complete: bool = False
    is_interim: bool = False
    is_keepable: bool = False
    is_paused: bool = False
    is_answered: bool = False  # whoever asked has seen the status
    take: TakeBytes | None = None  # who gets each piece the moment it arrives
    pending: Awaitable[None] | None = None  # until when the taker wants no more
    refusal: BaseException | None = None  # of the taker
    waiter: asyncio.Future[None] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether at least one byte has come."""
        return bool(self.status or self.head_bytes)

    async def head(self) -> None:
        """Wait for the status. Raises what went wrong before it came."""
        while not self.status:
            if self.error is not None:
                raise self.error
            await self.change()

    async def change(self) -> None:
        """Wait until something is different."""
        self.waiter = asyncio.get_running_loop().create_future()
        await self.waiter

    def hand_over(self) -> None:
        """Give what has arrived to the taker; one that fails or wants to wait gets no more."""
        assert self.take is not None
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.waiting_bytes = 0
        try:
            self.pending = self.take(data)
        except BaseException as error:
            self.refusal = error
        if self.pending is not None or self.refusal is not None:
            self.take = None
            self.wake()

    def drop(self) -> None:
        """Nobody waits any more for what the taker wants to wait for."""
        pending, self.pending = self.pending, None
        if isinstance(pending, Coroutine | Generator):
            pending.close()

    def wake(self) -> None:
        """Something is different."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def fail(self, error: ConnectionError) -> None:
        """No more will come."""
        if not self.is_complete and self.error is None:
            self.error = error
        self.wake()

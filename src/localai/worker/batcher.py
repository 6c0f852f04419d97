"""Many small calls as few large ones, for engines that do more in one go than one by one.

While the engine works, calls wait together; when it is free, it gets those that fit into one batch.
An idle engine starts at once: nothing is ever held back to see whether more comes. An engine that can
may work on several batches at once: two on a core each are done sooner than one after the other on both,
because cores that share one batch wait for each other at every step.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from localai.worker.device_errors import out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Call(Generic[Item, Result]):
    """One call: what of it waits, and what of it is done, by place."""

    answer: asyncio.Future[list[Result]]
    total: int
    waiting: dict[int, _Piece[Item, Result]] = field(default_factory=dict)
    done: dict[int, Result] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Piece(Generic[Item, Result]):
    """One item of a call, at its place."""

    call: _Call[Item, Result]
    place: int
    item: Item
    group: str
    size: int


_Batch = list[_Piece[Item, Result]]


class Batcher(Generic[Item, Result]):
    """Collects the items of calls into batches for `work`.

    `work` is blocking, runs in a thread of its own, `lanes` batches at a time, and gives one result per item.
    `divide` is called in that thread before, with the number of batches that share the machine. A batch holds items of one group and at most `limit` in all, where each counts as the largest of them
    (padding makes them so); an item over the limit goes alone. A batch for which a GPU has too little
    memory is tried again in halves. Calls take turns, so that a small one beside a large one is
    answered soon.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Sequence[Result]],
        *,
        limit: int,
        lanes: int = 1,
        divide: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._work = work
        self._limit = limit
        self._lanes = lanes
        self._divide = divide
        self._turns: deque[_Call[Item, Result]] = deque()
        self._waiting: _Batch[Item, Result] = []  # by group and size
        self._running: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(lanes, thread_name_prefix="engine")

    async def submit(
        self, items: Sequence[Item], *, size: Callable[[Item], int], group: str = ""
    ) -> list[Result]:
        """The results of `items`, in order; `size` is what an item counts towards the limit.

        Raises what `work` raises for them alone. Cancelling takes back what has not begun.
        """
        if not items:
            return []
        call: _Call[Item, Result] = _Call(asyncio.get_running_loop().create_future(), len(items))
        for place, item in enumerate(items):
            piece = call.waiting[place] = _Piece(call, place, item, group, size(item))
            insort(self._waiting, piece, key=_rank)
        self._turns.append(call)
        asyncio.get_running_loop().call_soon(self._start)  # with what comes in this very moment
        try:
            return await call.answer
        finally:
            if call.waiting:
                self._take_back(call)

    async def close(self) -> None:
        """Wait for the batches that are running. No calls may come any more."""
        while self._running:
            await asyncio.wait(self._running)
        self._threads.shutdown()

    def _start(self) -> None:
        """Fill the lanes that are free. Only this takes batches."""
        batches: list[_Batch[Item, Result]] = []
        while self._turns and len(self._running) + len(batches) < self._lanes:
            batches.append(self._next_batch())
        crowd = len(self._running) + len(batches)
        for batch in batches:
            task = asyncio.create_task(self._work_on(batch, crowd))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    async def _work_on(self, batch: _Batch[Item, Result], crowd: int) -> None:
        def work() -> Sequence[Result]:
            self._divide(crowd)
            return self._work([piece.item for piece in batch])

        try:
            results = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except Exception as error:
            parts = _smaller(batch, error)
            if len(parts) < 2:  # noqa: PLR2004 - nothing to try
                self._fail(batch[0].call, error)
                return
            error.__traceback__ = None  # its frames hold the memory of what was computed
            for part in parts:
                await self._work_on(part, crowd)
            return
        for piece, result in zip(batch, results, strict=True):
            call = piece.call
            call.done[piece.place] = result
            if len(call.done) == call.total and not call.answer.done():
                call.answer.set_result([call.done[place] for place in range(call.total)])

    def _next_batch(self) -> _Batch[Item, Result]:
        """The next piece of the call whose turn it is, with the pieces nearest to it in size."""
        seed = next(iter(self._turns[0].waiting.values()))
        self._turns.rotate(-1)
        first = bisect_left(self._waiting, _rank(seed), key=_rank)
        while self._waiting[first] is not seed:
            first += 1
        first, end = self._window(first)
        batch = self._waiting[first:end]
        del self._waiting[first:end]
        for piece in batch:
            del piece.call.waiting[piece.place]
            if not piece.call.waiting:
                self._turns.remove(piece.call)
        return batch

    def _window(self, first: int) -> tuple[int, int]:
        """The widest range around `first` that makes a batch, growing towards the nearer size."""
        end = first + 1
        while True:
            largest = self._waiting[end - 1].size
            below = self._distance(first - 1, first)
            above = self._distance(end, first)
            if above is not None and (below is None or above <= below):
                grown = self._waiting[end].size
                if (end - first + 1) * grown <= self._limit:
                    end += 1
                    continue
            if below is None or (end - first + 1) * largest > self._limit:
                return first, end
            first -= 1

    def _distance(self, index: int, other: int) -> int | None:
        """How far two waiting pieces are apart in size; None when they cannot go together."""
        if not 0 <= index < len(self._waiting):
            return None
        one, two = self._waiting[index], self._waiting[other]
        return abs(one.size - two.size) if one.group == two.group else None

    def _fail(self, call: _Call[Item, Result], error: Exception) -> None:
        if not call.answer.done():
            call.answer.set_exception(error)
        if call.waiting:
            self._take_back(call)

    def _take_back(self, call: _Call[Item, Result]) -> None:
        call.waiting.clear()
        if call in self._turns:
            self._turns.remove(call)
            self._waiting = [piece for piece in self._waiting if piece.call is not call]


def _smaller(batch: _Batch[Item, Result], error: Exception) -> list[_Batch[Item, Result]]:
    """What to try when `batch` failed: each call alone, which shows whose fault it is, or halves of one."""
    calls = list(dict.fromkeys(piece.call for piece in batch))
    if len(calls) > 1:
        return [[piece for piece in batch if piece.call is call] for call in calls]
    half = len(batch) // 2
    if half and out_of_memory(error, "A batch"):
        return [batch[:half], batch[half:]]
    return [batch]


def _rank(piece: _Piece[Item, Result]) -> tuple[str, int]:
    return (piece.group, piece.size)

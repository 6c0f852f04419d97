"""Blocking engine code beside the event loop: it can be cancelled, and never outlives its call."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar

Result = TypeVar("Result")
Item = TypeVar("Item")

_MOST_WAITING: Final = 4  # items that nobody has taken yet; then the thread waits
# Not the loop's own threads, which are few: threads that wait for a slow caller would use them up.
_THREADS: Final = ThreadPoolExecutor(256, thread_name_prefix="engine")


class Stopped(Exception):
    """Nobody wants the rest."""


class _End:
    """Comes after the last item."""


class Emitter(Generic[Item]):
    """How code in a thread hands out items, and sees that nobody wants any more."""

    def __init__(self, give: Callable[[Item], None]) -> None:
        self._give = give
        self._places = threading.Semaphore(_MOST_WAITING)
        self._stopped = threading.Event()

    def __call__(self, item: Item) -> None:
        """Hand out one item; waits while too many lie about. Raises Stopped."""
        self._places.acquire()
        if self._stopped.is_set():
            raise Stopped
        self._give(item)

    def is_stopped(self) -> bool:
        """Whether to give up; for engines that ask now and then."""
        return self._stopped.is_set()

    def taken(self) -> None:
        """Make room: one item has been used."""
        self._places.release()

    def stop(self) -> None:
        """Want nothing more."""
        self._stopped.set()
        self._places.release()


async def from_thread(work: Callable[[Emitter[Item]], None]) -> AsyncGenerator[Item, None]:
    """Give what `work` emits in a thread of its own, as it comes.

    Closing it, or cancelling, stops the work at its next emission or at the engine's next look at
    `is_stopped`, and waits for that: whatever the work uses may be freed afterwards.
    """
    loop = asyncio.get_running_loop()
    items: asyncio.Queue[Item | _End] = asyncio.Queue()
    emit: Emitter[Item] = Emitter(
        lambda item: _ignoring_closed(loop.call_soon_threadsafe, items.put_nowait, item)
    )
    working = loop.run_in_executor(_THREADS, work, emit)
    working.add_done_callback(lambda _: items.put_nowait(_End()))
    try:
        while not isinstance(item := await items.get(), _End):
            yield item
            emit.taken()
        working.result()
    finally:
        emit.stop()
        while not working.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({working})
        working.exception()  # seen, so that nobody warns of it


def _ignoring_closed(function: Callable[..., object], *arguments: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has closed; nobody waits any more
        function(*arguments)


async def in_own_thread(function: Callable[..., Result], *arguments: object) -> Result:
    """Run blocking code in a thread; cancelling waits for its end, so nothing is freed under it."""
    working = asyncio.get_running_loop().run_in_executor(_THREADS, function, *arguments)
    try:
        return await asyncio.shield(working)
    finally:
        while not working.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({working})
        if not working.cancelled():
            working.exception()  # seen, so that nobody warns of it


async def cancellable(work: Callable[[Callable[[], bool]], Result]) -> Result:
    """Run blocking code in a thread. It gets a function that says when to give up.

    Cancelling waits until it has.
    """

    def once(emit: Emitter[Result]) -> None:
        emit(work(emit.is_stopped))

    async with contextlib.aclosing(from_thread(once)) as items:
        results = [item async for item in items]
    return results[0]

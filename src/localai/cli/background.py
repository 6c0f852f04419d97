"""An event loop in a thread of its own, so that a terminal can be read, and interrupted, beside it."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Generator
    from concurrent.futures import Future

Result = TypeVar("Result")
Item_co = TypeVar("Item_co", covariant=True)
_END = object()


class Stream(Protocol[Item_co]):
    """What comes bit by bit, and can be closed before its end."""

    def __aiter__(self) -> AsyncIterator[Item_co]:
        """Give its items."""

    async def aclose(self) -> None:
        """End it."""


class Background:
    """Runs coroutines while the main thread waits. Ctrl-C ends the waiting and what is waited for."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`. Raises what it raises, and KeyboardInterrupt after ending it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            _end(future)
            raise

    def items(self, stream: Stream[Result]) -> Generator[Result, None, None]:
        """What `stream` gives, as it comes. It is closed when the caller stops, or on Ctrl-C."""
        arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()

        async def pump() -> None:
            try:
                async for item in stream:
                    arrived.put(item)
            finally:
                await stream.aclose()
                arrived.put(_END)

        future = asyncio.run_coroutine_threadsafe(pump(), self._loop)
        try:
            while (item := arrived.get()) is not _END:
                yield item
            future.result()
        finally:
            _end(future)


def _end(future: Future[Any]) -> None:
    """Cancel, and wait until it is over: what it leaves behind must not run into what comes next."""
    if future.done():
        return
    over = threading.Event()
    future.add_done_callback(lambda _: over.set())
    future.cancel()
    over.wait()

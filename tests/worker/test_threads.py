"""Blocking code beside the loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

import pytest

from localai.worker.threads import Emitter, cancellable, from_thread, in_own_thread

PATIENCE_S = 30.0


def test_items_come_in_order_and_errors_last() -> None:
    def work(emit: Emitter[int]) -> None:
        for number in range(50):
            emit(number)
        message = "the end"
        raise LookupError(message)

    async def run() -> None:
        async with aclosing(from_thread(work)) as items:
            assert [await anext(items) for _ in range(50)] == list(range(50))
            with pytest.raises(LookupError, match="the end"):
                await anext(items)

    asyncio.run(run())


def test_a_slow_taker_stops_the_thread() -> None:
    given = []

    def work(emit: Emitter[int]) -> None:
        for number in range(1000):
            emit(number)
            given.append(number)

    async def run() -> None:
        async with aclosing(from_thread(work)) as items:
            assert await anext(items) == 0
            await asyncio.sleep(0.1)
            assert len(given) < 10

    asyncio.run(run())
    assert len(given) < 10


def test_closing_waits_until_the_thread_has_ended() -> None:
    ended = threading.Event()
    begun = threading.Event()

    def work(emit: Emitter[int]) -> None:
        emit(1)
        begun.set()
        while not emit.is_stopped():
            threading.Event().wait(0.01)
        threading.Event().wait(0.1)
        ended.set()

    async def run() -> None:
        async with aclosing(from_thread(work)) as items:
            assert await anext(items) == 1
            await asyncio.to_thread(begun.wait)
        assert ended.is_set()

    asyncio.run(run())


def test_cancelling_waits_for_blocking_code() -> None:
    steps: list[str] = []
    begun = threading.Event()

    def work() -> None:
        begun.set()
        threading.Event().wait(0.2)
        steps.append("worked")

    async def run() -> None:
        task = asyncio.ensure_future(in_own_thread(work))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # twice does not help
        with pytest.raises(asyncio.CancelledError):
            await task
        steps.append("cancelled")

    asyncio.run(run())
    assert steps == ["worked", "cancelled"]


def test_a_result_and_an_error_come_back() -> None:
    def fail(_: object) -> int:
        raise ZeroDivisionError

    async def run() -> None:
        assert await in_own_thread(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await cancellable(fail)
        assert await asyncio.gather(*(in_own_thread(abs, -n) for n in range(40))) == list(range(40))

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))

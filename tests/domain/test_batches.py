"""Batches reach their reader whole and in order, pushed or pulled, and a slow reader slows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from localai.domain.batches import Batches, Take, at_once, batches_of, taken


def numbers(count: int, seen: list[int] | None = None) -> Batches[int]:
    async def deliver(take: Take[int]) -> None:
        try:
            for number in range(count):
                await taken(take, [number])
        finally:
            if seen is not None:
                seen.append(-1)

    return Batches(deliver)


def test_pushed_and_pulled_are_the_same() -> None:
    async def test() -> None:
        pushed: list[int] = []
        await numbers(500).into(pushed.extend)
        async with aclosing(numbers(500)) as batches:
            pulled = [number async for batch in batches for number in batch]
        assert pushed == pulled == list(range(500))

    asyncio.run(test())


def test_who_wants_to_wait_is_waited_for() -> None:
    async def test() -> None:
        events: list[str] = []

        async def slow(batch: Sequence[int]) -> None:
            events.append(f"begin {batch[0]}")
            await asyncio.sleep(0)
            events.append(f"end {batch[0]}")

        await numbers(3).into(slow)
        assert events == [f"{what} {number}" for number in range(3) for what in ("begin", "end")]

    asyncio.run(test())


def test_a_slow_puller_stops_the_pusher() -> None:
    async def test() -> None:
        pushed = 0

        async def deliver(take: Take[int]) -> None:
            nonlocal pushed
            for number in range(10_000):
                pushed += 1
                await taken(take, [number])

        async with aclosing(Batches(deliver)) as batches:
            assert await anext(batches) == [0]
            await asyncio.sleep(0.01)
            assert pushed < 200
            assert [number async for batch in batches for number in batch] == list(range(1, 10_000))

    asyncio.run(test())


def test_giving_up_ends_the_pusher() -> None:
    async def test() -> None:
        seen: list[int] = []
        async with aclosing(numbers(10_000, seen)) as batches:
            await anext(batches)
        assert seen == [-1]

    asyncio.run(test())


def test_what_breaks_it_is_told_after_what_came() -> None:
    async def deliver(take: Take[int]) -> None:
        await taken(take, [1])
        raise ValueError("broken")

    async def test() -> None:
        async with aclosing(Batches(deliver)) as batches:
            assert await anext(batches) == [1]
            with pytest.raises(ValueError, match="broken"):
                await anext(batches)
        with pytest.raises(ValueError, match="broken"):
            await Batches(deliver).into(lambda _: None)

    asyncio.run(test())


def test_a_generator_as_batches() -> None:
    closed = []

    async def generate() -> AsyncGenerator[Sequence[int], None]:
        try:
            for number in range(3):
                yield [number]
        finally:
            closed.append(True)

    async def test() -> None:
        found: list[int] = []
        await batches_of(generate()).into(found.extend)
        assert found == [0, 1, 2]
        with pytest.raises(ZeroDivisionError):
            await batches_of(generate()).into(lambda batch: [][1 // batch[0]])
        assert closed == [True, True]

    asyncio.run(test())


async def steps(done: list[str], *waits: asyncio.Future[str]) -> None:
    try:
        for wait in waits:
            done.append(await wait)  # noqa: PERF401 - each of them at its time
        done.append("end")
    except asyncio.CancelledError:
        done.append("cancelled")
        raise


def test_work_without_waiting_is_done_at_once() -> None:
    done: list[str] = []
    assert at_once(steps(done)) is None
    assert done == ["end"]


def test_the_rest_of_work_is_awaited() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        first, second = loop.create_future(), loop.create_future()
        done: list[str] = []
        rest = at_once(steps(done, first, second))
        assert rest is not None
        loop.call_later(0.01, first.set_result, "one")
        loop.call_later(0.02, second.set_result, "two")
        await rest
        assert done == ["one", "two", "end"]

    asyncio.run(test())


def test_the_rest_of_work_can_be_cancelled_and_can_fail() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        done: list[str] = []
        rest = at_once(steps(done, loop.create_future()))
        assert rest is not None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rest, 0.01)
        assert done == ["cancelled"]
        broken = loop.create_future()
        rest = at_once(steps([], broken))
        broken.set_exception(ValueError("broken"))
        assert rest is not None
        with pytest.raises(ValueError, match="broken"):
            await rest

    asyncio.run(test())


def test_work_that_fails_at_once_raises() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        at_once(fail())

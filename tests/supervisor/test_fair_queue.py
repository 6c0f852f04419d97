"""Turns: first come, first served, and one after the other between clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.supervisor.fair_queue import FairQueue


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def enter(queue: FairQueue, client: str, order: list[str], name: str) -> None:
    await queue.acquire(client)
    order.append(name)


def queued(arrivals: list[tuple[str, str]]) -> list[str]:
    """The order in which arrivals (client, name) get one place that is handed on and on."""

    async def run() -> list[str]:
        queue = FairQueue(1)
        order: list[str] = []
        await queue.acquire("before")
        tasks = []
        for client, name in arrivals:
            tasks.append(asyncio.create_task(enter(queue, client, order, name)))
            await settle()
        assert queue.waiting == len(arrivals)
        for _ in arrivals:
            queue.release()
            await settle()
        assert queue.waiting == 0
        await asyncio.gather(*tasks)
        return order

    return asyncio.run(run())


def test_clients_take_turns() -> None:
    arrivals = [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")]
    assert queued(arrivals) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_one_client_is_served_in_order() -> None:
    assert queued([("a", str(number)) for number in range(5)]) == list("01234")


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_nobody_waits_for_more_than_a_round(clients: list[str]) -> None:
    arrivals = [(client, f"{client}{number}") for number, client in enumerate(clients)]
    order = queued(arrivals)
    assert sorted(order) == sorted(name for _, name in arrivals)
    for client in set(clients):
        own = [name for name in order if name[0] == client]
        assert own == [name for owner, name in arrivals if owner == client]
        first = order.index(own[0])
        assert all(order[:first].count(other) <= 1 for other in order[:first])
        assert len({name[0] for name in order[:first]}) == first  # each other client once at most


@given(st.integers(1, 4), st.lists(st.sampled_from(["come", "go", "leave"]), max_size=40))
def test_places_are_neither_lost_nor_made(slots: int, steps: list[str]) -> None:
    async def run() -> None:
        queue = FairQueue(slots)
        inside: list[asyncio.Task[None]] = []
        tasks: list[asyncio.Task[None]] = []
        entered: list[str] = []
        left = 0
        for number, step in enumerate(steps):
            if step == "come":
                client = str(number % 3)
                tasks.append(asyncio.create_task(enter(queue, client, entered, client)))
            elif step == "go" and len(entered) > left:
                queue.release()
                left += 1
            elif step == "leave":
                waiting = [task for task in tasks if not task.done()]
                if waiting:
                    waiting[number % len(waiting)].cancel()
            await settle()
            assert len(entered) - left <= slots
            assert queue.waiting == 0 or len(entered) - left == slots
            assert queue.waiting == sum(not task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *inside, return_exceptions=True)

    asyncio.run(run())


def test_a_place_given_to_someone_who_just_left_goes_on() -> None:
    async def run() -> None:
        queue = FairQueue(1)
        await queue.acquire("a")
        order: list[str] = []
        leaving = asyncio.create_task(enter(queue, "b", order, "b"))
        staying = asyncio.create_task(enter(queue, "c", order, "c"))
        await settle()
        queue.release()  # to b, who has not run yet
        leaving.cancel()
        await settle()
        assert order == ["c"]
        await staying
        queue.release()
        await asyncio.wait_for(queue.acquire("d"), 5)

    asyncio.run(run())


def test_all_can_be_sent_away() -> None:
    async def run() -> None:
        queue = FairQueue(1)
        await queue.acquire("a")
        tasks = [asyncio.create_task(queue.acquire(client)) for client in "bcb"]
        await settle()
        queue.fail_all(RuntimeError("gone"))
        for task in tasks:
            with pytest.raises(RuntimeError, match="gone"):
                await task
        assert queue.waiting == 0

    asyncio.run(run())


def test_iterating_is_not_needed_to_be_empty() -> None:
    empty: Iterator[object] = FairQueue(1)._in_turn()
    assert list(empty) == []

"""How many workers there are at once: never more than allowed, and everybody is answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from localai.domain.errors import StartFailed
from localai.supervisor.launcher import LocalLauncher
from localai.supervisor.pool import Pool
from tests.live import clean_environment, is_alive
from tests.supervisor.test_pool import has_begun, pid_of, say, spec, until, with_pool


class Watching(LocalLauncher):
    """Counts, at each start, the worker processes that live."""

    def __init__(self) -> None:
        super().__init__(clean_environment())
        self.most = 0
        self.names: list[str] = []
        self._pids: list[int] = []

    async def launch(self, entry: Any, name: str) -> Any:
        process = await super().launch(entry, name)
        self._pids.append(int(process.description.removeprefix("pid ")))
        self.most = max(self.most, sum(is_alive(pid) for pid in self._pids))
        self.names.append(name)
        return process


def test_two_first_requests_at_once_are_answered_one_after_the_other() -> None:
    async def test(pool: Pool) -> None:
        said = await asyncio.gather(say(pool, spec("a")), say(pool, spec("b")))
        assert said == ["one two three"] * 2

    launcher = Watching()
    with_pool(test, launcher=launcher, max_workers=1)
    assert launcher.most == 1
    assert launcher.names == ["a", "b"]


@pytest.mark.parametrize("most", [1, 2])
def test_many_requests_to_many_models_are_all_answered(most: int) -> None:
    async def test(pool: Pool) -> None:
        models = [spec(name, slots=1, delay_s=0.01) for name in "abc"]
        calls = [
            say(pool, model, f"{model.name} {n}", f"client {n}")
            for n in range(4)
            for model in models
        ]
        said = await asyncio.gather(*calls)
        assert said == [f"{model.name} {n}" for n in range(4) for model in models]
        await until(lambda: not any(lane.is_busy for lane in pool.lanes.values()), "the end")

    launcher = Watching()
    with_pool(test, launcher=launcher, max_workers=most)
    assert launcher.most == most


def test_an_answer_is_whole_before_its_model_leaves_and_later_requests_wait_their_turn() -> None:
    async def test(pool: Pool) -> None:
        order: list[str] = []

        async def ask(name: str, text: str) -> None:
            assert await say(pool, spec(name, slots=1, delay_s=0.05), text) == text
            order.append(f"{name}: {text}")

        calls = [asyncio.create_task(ask("a", "one two three four five six"))]
        await until(lambda: has_begun(pool, 1, "a"), "the first answer")
        calls.append(asyncio.create_task(ask("a", "queued")))
        await until(lambda: pool.lanes["a"].waiting == 1, "the queue")
        calls.append(asyncio.create_task(ask("b", "other")))
        await until(lambda: pool.lanes["a"].worker is None, "the leaving")
        calls.append(asyncio.create_task(ask("a", "late")))
        await asyncio.gather(*calls)
        assert order == ["a: one two three four five six", "a: queued", "b: other", "a: late"]

    launcher = Watching()
    with_pool(test, launcher=launcher, max_workers=1)
    assert launcher.most == 1
    assert launcher.names == ["a", "b", "a"]


def test_a_failed_start_gives_its_place_to_the_next() -> None:
    async def test(pool: Pool) -> None:
        bad = asyncio.create_task(say(pool, spec("bad", fail_load="out of cheese")))
        await until(lambda: "bad" in pool.lanes and pool.lanes["bad"].is_loading, "the start")
        assert await say(pool, spec("good")) == "one two three"
        with pytest.raises(StartFailed):
            await bad
        assert await say(pool, spec("other")) == "one two three"

    launcher = Watching()
    with_pool(test, launcher=launcher, max_workers=1)
    assert launcher.most == 1


def test_a_model_that_nobody_waits_for_any_more_gives_its_place_away_while_it_loads() -> None:
    async def test(pool: Pool) -> None:
        slow = asyncio.create_task(say(pool, spec("slow", load_s=600)))
        await until(lambda: "slow" in pool.lanes and pool.lanes["slow"].is_loading, "the start")
        waiting = asyncio.create_task(say(pool, spec("good")))
        await until(lambda: "good" in pool.lanes and pool.lanes["good"].is_busy, "the waiting")
        gone = asyncio.create_task(say(pool, spec("gone")))
        await until(lambda: "gone" in pool.lanes and pool.lanes["gone"].is_busy, "the waiting")
        for task in (gone, slow):
            task.cancel()
        assert await waiting == "one two three"
        assert await say(pool, spec("slow")) == "one two three"

    launcher = Watching()
    with_pool(test, launcher=launcher, max_workers=1)
    assert launcher.most == 1
    assert launcher.names == ["slow", "good", "slow"]


def test_hanging_up_while_a_model_loads_does_no_harm_where_nobody_else_waits() -> None:
    async def test(pool: Pool) -> None:
        call = asyncio.create_task(say(pool, spec(load_s=0.5)))
        await until(lambda: "m" in pool.lanes and pool.lanes["m"].is_loading, "the start")
        call.cancel()
        await until(lambda: pool.lanes["m"].worker is not None, "the worker")

    with_pool(test, max_workers=1)


def test_a_pinned_model_stays_and_the_others_take_turns_beside_it() -> None:
    async def test(pool: Pool) -> None:
        pinned = replace(spec("pinned"), pinned=True)
        await say(pool, pinned)
        first = pid_of(pool, "pinned")
        said = await asyncio.gather(*(say(pool, spec(name)) for name in "abc"))
        assert said == ["one two three"] * 3
        assert pid_of(pool, "pinned") == first

    launcher = Watching()
    with_pool(test, launcher=launcher, max_workers=1)
    assert launcher.most == 2


def test_a_pinned_model_that_changed_gets_its_place_back() -> None:
    """While it has none, there is one place less: the other model leaves."""

    async def test(pool: Pool) -> None:
        await say(pool, replace(spec("pinned"), pinned=True))
        await say(pool, spec("other"))
        again = replace(spec("pinned", revision="r2"), pinned=True)
        async with asyncio.timeout(20):
            assert await say(pool, again) == "one two three"
            assert await say(pool, spec("other")) == "one two three"

    with_pool(test, max_workers=1)


def test_a_changed_model_has_one_worker_at_a_time() -> None:
    async def test(pool: Pool) -> None:
        old = asyncio.create_task(say(pool, spec(delay_s=0.05), "one two three four five"))
        await until(lambda: has_begun(pool, 1), "the old call")
        assert await say(pool, spec(revision="r2"), "y") == "y"
        assert await old == "one two three four five"

    launcher = Watching()
    with_pool(test, launcher=launcher, max_workers=1)
    assert launcher.most == 1


def test_closing_waits_for_nobody_who_waits_for_a_place() -> None:
    async def test(pool: Pool) -> None:
        endless = spec("endless", delay_s=0.05, repeat=100_000)
        calls = [asyncio.create_task(say(pool, endless))]
        await until(lambda: has_begun(pool, 1, "endless"), "the answer")
        calls.append(asyncio.create_task(say(pool, spec("other"))))
        await until(lambda: pool.lanes["endless"].worker is None, "the leaving")
        async with asyncio.timeout(20):
            await pool.close(drain_s=0.0)
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, BaseException) for result in results)

    with_pool(test, max_workers=1)

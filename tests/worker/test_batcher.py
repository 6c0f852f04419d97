"""Small calls become large ones, without waiting for more and without harm to one another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localai.worker.batcher import Batcher

LIMIT = 12


class Engine:
    """Doubles words. It works only when `gate` is open, so that a test decides what waits meanwhile."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[str]] = []
        self.most = 0
        self._working = 0

    def __call__(self, words: list[str]) -> list[str]:
        self._working += 1
        self.most = max(self.most, self._working)
        self.batches.append(list(words))
        assert self.gate.wait(30)
        self._working -= 1
        if "bad" in words:
            raise ValueError("bad")
        return [word * 2 for word in words]


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def submit(batcher: Batcher[str, str], words: Sequence[str], group: str = "") -> asyncio.Task[Any]:
    return asyncio.create_task(batcher.submit(words, size=len, group=group))


async def until(probe: Callable[[], bool]) -> None:
    while not probe():  # noqa: ASYNC110 - in another thread
        await asyncio.sleep(0.001)


def test_an_idle_engine_starts_at_once() -> None:
    async def test() -> None:
        engine = Engine()
        batcher = Batcher(engine, limit=LIMIT)
        for word in ("a", "b"):
            assert await batcher.submit([word], size=len) == [word * 2]
        assert engine.batches == [["a"], ["b"]]

    run(test())


def test_what_waits_goes_together() -> None:
    async def test() -> None:
        engine = Engine()
        batcher = Batcher(engine, limit=LIMIT)
        engine.gate.clear()
        first = submit(batcher, ["first"])
        await until(lambda: len(engine.batches) == 1)
        others = [submit(batcher, [word]) for word in ("aa", "bb", "cc", "dd")]
        await asyncio.sleep(0)
        engine.gate.set()
        assert await first == ["firstfirst"]
        assert await asyncio.gather(*others) == [["aaaa"], ["bbbb"], ["cccc"], ["dddd"]]
        assert engine.batches[1:] == [["aa", "bb", "cc", "dd"]]
        assert engine.most == 1

    run(test())


def test_an_engine_with_lanes_works_on_as_many_batches_at_once() -> None:
    """Each is told, in its thread, how many share the machine; calls stay whole."""

    async def test() -> None:
        engine = Engine()
        told: list[int] = []
        batcher = Batcher(engine, limit=LIMIT, lanes=2, divide=told.append)
        assert await batcher.submit(["alone"], size=len) == ["alonealone"]
        assert told == [1]
        engine.gate.clear()
        calls = [submit(batcher, ["a" * 10, "b" * 10, "c" * 10]), submit(batcher, ["d" * 10])]
        await until(lambda: len(engine.batches) == 3)
        await asyncio.sleep(0.05)
        assert len(engine.batches) == 3
        engine.gate.set()
        assert await asyncio.gather(*calls) == [["a" * 20, "b" * 20, "c" * 20], ["d" * 20]]
        assert told[1:3] == [2, 2]
        await batcher.close()

    run(test())


def test_a_batch_holds_what_is_alike_and_no_more_than_the_limit() -> None:
    async def test() -> None:
        engine = Engine()
        batcher = Batcher(engine, limit=LIMIT)
        await batcher.submit(["aaa", "b", "cccccc", "d" * 50, "eeeeee", "f", "ggg"], size=len)
        assert sorted(sorted(batch) for batch in engine.batches) == [
            ["aaa", "b", "f", "ggg"],
            ["cccccc", "eeeeee"],
            ["d" * 50],
        ]

    run(test())


def test_groups_are_kept_apart() -> None:
    async def test() -> None:
        engine = Engine()
        batcher = Batcher(engine, limit=LIMIT)
        calls = [
            submit(batcher, [word], group) for word, group in (("a", "x"), ("b", "y"), ("c", "x"))
        ]
        await asyncio.gather(*calls)
        assert sorted(sorted(batch) for batch in engine.batches) == [["a", "c"], ["b"]]

    run(test())


def test_one_failing_input_fails_only_its_call() -> None:
    async def test() -> None:
        engine = Engine()
        batcher = Batcher(engine, limit=LIMIT)
        calls = [submit(batcher, words) for words in (["a", "x"], ["b", "bad"], ["c"])]
        good, bad, fine = await asyncio.gather(*calls, return_exceptions=True)
        assert good == ["aa", "xx"]
        assert isinstance(bad, ValueError)
        assert fine == ["cc"]

    run(test())


def test_a_failed_call_is_not_gone_on_with() -> None:
    async def test() -> None:
        engine = Engine()
        batcher = Batcher(engine, limit=LIMIT)
        with pytest.raises(ValueError, match="bad"):
            await batcher.submit(["bad", *["long word"] * 20], size=len)
        assert await batcher.submit(["a"], size=len) == ["aa"]
        assert engine.batches == [["bad"], ["a"]]

    run(test())


def test_a_cancelled_call_is_taken_back() -> None:
    async def test() -> None:
        engine = Engine()
        batcher = Batcher(engine, limit=LIMIT)
        engine.gate.clear()
        first = submit(batcher, ["first"])
        await until(lambda: len(engine.batches) == 1)
        gone = submit(batcher, ["gone"] * 50)
        stays = submit(batcher, ["stays"])
        await asyncio.sleep(0)
        gone.cancel()
        first.cancel()
        await asyncio.sleep(0)
        engine.gate.set()
        assert await stays == ["staysstays"]
        assert engine.batches == [["first"], ["stays"]]

    run(test())


def test_a_small_call_beside_a_large_one_has_its_turn() -> None:
    async def test() -> None:
        engine = Engine()
        batcher = Batcher(engine, limit=LIMIT)
        large = submit(batcher, ["largest"] * 100)
        await until(lambda: len(engine.batches) >= 1)
        assert await batcher.submit(["s"], size=len) == ["ss"]
        assert not large.done()
        assert await large == ["largestlargest"] * 100

    run(test())


def test_nothing_to_do() -> None:
    async def test() -> None:
        engine = Engine()
        assert await Batcher(engine, limit=LIMIT).submit([], size=len) == []
        assert engine.batches == []

    run(test())


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.text("ab", max_size=15), max_size=9), st.sampled_from("xy")),
        max_size=12,
    ),
    st.integers(1, 3),
)
def test_every_call_gets_its_own_results_in_order(
    calls: list[tuple[list[str], str]], lanes: int
) -> None:
    async def test() -> None:
        engine = Engine()
        batcher = Batcher(engine, limit=LIMIT, lanes=lanes)
        answers = await asyncio.gather(*(submit(batcher, *call) for call in calls))
        assert answers == [[word * 2 for word in words] for words, _ in calls]
        for batch in engine.batches:
            assert len(batch) == 1 or len(batch) * max(map(len, batch)) <= LIMIT
        await batcher.close()

    run(test())


class OutOfMemoryError(RuntimeError):
    """As PyTorch calls it."""


def test_what_a_gpu_has_no_room_for_is_computed_in_halves() -> None:
    sizes: list[int] = []

    def work(words: list[str]) -> list[str]:
        sizes.append(len(words))
        if len(words) > 3 or "huge" in words:
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return [word * 2 for word in words]

    async def test() -> None:
        batcher = Batcher(work, limit=100)
        words = list("abcdefgh")
        assert await batcher.submit(words, size=len) == [word * 2 for word in words]
        assert sizes == [8, 4, 2, 2, 4, 2, 2]
        with pytest.raises(OutOfMemoryError):
            await batcher.submit(["a", "huge"], size=len)
        assert await batcher.submit(["b"], size=len) == ["bb"]

    run(test())

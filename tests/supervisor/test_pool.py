"""The pool over real worker processes of the echo backend."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from localai.catalog.spec import ModelSpec
from localai.domain.errors import (
    CoolingDown,
    Crashed,
    EngineFailed,
    LocalAIError,
    QueueFull,
    ShuttingDown,
    StartFailed,
    TimedOut,
)
from localai.domain.events import Delta, Finished
from localai.domain.generation import Completion, GenerationRequest
from localai.domain.tasks import Task
from localai.domain.vectors import Embeddings, EmbedRequest
from localai.supervisor.lane import PoolSettings
from localai.supervisor.launcher import Endpoint, Launched, LocalLauncher
from localai.supervisor.pool import Pool
from localai.supervisor.worker import Patience
from localai.wire import codec
from localai.wire.messages import Health, ModelFacts
from tests.live import PATIENCE_S, clean_environment, is_alive

QUICK = Patience(start_s=PATIENCE_S, probe_s=1.0, stall_s=PATIENCE_S, stop_s=5.0)


def spec(name: str = "m", *, revision: str = "r1", **options: object) -> ModelSpec:
    listed = tuple(f"{key}:{value}" for key, value in options.items())
    return ModelSpec(name=name, backend="echo", options=listed, worker_revision=revision)


def request(text: str = "one two three", client: str = "") -> GenerationRequest:
    return GenerationRequest(model="m", prompt=Completion(text=text), client=client)


async def say(pool: Pool, model: ModelSpec, text: str = "one two three", client: str = "") -> str:
    said = ""
    async for batch in pool.run(model, request(text, client)):
        said += "".join(event.text for event in batch if isinstance(event, Delta))
    return said


async def until(probe: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not probe():
        assert time.monotonic() < deadline, f"{what} did not happen"
        await asyncio.sleep(0.01)


def has_begun(pool: Pool, calls: int, name: str = "m") -> bool:
    """Whether so many calls have got their first event: before that, another worker may take them."""
    lane = pool.lanes.get(name)
    if lane is None or lane.worker is None or lane.running != calls:
        return False
    return all(call.has_begun for call in lane.worker._calls)


def with_pool(
    test: Callable[[Pool], Coroutine[Any, Any, None]], *, launcher: Any = None, **settings: Any
) -> None:
    async def run() -> None:
        made = launcher or LocalLauncher(clean_environment())
        pool = Pool(made, PoolSettings(**({"patience": QUICK} | settings)))
        try:
            await test(pool)
        finally:
            await pool.close(drain_s=0.0)

    asyncio.run(run())


def pid_of(pool: Pool, name: str = "m") -> int:
    worker = pool.lanes[name].worker
    assert worker is not None
    return int(worker.description.removeprefix("pid "))


def test_a_request_starts_a_worker_that_stays() -> None:
    async def test(pool: Pool) -> None:
        assert await say(pool, spec()) == "one two three"
        first = pid_of(pool)
        assert await say(pool, spec()) == "one two three"
        assert pid_of(pool) == first
        lane = pool.lanes["m"]
        assert lane.worker is not None
        assert (lane.worker.memory_bytes() or 1) > 0
        assert not lane.is_busy
        await pool.close(drain_s=0.0)
        assert not is_alive(first)
        with pytest.raises(ShuttingDown):
            await say(pool, spec())

    with_pool(test)


def test_all_first_requests_share_one_start() -> None:
    async def test(pool: Pool) -> None:
        said = await asyncio.gather(*(say(pool, spec(load_s=0.3)) for _ in range(10)))
        assert set(said) == {"one two three"}

    launcher = Counting()
    with_pool(test, launcher=launcher)
    assert launcher.launched == 1


class Counting(LocalLauncher):
    """Counts the workers it starts."""

    def __init__(self) -> None:
        super().__init__(clean_environment())
        self.launched = 0

    async def launch(self, entry: Any, name: str) -> Any:
        self.launched += 1
        return await super().launch(entry, name)


def test_a_crash_ends_its_calls_and_the_next_request_is_served() -> None:
    async def test(pool: Pool) -> None:
        model = spec(delay_s=0.02, repeat=100_000)
        calls = [asyncio.create_task(say(pool, model)) for _ in range(3)]
        await until(lambda: has_begun(pool, 3), "three calls")
        waiting = [asyncio.create_task(say(pool, model)) for _ in range(2)]  # beyond its 4 slots
        await until(lambda: has_begun(pool, 4), "the fourth")
        first = pid_of(pool)
        os.kill(first, signal.SIGKILL)
        for result in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(result, Crashed)
            assert result.fields["exit_code"] == -9
        await until(
            lambda: pool.lanes["m"].worker is not None and pid_of(pool) != first, "a fresh one"
        )
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    with_pool(test)


def test_requests_in_the_queue_survive_a_crash() -> None:
    async def test(pool: Pool) -> None:
        crashing = spec(slots=1, delay_s=0.2)
        first = asyncio.create_task(say(pool, crashing, "a b c d e f g h"))
        await until(lambda: has_begun(pool, 1), "the call")
        second = asyncio.create_task(say(pool, crashing, "quick"))
        await until(lambda: pool.lanes["m"].waiting == 1, "the queue")
        os.kill(pid_of(pool), signal.SIGKILL)
        with pytest.raises(Crashed):
            await first
        assert await second == "quick"

    with_pool(test)


def test_sockets_that_are_taken_away_are_made_anew() -> None:
    """What cleans the system's temporary folder takes away what nobody has touched for days."""

    async def test(pool: Pool) -> None:
        slow = spec(delay_s=0.1)
        running = asyncio.create_task(say(pool, slow, "a b c d e f g h i j k l m n o"))
        await until(lambda: has_begun(pool, 1), "the call")
        worker = pool.lanes["m"].worker
        assert worker is not None
        shutil.rmtree(Path(worker._launched.endpoint.socket).parent)
        assert await say(pool, slow, "x y") == "x y", "a fresh worker, in a new folder"
        assert await say(pool, spec("other"), "z") == "z"
        assert await running == "a b c d e f g h i j k l m n o"
        await until(
            lambda: not is_alive(int(worker.description.removeprefix("pid "))),
            "the end of the old worker",
        )

    with_pool(test)


def test_a_frozen_worker_is_killed_and_replaced() -> None:
    async def test(pool: Pool) -> None:
        with pytest.raises(TimedOut, match="sign of life"):
            await say(pool, spec(freeze_after=1))
        assert await say(pool, spec(freeze_after=1), "one") == "one"

    with_pool(test)


def test_a_stalled_call_is_ended() -> None:
    async def test(pool: Pool) -> None:
        with pytest.raises(TimedOut, match="next token"):
            await say(pool, spec(hang_after=2))

    with_pool(test, patience=Patience(start_s=PATIENCE_S, stall_s=1.0))


def test_a_slow_reader_is_no_stalled_call() -> None:
    async def test(pool: Pool) -> None:
        said = 0
        async with aclosing(pool.run(spec(), request())) as batches:
            async for batch in batches:
                said += sum(isinstance(event, Delta) for event in batch)
                if said == 1:
                    await asyncio.sleep(2.5)  # five times the patience
        assert said == 3

    with_pool(test, patience=Patience(start_s=PATIENCE_S, stall_s=0.5))


def test_a_failed_start_rests_and_doubles() -> None:
    async def test(pool: Pool) -> None:
        bad = spec(fail_load="out of cheese")
        with pytest.raises(StartFailed, match="out of cheese"):
            await say(pool, bad)
        with pytest.raises(CoolingDown) as caught:
            await say(pool, bad)
        assert 0 < caught.value.fields["retry_after_s"] <= 0.5
        await asyncio.sleep(0.6)
        with pytest.raises(StartFailed):
            await say(pool, bad)
        with pytest.raises(CoolingDown) as caught:
            await say(pool, bad)
        assert 0.5 < caught.value.fields["retry_after_s"] <= 1.0
        assert await say(pool, spec(revision="r2")) == "one two three"

    with_pool(test, cooldown_s=0.5)


def test_loading_that_takes_too_long_is_given_up() -> None:
    async def test(pool: Pool) -> None:
        with pytest.raises(TimedOut) as caught:
            await say(pool, spec(load_s=600))
        assert "--worker-start-timeout" in caught.value.hint

    with_pool(test, patience=Patience(start_s=2.0))


def test_a_new_revision_gets_a_new_worker_and_the_old_one_finishes() -> None:
    async def test(pool: Pool) -> None:
        old = spec(delay_s=0.1, repeat=20)
        running = asyncio.create_task(say(pool, old, "x"))
        await until(lambda: "m" in pool.lanes and pool.lanes["m"].running == 1, "the old call")
        first = pid_of(pool)
        assert await say(pool, spec(revision="r2"), "y") == "y"
        assert pid_of(pool) != first
        assert await running == "x" + " x" * 19
        await until(lambda: not is_alive(first), "the end of the old worker")

    with_pool(test)


def test_who_has_waited_long_does_not_bring_an_old_revision_back() -> None:
    async def test(pool: Pool) -> None:
        old = spec(slots=1, delay_s=0.1)
        calls = [asyncio.create_task(say(pool, old, "a b c d e f")) for _ in range(4)]
        await until(lambda: "m" in pool.lanes and pool.lanes["m"].running == 1, "the old call")
        await until(lambda: pool.lanes["m"].waiting == 3, "the queue")
        assert await say(pool, spec(revision="r2"), "y") == "y"
        assert await asyncio.gather(*calls) == ["a b c d e f"] * 4
        worker = pool.lanes["m"].worker
        assert worker is not None
        assert worker.revision == "r2"

    launcher = Counting()
    with_pool(test, launcher=launcher)
    assert launcher.launched == 2


def test_a_revision_that_comes_while_another_loads_gets_its_worker() -> None:
    async def test(pool: Pool) -> None:
        first = asyncio.create_task(say(pool, spec(load_s=0.5), "x"))
        await until(lambda: "m" in pool.lanes and pool.lanes["m"].is_busy, "the start")
        assert await say(pool, spec(revision="r2"), "y") == "y"
        worker = pool.lanes["m"].worker
        assert worker is not None
        assert worker.revision == "r2"
        assert await first == "x"

    with_pool(test)


def test_the_queue_has_an_end_and_flooding_clients_wait_for_others() -> None:
    async def test(pool: Pool) -> None:
        model = spec(slots=1, delay_s=0.1)
        order: list[str] = []

        async def ask(client: str) -> None:
            await say(pool, model, "a b c", client)
            order.append(client)

        flood = [asyncio.create_task(ask("a")) for _ in range(8)]
        await until(lambda: "m" in pool.lanes and pool.lanes["m"].running == 1, "the flood")
        single = asyncio.create_task(ask("b"))
        await until(lambda: pool.lanes["m"].waiting == 8, "the queue")
        with pytest.raises(QueueFull) as caught:
            await say(pool, model, "x", "c")
        assert caught.value.fields["limit"] == 8
        assert caught.value.retry_after_s
        await asyncio.gather(*flood, single)
        assert order.index("b") <= 3
        await until(lambda: not pool.lanes["m"].is_busy, "the end")

    with_pool(test, queue_limit=8)


def test_an_answer_that_is_cut_off_by_unloading_says_so() -> None:
    async def test(pool: Pool) -> None:
        call = asyncio.create_task(say(pool, spec(delay_s=0.05, repeat=100_000)))
        await until(lambda: has_begun(pool, 1), "the call")
        await pool.lanes["m"].unload(drain_s=0.2)
        with pytest.raises(EngineFailed, match="was unloaded before its answer was whole"):
            await call

    with_pool(test)


def test_hanging_up_frees_the_place() -> None:
    async def test(pool: Pool) -> None:
        model = spec(slots=1, delay_s=0.02, repeat=100_000)
        for _ in range(3):
            async with aclosing(pool.run(model, request())) as batches:
                async for batch in batches:
                    if any(isinstance(event, Delta) for event in batch):
                        break
        assert await say(pool, spec(slots=1, delay_s=0.02, repeat=100_000), "") == ""
        assert not pool.lanes["m"].is_busy

    with_pool(test)


def test_room_is_made_for_another_model() -> None:
    async def test(pool: Pool) -> None:
        for name in ("a", "b", "c", "a"):
            await say(pool, spec(name))
        await until(
            lambda: sum(lane.worker is not None for lane in pool.lanes.values()) == 2, "two"
        )
        assert pool.lanes["b"].worker is None
        assert pool.lanes["a"].worker is not None

    with_pool(test, max_workers=2)


def test_idle_workers_leave_and_busy_ones_stay() -> None:
    async def test(pool: Pool) -> None:
        busy = asyncio.create_task(say(pool, spec("busy", delay_s=0.05, repeat=100_000)))
        await say(pool, spec("idle"))
        await until(lambda: pool.lanes["idle"].worker is None, "the unloading")
        assert pool.lanes["busy"].running == 1
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)

    with_pool(test, idle_s=1.0)


def test_load_before_the_first_request() -> None:
    async def test(pool: Pool) -> None:
        facts = await pool.load(spec(slots=7))
        assert facts.slots == 7
        with pytest.raises(LocalAIError, match="no backend"):
            await pool.load(ModelSpec(name="x", backend="nothing"))

    with_pool(test)


# ---- a launcher that is no process


class Absent:
    """A worker that never comes to life: nothing listens, and it ends when told to."""

    def __init__(self, *, dies_with: int | None = None) -> None:
        self.endpoint = Endpoint(url="http://127.0.0.1:9", token="t")
        self.description = "absent"
        self._dies_with = dies_with
        self._ended = asyncio.Event()
        if dies_with is not None:
            self._ended.set()

    def log_tail(self) -> str:
        return "first line\nthe last words"

    def memory_bytes(self) -> int | None:
        return None

    def is_outdated(self) -> bool:
        return False

    async def exited(self) -> int | None:
        await self._ended.wait()
        return self._dies_with

    async def stop(self, *, grace_s: float) -> None:  # noqa: ARG002 - the protocol's signature
        self._ended.set()


class FakeLauncher:
    """Launches what it is given."""

    def __init__(self, make: Callable[[], Launched | Awaitable[Launched]]) -> None:
        self._make = make
        self.is_closed = False

    def check(self, entry: Any) -> None:
        """Its engine is always there."""

    async def launch(self, entry: Any, name: str) -> Any:  # noqa: ARG002 - the protocol's signature
        made = self._make()
        return await made if isinstance(made, Awaitable) else made

    async def close(self) -> None:
        self.is_closed = True


class Embedding(Absent):
    """A worker that answers at once, but needs `each_s` for every text it embeds."""

    def __init__(self, each_s: float) -> None:
        super().__init__()
        self._each_s = each_s
        self._listening: asyncio.Server | None = None
        self._talks: set[asyncio.Task[Any]] = set()

    async def listen(self) -> Launched:
        self._listening = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        port = self._listening.sockets[0].getsockname()[1]
        self.endpoint = Endpoint(url=f"http://127.0.0.1:{port}", token="t")
        return self

    async def stop(self, *, grace_s: float) -> None:
        assert self._listening is not None
        self._listening.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await super().stop(grace_s=grace_s)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        with (
            contextlib.closing(writer),
            contextlib.suppress(asyncio.IncompleteReadError, ConnectionError),
        ):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                answer = await self._body(head.split()[1], body)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer
                )

    async def _body(self, path: str, body: bytes) -> bytes:
        if path == "/health":
            return codec.encode(Health(state="ready"))
        if path == "/load":
            return codec.encode(ModelFacts())
        request = codec.decode_task_request(Task.EMBED, body)
        await asyncio.sleep(self._each_s * len(request.inputs))
        return codec.encode_task_result(
            Embeddings(vectors=(b"v",) * len(request.inputs), prompt_tokens=1)
        )


def test_many_texts_have_the_time_of_each() -> None:
    """An hour of honest work is no stall; one text that takes so long is."""

    async def test(pool: Pool) -> None:
        many = EmbedRequest(inputs=("text",) * 20)
        found = await pool.call(spec(), Task.EMBED, many)
        assert len(found.vectors) == 20
        with pytest.raises(TimedOut, match="The result of 'slow' took longer"):
            await pool.call(spec("slow"), Task.EMBED, EmbedRequest(inputs=("text",)))

    made = iter([Embedding(0.15), Embedding(600)])
    launcher = FakeLauncher(lambda: next(made).listen())
    with_pool(test, launcher=launcher, patience=Patience(start_s=PATIENCE_S, stall_s=1.0))


def test_a_worker_that_dies_while_it_loads() -> None:
    launcher = FakeLauncher(lambda: Absent(dies_with=-6))

    async def test(pool: Pool) -> None:
        with pytest.raises(StartFailed) as caught:
            await say(pool, spec())
        assert "signal 6" in caught.value.message
        assert "the last words" in caught.value.message

    with_pool(test, launcher=launcher)
    assert launcher.is_closed


def test_a_worker_that_the_system_kills_while_it_loads() -> None:
    async def test(pool: Pool) -> None:
        with pytest.raises(StartFailed) as caught:
            await say(pool, spec())
        assert "signal 9" in caught.value.message
        assert "memory runs out" in caught.value.hint

    with_pool(test, launcher=FakeLauncher(lambda: Absent(dies_with=-9)))


def test_a_worker_that_never_listens() -> None:
    async def test(pool: Pool) -> None:
        with pytest.raises(TimedOut):
            await say(pool, spec())

    with_pool(test, launcher=FakeLauncher(Absent), patience=Patience(start_s=0.5))


def test_a_launcher_that_cannot_start() -> None:
    def refuse() -> Launched:
        raise StartFailed("no room on that host")

    async def test(pool: Pool) -> None:
        with pytest.raises(StartFailed, match="no room"):
            await say(pool, spec())
        with pytest.raises(CoolingDown, match="no room"):
            await say(pool, spec())

    with_pool(test, launcher=FakeLauncher(refuse))


def test_events_come_in_order_and_end_with_a_count() -> None:
    async def test(pool: Pool) -> None:
        events = [event async for batch in pool.run(spec(), request()) for event in batch]
        assert isinstance(events[-1], Finished)
        assert events[-1].usage.completion_tokens == 3

    with_pool(test)


def environment_of(pid: int) -> bytes:
    """The environment of a process, where the system shows it."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except FileNotFoundError:
        pytest.skip("this system does not show a process's environment")


def test_the_workers_environment_holds_no_keys() -> None:
    found: list[bytes] = []

    async def test(pool: Pool) -> None:
        await say(pool, spec())
        found.append(environment_of(pid_of(pool)))

    with_pool(
        test,
        launcher=LocalLauncher(
            clean_environment(LOCALAI_API_KEY="top-secret", API_KEY="top-secret")
        ),
    )
    assert b"PATH=" in found[0]
    assert b"top-secret" not in found[0]

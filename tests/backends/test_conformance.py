"""One suite over every backend of the manifest, task by task: what any engine owes to the server."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import os
import resource
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localai.domain.errors import RequestError
from localai.domain.events import Finished, FinishReason
from localai.domain.tasks import AUDIO, Task
from localai.engines.manifest import BackendEntry, Manifest
from localai.worker.runtime import tasks_of
from tests.backends.exercises import EXERCISES, Exercise, fold_of
from tests.backends.lone import Lone, chat, complete
from tests.backends.subjects import SUBJECTS, Kept, Subject
from tests.engines.installed import skip_without, stock
from tests.live import PATIENCE_S, is_alive

# Those that hear or speak have a suite of their own.
ENTRIES = [entry for entry in Manifest().entries() if not {*entry.tasks} & {*map(str, AUDIO)}]


def only(subjects: Sequence[Subject]) -> pytest.MarkDecorator:
    """Run a test with some of the models."""
    return pytest.mark.parametrize(
        "kept", subjects, ids=lambda subject: subject.name, indirect=True, scope="module"
    )


for_generators = only([subject for subject in SUBJECTS if Task.GENERATE in subject.tasks])
# What costs a start of the engine is tried with the first model of each.
for_each_engine = only(list({subject.backend: subject for subject in reversed(SUBJECTS)}.values()))
ROUNDS = {"echo": 20, "llama-cpp": 3}  # of loading and unloading
ROUNDS_ELSEWHERE = 2  # importing an engine takes seconds
MEMORY_ROUNDS = 4  # of calls, until a worker stops growing

pytestmark = pytest.mark.timeout(10 * PATIENCE_S)  # an engine may take minutes to load

Test = Callable[[Lone], Coroutine[Any, Any, None]]
RunTest = Callable[[Test], None]


@pytest.fixture(params=Manifest().entries(), ids=lambda entry: entry.name)
def entry(request: pytest.FixtureRequest) -> BackendEntry:
    """Each backend, if its engine is installed."""
    found: BackendEntry = request.param
    skip_without(found)
    return found


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module", params=SUBJECTS, ids=lambda subject: subject.name)
def kept(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    runner: asyncio.Runner,
) -> Iterator[Kept]:
    """Each model, if its engine is installed."""
    subject = request.param
    skip_without(subject.entry)
    path = subject.make(tmp_path_factory.mktemp("weights"))
    with subject.beside() as more:
        found = Kept(subject, path, *(more or ()))
        yield found
        runner.run(found.close())


@pytest.fixture
def run(kept: Kept, runner: asyncio.Runner) -> RunTest:
    """Run a test with the model's worker."""

    def start(test: Test) -> None:
        async def within() -> None:
            lone = await kept.lone()
            await asyncio.wait_for(test(lone), 2 * PATIENCE_S)

        runner.run(within())

    return start


@pytest.mark.parametrize("backend", ENTRIES, ids=lambda entry: entry.name)
def test_every_task_of_every_backend_is_tested(backend: BackendEntry) -> None:
    tested = {task for one in SUBJECTS if one.backend == backend.name for task in one.tasks}
    assert {task.value for task in tested} == set(backend.tasks), "tests/backends/subjects.py"
    assert tested <= set(EXERCISES), "tests/backends/exercises.py"


def test_the_manifest_lists_what_the_class_does(entry: BackendEntry) -> None:
    if entry.is_bundled:
        able = tasks_of(importlib.import_module(entry.module).Backend)
    else:
        checked = asyncio.run(stock().check(entry.name))
        assert checked is not None
        able = checked.tasks
    assert set(entry.tasks) == set(able)
    assert set(entry.tasks) <= {task.value for task in Task}


@pytest.mark.parametrize("backend", ENTRIES, ids=lambda entry: entry.name)
def test_it_is_found_by_its_names(backend: BackendEntry) -> None:
    for name in (backend.name, *backend.aliases, backend.name.upper()):
        assert Manifest().find(name) == backend
    assert backend.summary.endswith(".")


def test_facts(run: RunTest, kept: Kept) -> None:
    async def test(lone: Lone) -> None:
        assert lone.facts.slots >= 1
        is_told = kept.subject.backend != "huggingface"  # which does not say what its models hold
        assert (lone.facts.context_size >= 1) == is_told
        assert lone.facts.device
        assert lone.facts.warnings == []

    run(test)


# An engine adds up in another order when it reads several inputs at once, and how much that changes
# depends on the processor. Scores of different documents are two orders of magnitude further apart.
IN_A_BATCH = 1e-3


def test_together_and_alone_give_the_same(run: RunTest, kept: Kept) -> None:
    async def test(lone: Lone) -> None:
        for exercise in kept.subject.exercises:
            alone = await exercise.ask(lone)
            together = await asyncio.gather(*(exercise.ask(lone) for _ in range(4)))
            expected = alone if isinstance(alone, str) else pytest.approx(alone, abs=IN_A_BATCH)
            assert together == [expected] * 4, exercise

    run(test)


async def until_free(lone: Lone) -> None:
    async with asyncio.timeout(30):
        while (await lone.client.health(timeout_s=10)).running:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)


async def cancel(call: asyncio.Task[Any]) -> None:
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call


def test_a_call_can_be_cancelled(run: RunTest, kept: Kept) -> None:
    async def test(lone: Lone) -> None:
        for exercise in long_exercises(kept):
            for _ in range(3):  # more often than it has places
                call = await exercise.begin(lone)
                assert (await lone.client.health(timeout_s=10)).running == 1
                await cancel(call)
                await until_free(lone)
            await exercise.ask(lone)

    run(test)


def long_exercises(kept: Kept) -> list[Exercise]:
    """The tasks of the model whose calls can last."""
    found = [exercise for exercise in kept.subject.exercises if exercise.is_long]
    assert found
    return found


def test_two_calls_run_together(run: RunTest, kept: Kept) -> None:
    async def test(lone: Lone) -> None:
        for exercise in long_exercises(kept):
            first = await exercise.begin(lone)
            second = await exercise.begin(lone)
            assert (await lone.client.health(timeout_s=10)).running == 2
            await cancel(first)
            assert await second  # goes on undisturbed
            await until_free(lone)

    run(test)


def test_bad_input_is_an_error_or_an_answer(run: RunTest, kept: Kept) -> None:
    async def test(lone: Lone) -> None:
        for exercise in kept.subject.exercises:
            for name, request in exercise.bad.items():
                error = await exercise.refused(lone, request)
                if error is not None:
                    assert isinstance(error, RequestError), (exercise, name, error)
                    assert error.message
                await exercise.ask(lone)

    run(test)


def files_beside(socket: str) -> list[Path]:
    """What is in the folder of a worker's socket."""
    return list(Path(socket).parent.iterdir())


def test_calls_leave_no_memory_behind(run: RunTest, kept: Kept) -> None:
    """Threads of an engine take their memory when they first get a call; a leak never ends."""

    async def test(lone: Lone) -> None:
        async def work() -> None:
            for exercise in kept.subject.exercises:
                for _ in range(15):
                    await exercise.ask(lone)

        await work()
        sizes = [lone.process.memory_bytes() or 0]
        if not sizes[0]:
            pytest.skip("this system does not tell the memory of a process")
        for _ in range(MEMORY_ROUNDS):
            await work()
            await work()
            sizes.append(lone.process.memory_bytes() or 0)
            if sizes[-1] < sizes[-2] * 1.1:
                return
        pytest.fail(f"the worker grows and grows: {sizes} bytes")

    run(test)


@for_each_engine
def test_rounds_of_loading_leave_nothing(kept: Kept, runner: asyncio.Runner) -> None:
    """Each round's worker is as large as the first one's, and this process does not grow either.

    A round ends as a server ends a worker; the last one as the system does when memory runs out.
    """
    subject = kept.subject
    rounds = ROUNDS.get(subject.backend, ROUNDS_ELSEWHERE)
    sizes: list[int] = []
    own: list[int] = []

    async def test(end: Callable[[Lone], Coroutine[Any, Any, None]]) -> None:
        async with kept.load() as lone:
            await EXERCISES[subject.tasks[0]].ask(lone)
            sizes.append(lone.process.memory_bytes() or 0)
            await end(lone)
            assert not is_alive(lone.pid)
        own.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    async def unload(lone: Lone) -> None:
        await lone.process.stop(grace_s=PATIENCE_S)
        assert await lone.process.exited() == 0
        assert (
            files_beside(lone.process.endpoint.socket) == []
        )  # nothing of the engine's lies about

    async def kill(lone: Lone) -> None:
        call = await long_exercises(kept)[0].begin(lone)
        os.kill(lone.pid, signal.SIGKILL)
        with pytest.raises(ConnectionError):
            await call
        assert await lone.process.exited() == -signal.SIGKILL

    for _ in range(rounds - 1):
        runner.run(test(unload))
    runner.run(test(kill))
    assert max(sizes[1:]) <= sizes[0] * 1.1
    assert own[-1] <= own[0] * 1.1


@for_generators
def test_its_streams_are_legal(run: RunTest) -> None:
    variants: list[dict[str, Any]] = [
        {}, {"choices": 3}, {"stop": ("q",)}, {"logprobs": 2}, {"max_tokens": 1},
    ]  # fmt: skip

    async def test(lone: Lone) -> None:
        for make, fields in itertools.product((chat, complete), variants):
            request = make("Hello there", **({"max_tokens": 12} | fields))
            events = await lone.events(request)
            answer = fold_of(events)
            assert answer.error is None
            assert len(answer.choices) == fields.get("choices", 1)
            assert isinstance(events[-1], Finished)
            assert events[-1].usage.completion_tokens <= 12 * fields.get("choices", 1)

    run(test)


@for_generators
def test_a_limit_is_kept_and_told(run: RunTest) -> None:
    async def test(lone: Lone) -> None:
        request = complete("one two three four", max_tokens=3, ignore_eos=True)
        answer = fold_of(await lone.events(request))
        assert answer.choices[0].reason is FinishReason.LENGTH
        assert answer.usage.completion_tokens == 3

    run(test)


@for_generators
def test_the_protocol_is_json(run: RunTest) -> None:
    """What any other client of a worker may rely on: one JSON object a line."""

    async def test(lone: Lone) -> None:
        connector = aiohttp.UnixConnector(lone.process.endpoint.socket)
        async with aiohttp.ClientSession(connector=connector) as session:
            body = {"text": "Hello there", "max_tokens": 2}
            async with session.post("http://w/generate", json=body) as response:
                lines = [json.loads(line) for line in (await response.read()).splitlines()]
        assert lines[0]["event"] == "started"
        assert lines[-1]["event"] == "finished"

    run(test)

"""One suite over every backend of the manifest: what any engine owes to the server."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import os
import signal
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localai.domain.errors import RequestError
from localai.domain.events import Delta, Failed, Finished, FinishReason
from localai.domain.generation import Completion, GenerationRequest
from localai.domain.stream_rules import StreamRules, fold
from localai.domain.tasks import Task
from localai.engines.manifest import BackendEntry, Manifest
from localai.worker.runtime import tasks_of
from tests.backends.lone import Lone, chat, complete, loaded, run
from tests.backends.sounding import SOUND_WEIGHTS, make_sound_models
from tests.engines.installed import skip_without, stock
from tests.gguf_maker import make_tiny_llama
from tests.hf_maker import make_tiny_hf
from tests.live import is_alive

# What each backend is given to load. A backend without a model here cannot be tested, and fails.
WEIGHTS = {"llama-cpp": "tiny.gguf", "echo": "none", "transformers": "tiny-hf"} | SOUND_WEIGHTS
LONG = {"max_tokens": 1500, "ignore_eos": True}


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    make_tiny_llama(folder / "tiny.gguf", context_length=4096)
    make_tiny_hf(folder / "tiny-hf", context_length=4096)
    make_sound_models(folder)
    return folder


@pytest.fixture(params=Manifest().entries(), ids=lambda entry: entry.name)
def entry(request: pytest.FixtureRequest) -> BackendEntry:
    """Each backend, if its engine is installed."""
    return installed(request.param)


@pytest.fixture(
    params=[entry for entry in Manifest().entries() if Task.GENERATE in entry.tasks],
    ids=lambda entry: entry.name,
)
def generator(request: pytest.FixtureRequest) -> BackendEntry:
    """Each backend that generates text, if its engine is installed."""
    return installed(request.param)


def installed(entry: BackendEntry) -> BackendEntry:
    skip_without(entry)
    return entry


def load(entry: BackendEntry, weights: Path) -> Any:
    if Task.GENERATE not in entry.tasks:
        return loaded(entry, weights / WEIGHTS[entry.name], threads=1)
    options = ("delay_s:0.002", "repeat:500") if entry.name == "echo" else ("parallel:2",)
    return loaded(
        entry, weights / WEIGHTS[entry.name], options=options, context_size=2048, threads=1
    )


def test_the_manifest_lists_what_the_class_does(entry: BackendEntry) -> None:
    if entry.is_bundled:
        able = tasks_of(importlib.import_module(entry.module).Backend)
    else:
        checked = asyncio.run(stock().check(entry.name))
        assert checked is not None
        able = checked.tasks
    assert set(entry.tasks) == set(able)
    assert set(entry.tasks) <= {task.value for task in Task}
    assert entry.summary.endswith(".")


def test_it_is_found_by_its_names(entry: BackendEntry) -> None:
    for name in (entry.name, *entry.aliases, entry.name.upper()):
        assert Manifest().find(name) == entry


def test_facts(entry: BackendEntry, weights: Path) -> None:
    async def test() -> None:
        async with load(entry, weights) as lone:
            assert lone.facts.slots >= 1
            assert (lone.facts.context_size >= 1) == (Task.GENERATE in entry.tasks)
            assert lone.facts.device
            assert lone.facts.warnings == []

    run(test())


def test_its_streams_are_legal(generator: BackendEntry, weights: Path) -> None:
    variants: list[dict[str, Any]] = [
        {}, {"choices": 3}, {"stop": ("q",)}, {"logprobs": 2}, {"max_tokens": 1},
    ]  # fmt: skip

    async def test() -> None:
        async with load(generator, weights) as lone:
            for make, fields in itertools.product((chat, complete), variants):
                rules = StreamRules()
                request = make("Hello there", **({"max_tokens": 12} | fields))
                events = [rules.feed(event) for event in await lone.events(request)]
                rules.close()
                answer = fold(events)
                assert answer.error is None
                assert len(answer.choices) == fields.get("choices", 1)
                assert isinstance(events[-1], Finished)
                assert events[-1].usage.completion_tokens <= 12 * fields.get("choices", 1)

    run(test())


def test_a_limit_is_kept_and_told(generator: BackendEntry, weights: Path) -> None:
    async def test() -> None:
        async with load(generator, weights) as lone:
            answer = fold_of(
                await lone.events(complete("one two three four", max_tokens=3, ignore_eos=True))
            )
            assert answer.choices[0].reason is FinishReason.LENGTH
            assert answer.usage.completion_tokens == 3

    run(test())


def fold_of(events: list[Any]) -> Any:
    rules = StreamRules()
    return fold([rules.feed(event) for event in events])


async def begin(lone: Lone, request: GenerationRequest) -> Any:
    """A call of which the first text has come."""
    answer = lone.client.generate(request)
    async for batch in answer:
        if any(isinstance(event, Delta) for event in batch):
            return answer
    raise AssertionError("no text came")


async def until_free(lone: Lone) -> None:
    async with asyncio.timeout(30):
        while (await lone.client.health(timeout_s=10)).running:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)


def test_a_call_can_be_cancelled(generator: BackendEntry, weights: Path) -> None:
    async def test() -> None:
        async with load(generator, weights) as lone:
            for _ in range(3):  # more often than it has places
                async with aclosing(await begin(lone, complete("on and on", **LONG))):
                    assert (await lone.client.health(timeout_s=10)).running == 1
                await until_free(lone)
            assert await lone.say(complete("Hello", max_tokens=2)) != ""

    run(test())


def test_two_calls_run_together(generator: BackendEntry, weights: Path) -> None:
    async def test() -> None:
        async with load(generator, weights) as lone:
            first = await begin(lone, complete("on and on", **LONG))
            second = await begin(lone, complete("and so on", **LONG))
            assert (await lone.client.health(timeout_s=10)).running == 2
            await first.aclose()
            assert [batch async for batch in second]  # goes on undisturbed
            await until_free(lone)

    run(test())


def test_together_and_alone_give_the_same(generator: BackendEntry, weights: Path) -> None:
    async def test() -> None:
        async with load(generator, weights) as lone:
            request = complete("the same as ever", max_tokens=8)
            alone = await lone.say(request)
            assert await asyncio.gather(*(lone.say(request) for _ in range(4))) == [alone] * 4

    run(test())


BAD = {
    "too long": complete("x " * 30_000, max_tokens=1),
    "no token": complete((999_999_999,), max_tokens=1),
    "a suffix": GenerationRequest(model="m", prompt=Completion(text="a", suffix="b"), max_tokens=1),
    "an empty chat": chat("", max_tokens=1),
    "nothing": complete("", max_tokens=1),
}


def test_bad_input_is_an_error_or_an_answer(generator: BackendEntry, weights: Path) -> None:
    async def test() -> None:
        async with load(generator, weights) as lone:
            for name, request in BAD.items():
                last = (await lone.events(request))[-1]
                assert isinstance(last, Finished | Failed), name
                if isinstance(last, Failed):
                    assert isinstance(last.error, RequestError), name
                    assert last.error.message
                assert isinstance(
                    (await lone.events(complete("Hello", max_tokens=2)))[-1], Finished
                )

    run(test())


def test_it_unloads(entry: BackendEntry, weights: Path) -> None:
    left: list[Path] = []

    async def test() -> None:
        async with load(entry, weights) as lone:
            if Task.GENERATE in entry.tasks:
                await lone.say(complete("Hello", max_tokens=2))
            await lone.process.stop(grace_s=20.0)
            assert await lone.process.exited() == 0
            assert not is_alive(lone.pid)
            left.extend(files_beside(lone.process.endpoint.socket))

    run(test())
    assert left == []  # nothing of the engine's lies about


def files_beside(socket: str) -> list[Path]:
    """What is in the folder of a worker's socket."""
    return list(Path(socket).parent.iterdir())


def test_a_kill_ends_its_calls(generator: BackendEntry, weights: Path) -> None:
    async def test() -> None:
        async with load(generator, weights) as lone:
            answer = await begin(lone, complete("on and on", **LONG))
            os.kill(lone.pid, signal.SIGKILL)
            with pytest.raises((aiohttp.ClientError, ConnectionError)):
                async for _ in answer:
                    pass
            assert await lone.process.exited() == -signal.SIGKILL

    run(test())


def test_calls_leave_no_memory_behind(generator: BackendEntry, weights: Path) -> None:
    async def test() -> None:
        async with load(generator, weights) as lone:

            async def work() -> None:
                for _ in range(15):
                    await lone.events(complete("Hello there", max_tokens=20, choices=2))

            await work()
            before = lone.process.memory_bytes()
            if before is None:
                pytest.skip("this system does not tell the memory of a process")
            await work()
            await work()
            assert (lone.process.memory_bytes() or 0) < before * 1.1

    run(test())


def test_the_protocol_is_json(generator: BackendEntry, weights: Path) -> None:
    """What any other client of a worker may rely on: one JSON object a line."""

    async def test() -> None:
        async with load(generator, weights) as lone:
            connector = aiohttp.UnixConnector(lone.process.endpoint.socket)
            async with aiohttp.ClientSession(connector=connector) as session:
                body = {"text": "Hello there", "max_tokens": 2}
                async with session.post("http://w/generate", json=body) as response:
                    lines = [json.loads(line) for line in (await response.read()).splitlines()]
            assert lines[0]["event"] == "started"
            assert lines[-1]["event"] == "finished"

    run(test())

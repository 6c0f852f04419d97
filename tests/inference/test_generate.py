"""From a request to a checked stream, over real workers of the echo backend."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from localai.catalog.defaults import AppDefaults
from localai.catalog.folder import ModelFolder
from localai.domain.errors import BackendNotInstalled, ModelFileInvalid, ModelNotFound
from localai.domain.events import Event, Failed, Finished
from localai.domain.generation import Completion, GenerationRequest
from localai.domain.stream_rules import StreamRules, fold
from localai.engines.stock import Stock
from localai.hardware import Hardware, probe
from localai.inference.generate import generate_all
from localai.inference.library import Library
from localai.inference.preload import load_models
from localai.supervisor.lane import PoolSettings
from localai.supervisor.launcher import LocalLauncher
from localai.supervisor.pool import Pool
from tests.gguf_maker import make_scripted
from tests.live import clean_environment, echo_yaml, write_models


def library_of(folder: Path, *, hardware: Callable[[], Hardware] = probe, **app: Any) -> Library:
    return Library(
        ModelFolder(folder), hardware, AppDefaults(**app), {}, Stock(folder / "backends", {})
    )


def with_pool(test: Callable[[Pool], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        pool = Pool(LocalLauncher(clean_environment()), PoolSettings())
        try:
            await test(pool)
        finally:
            await pool.close(drain_s=0.0)

    asyncio.run(run())


def requests_of(*prompts: str, **fields: Any) -> list[GenerationRequest]:
    return [
        GenerationRequest(model="m", prompt=Completion(text=text), **fields) for text in prompts
    ]


async def events_of(
    requests: list[GenerationRequest], library: Library, pool: Pool, name: str = "m"
) -> list[Event]:
    spec = library.find(name)
    stream = generate_all(requests, spec, library=library, pool=pool)
    rules = StreamRules()
    events = [rules.feed(event) async for batch in stream for event in batch]
    rules.close()
    return events


def test_several_prompts_are_one_legal_stream(tmp_path: Path) -> None:
    library = library_of(write_models(tmp_path, {"m.yaml": echo_yaml("m", delay_s=0.01)}))

    async def test(pool: Pool) -> None:
        answer = fold(await events_of(requests_of("a b", "c", "d e f", choices=2), library, pool))
        said = {index: choice.text for index, choice in answer.choices.items()}
        assert said == dict(enumerate(["a b", "a b", "c", "c", "d e f", "d e f"]))
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 12)

    with_pool(test)


def test_the_first_failure_ends_all(tmp_path: Path) -> None:
    library = library_of(
        write_models(
            tmp_path, {"m.yaml": echo_yaml("m", context_size=3, delay_s=0.01, repeat=100_000)}
        )
    )

    async def test(pool: Pool) -> None:
        events = await events_of(requests_of("a", "far too many words"), library, pool)
        assert isinstance(events[-1], Failed)
        assert events[-1].error.kind == "context_too_long"
        assert pool.lanes["m"].running == 0

    with_pool(test)


def test_an_error_is_an_event_not_an_exception(tmp_path: Path) -> None:
    library = library_of(write_models(tmp_path, {"m.yaml": echo_yaml("m", fail_load="no")}))

    async def test(pool: Pool) -> None:
        for prompts in (("a",), ("a", "b")):
            events = await events_of(requests_of(*prompts), library, pool)
            assert isinstance(events[-1], Failed)

    with_pool(test)


def test_closing_the_stream_stops_every_prompt(tmp_path: Path) -> None:
    library = library_of(
        write_models(tmp_path, {"m.yaml": echo_yaml("m", delay_s=0.01, repeat=100_000)})
    )

    async def test(pool: Pool) -> None:
        spec = library.find("m")
        stream = generate_all(requests_of("a", "b", "c"), spec, library=library, pool=pool)
        async with aclosing(stream) as batches:
            async for _ in batches:
                if pool.lanes["m"].running == 3:
                    break
        assert pool.lanes["m"].running == 0

    with_pool(test)


def test_stop_words_of_the_file_are_added(tmp_path: Path) -> None:
    library = library_of(write_models(tmp_path, {"m.yaml": echo_yaml("m") + "stopwords: [c]\n"}))

    async def test(pool: Pool) -> None:
        for stop, said in ((), "a b"), (("b",), "a"):
            answer = fold(await events_of(requests_of("a b c d", stop=stop), library, pool))
            assert answer.choices[0].text == said

    with_pool(test)


def test_usage_is_counted_once(tmp_path: Path) -> None:
    library = library_of(write_models(tmp_path, {"m.yaml": echo_yaml("m")}))

    async def test(pool: Pool) -> None:
        events = await events_of(requests_of("a b", "c"), library, pool)
        assert sum(isinstance(event, Finished) for event in events) == 1

    with_pool(test)


# ---- the library


def test_a_spec_is_completed_once_per_revision(tmp_path: Path) -> None:
    make_scripted(tmp_path / "m.gguf", ["x y"], context_length=1024)
    library = library_of(tmp_path, threads=3)

    async def test() -> None:
        first = await library.prepare(library.find("m"))
        assert first.backend == "llama-cpp"
        assert first.settings["threads"] == 3
        assert first.settings["context_size"] == 1024
        assert await library.prepare(library.find("m")) is first

    asyncio.run(test())


def test_sizes_stay_when_only_answers_change(tmp_path: Path) -> None:
    """They were found when the memory was free that the model's own worker takes now."""
    make_scripted(tmp_path / "m.gguf", ["x y"], context_length=4096)
    named = "name: m\nparameters: {model: m.gguf%s}\n"
    free = [64 << 30]
    library = library_of(
        write_models(tmp_path, {"m.yaml": named % ""}),
        hardware=lambda: dataclasses.replace(probe(), available_bytes=free[0]),
    )

    async def test() -> None:
        first = await library.prepare(library.find("m"))
        free[0] = 1
        write_models(tmp_path, {"m.yaml": named % ", temperature: 0.25"})
        library.refresh()
        second = await library.prepare(library.find("m"))
        assert (first.sampling.temperature, second.sampling.temperature) == (0.9, 0.25)
        assert second.settings == first.settings
        assert second.worker_revision == first.worker_revision
        write_models(tmp_path, {"m.yaml": named % "" + "threads: 1\n"})
        library.refresh()
        third = await library.prepare(library.find("m"))
        assert third.settings["context_size"] < first.settings["context_size"]
        assert third.worker_revision != first.worker_revision

    asyncio.run(test())


def test_the_operators_slots_are_a_default(tmp_path: Path) -> None:
    """LLAMACPP_PARALLEL counts for files that say nothing of it; an explicit 1 stays 1."""
    make_scripted(tmp_path / "m.gguf", ["x y"])
    write_models(
        tmp_path,
        {
            "one.yaml": "name: one\nparameters: {model: m.gguf}\noptions: [parallel:1]\n",
            "plain.yaml": "name: plain\nparameters: {model: m.gguf}\n",
        },
    )
    library = library_of(tmp_path, parallel=3)

    async def test() -> None:
        one = await library.prepare(library.find("one"))
        assert one.options == ("parallel:1",)
        plain = await library.prepare(library.find("plain"))
        assert plain.settings["parallel"] == 3

    asyncio.run(test())


def test_what_cannot_be_prepared_is_told(tmp_path: Path) -> None:
    write_models(
        tmp_path,
        {
            "gone.yaml": "name: gone\nparameters: {model: nothing.gguf}\n",
            "foreign.yaml": "name: foreign\nbackend: vllm\nparameters: {model: facebook/opt-125m}\n",
        },
    )
    library = library_of(tmp_path)

    async def test() -> None:
        with pytest.raises(ModelFileInvalid) as gone:
            await library.prepare(library.find("gone"))
        assert "gone.yaml" in gone.value.hint
        with pytest.raises(BackendNotInstalled, match="vllm"):
            await library.prepare(library.find("foreign"))

    asyncio.run(test())


def test_loading_first_wants_exact_names(tmp_path: Path) -> None:
    library = library_of(write_models(tmp_path, {"m.yaml": echo_yaml("only")}))
    told: list[tuple[str, str]] = []

    async def test(pool: Pool) -> None:
        def report(name: str, how: str) -> None:
            told.append((name, how))

        await load_models(("only",), library=library, pool=pool, report=report)
        assert pool.lanes["only"].worker is not None
        with pytest.raises(ModelNotFound):
            await load_models(("other",), library=library, pool=pool, report=report)

    with_pool(test)
    assert told[0] == ("only", "loading")
    assert told[1][1].startswith("ready")

"""What each backend is tested with: a model for every task it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localai.domain.tasks import Task
from localai.engines.manifest import BackendEntry, Manifest
from tests.backends.exercises import EXERCISES, Exercise
from tests.backends.lone import Lone, loaded
from tests.bert_maker import make_bert, make_bert_folder
from tests.gguf_maker import make_tiny_llama
from tests.hf_maker import make_tiny_hf
from tests.inference_api import inference_api

WITH_GENERATOR = (Task.GENERATE, Task.COUNT, Task.TOKENIZE, Task.DETOKENIZE)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One model of one backend, and the tasks it is tested with.

    `make` writes the model into an empty folder and gives its path. `beside` is what has to run
    beside the worker, and gives more options.
    """

    backend: str
    tasks: tuple[Task, ...]
    make: Callable[[Path], Path | str]
    options: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    model_id: str = ""
    beside: Callable[[], AbstractContextManager[tuple[str, ...] | None]] = nullcontext

    @property
    def entry(self) -> BackendEntry:
        """Its backend's entry in the manifest."""
        return Manifest().find(self.backend)

    @property
    def name(self) -> str:
        """What a test calls it."""
        return f"{self.backend}-{self.tasks[0].value}"

    @property
    def exercises(self) -> tuple[Exercise, ...]:
        """What its tasks are put through."""
        return tuple(EXERCISES[task] for task in self.tasks)


@contextmanager
def _api() -> Iterator[tuple[str, ...]]:
    with inference_api() as api:
        yield (f"endpoint:{api.url}",)


SUBJECTS = (
    Subject(
        backend="echo",
        tasks=(Task.GENERATE,),
        make=lambda _: "none",
        options=("delay_s:0.002", "repeat:500"),
        settings={"context_size": 2048},
    ),
    Subject(
        backend="llama-cpp",
        tasks=WITH_GENERATOR,
        make=lambda folder: make_tiny_llama(folder / "tiny.gguf", context_length=4096),
        options=("parallel:2",),
        settings={"context_size": 2048, "threads": 1},
    ),
    Subject(
        backend="llama-cpp",
        tasks=(Task.EMBED,),
        make=lambda folder: make_bert(folder / "embedder.gguf"),
        options=("parallel:2",),
        settings={"embeddings": True, "context_size": 256, "threads": 1},
    ),
    Subject(
        backend="llama-cpp",
        tasks=(Task.RERANK,),
        make=lambda folder: make_bert(folder / "ranker.gguf", ranks=True),
        options=("parallel:2",),
        settings={"reranking": True, "context_size": 256, "threads": 1},
    ),
    Subject(
        backend="transformers",
        tasks=WITH_GENERATOR,
        make=lambda folder: make_tiny_hf(folder / "tiny", context_length=4096),
        options=("parallel:2",),
        settings={"context_size": 2048, "threads": 1},
    ),
    Subject(
        backend="transformers",
        tasks=(Task.EMBED,),
        make=lambda folder: make_bert_folder(folder / "embedder"),
        settings={"embeddings": True, "threads": 1},
    ),
    Subject(
        backend="sentencetransformers",
        tasks=(Task.EMBED,),
        make=lambda folder: make_bert_folder(folder / "embedder"),
        settings={"threads": 1},
    ),
    Subject(
        backend="sentencetransformers",
        tasks=(Task.RERANK,),
        make=lambda folder: make_bert_folder(folder / "ranker", ranks=True),
        settings={"threads": 1},
    ),
    Subject(
        backend="rerankers",
        tasks=(Task.RERANK,),
        make=lambda folder: make_bert_folder(folder / "ranker", ranks=True),
        settings={"threads": 1},
    ),
    Subject(
        backend="openvino",
        tasks=WITH_GENERATOR,
        make=lambda folder: make_tiny_hf(folder / "tiny", context_length=4096),
        options=("parallel:2", "keep_export:true"),  # one test converts it, the others only load
        settings={"context_size": 2048, "threads": 1},
    ),
    Subject(
        backend="openvino",
        tasks=(Task.EMBED,),
        make=lambda folder: make_bert_folder(folder / "embedder"),
        options=("keep_export:true",),
        settings={"threads": 1},
    ),
    Subject(
        backend="huggingface",
        tasks=(Task.GENERATE,),
        make=lambda _: "none",
        model_id="team/echo",
        beside=_api,
    ),
)


class Kept:
    """The worker of one subject, which several tests use in turn: loading takes most of their time.

    A test may end it; the next one gets a new one.
    """

    def __init__(self, subject: Subject, path: Path | str, *more: str) -> None:
        self.subject = subject
        self._path = path
        self._options = (*subject.options, *more)
        self._loading: Any = None
        self._lone: Lone | None = None

    async def lone(self) -> Lone:
        """The worker, alive."""
        if self._lone is None or not self._lone.is_alive:
            await self.close()
            self._loading = self.load()
            self._lone = await self._loading.__aenter__()
        return self._lone

    def load(self) -> Any:
        """Another worker with this model."""
        subject = self.subject
        return loaded(
            subject.entry,
            self._path,
            options=self._options,
            model_id=subject.model_id,
            **subject.settings,
        )

    async def close(self) -> None:
        """End the worker."""
        if self._loading is not None:
            loading, self._loading = self._loading, None
            await loading.__aexit__(None, None, None)

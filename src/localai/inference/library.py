"""The models of this server, found by name and completed for this machine."""

from __future__ import annotations

import asyncio
import difflib
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from localai.catalog.defaults import (
    DEFAULT_BACKEND,
    AppDefaults,
    complete,
    complete_without_facts,
    memory_bytes,
)
from localai.catalog.file_kinds import GGUF
from localai.catalog.gguf import GgufFacts, read_gguf
from localai.catalog.resolve import can_chat, resolve
from localai.catalog.spec import ModelSpec
from localai.domain.errors import (
    BackendNotInstalled,
    InvalidRequest,
    LocalAIError,
    ModelFileInvalid,
    ModelNotFound,
    Unsupported,
)
from localai.domain.tasks import Task
from localai.inference.engine_choice import EngineChoice, Engines, choose_engine
from localai.observe.log import logger
from localai.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from localai.catalog.folder import ModelFolder
    from localai.catalog.spec import Catalog
    from localai.domain.downloads import WantedFile
    from localai.engines.manifest import BackendEntry, Manifest
    from localai.hardware import Hardware

_log = logger(__name__)

# Engines that come with all they need, and the task for which each is the last resort.
WITHOUT_FILES: Final = {Task.SYNTHESIZE: "espeak", Task.DETECT_SPEECH: "silero-vad"}
_GROWN: Final = "+"  # in a worker's revision, before the context that a request has asked for
_MOST_NAMED: Final = 5  # models in an error
_MOST_ASKED: Final = 100  # models whose files are looked at to find one to show


@dataclass(frozen=True, slots=True)
class Grown:
    """A model whose context a request has made larger, or tried to."""

    asked: int
    spec: ModelSpec


def _without_files(engine: str) -> ModelSpec:
    return ModelSpec(name=engine, backend=engine, revision=__version__, worker_revision=__version__)


def _shown_task(spec: ModelSpec, tasks: Sequence[Task]) -> Task:
    if Task.RERANK in tasks and (spec.settings.get("reranking") or Task.EMBED not in tasks):
        return Task.RERANK
    return Task.EMBED if Task.EMBED in tasks else tasks[0]


def _context_of(spec: ModelSpec) -> int:
    return int(spec.settings.get("context_size") or 0)


def _why_less(spec: ModelSpec, app: AppDefaults) -> str:
    if spec.settings.get("context_size"):
        return "Its file sets `context_size`."
    if app.get("context_size"):
        return "The server's --context-size is the most."
    return "It was trained for no more, or the memory holds no more."


def is_of(spec: ModelSpec, revision: str) -> bool:
    """Whether a worker of that revision was loaded from `spec`, perhaps with a larger context."""
    return revision.partition(_GROWN)[0] == spec.worker_revision


class Library:
    """Finds models. Specs are completed once per revision, off the event loop."""

    def __init__(
        self,
        folder: ModelFolder,
        probe: Callable[[], Hardware],
        app: AppDefaults,
        engine_defaults: Mapping[str, Any],
        engines: Engines,
    ) -> None:
        self._engines = engines
        self._folder = folder
        self._probe = probe
        self._app = app
        self._engine_defaults = engine_defaults  # settings below those of every model file
        self._completed: dict[str, ModelSpec] = {}
        self._facts: dict[str, tuple[str, GgufFacts]] = {}
        self._able: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._grown: dict[str, Grown] = {}
        self._reported: frozenset[str] = frozenset()

    @property
    def manifest(self) -> Manifest:
        """Every backend there is."""
        return self._engines.manifest

    def catalog(self) -> Catalog:
        """All models at this moment. New problems in model files are logged once."""
        catalog = self._folder.catalog()
        seen = frozenset(catalog.problems + catalog.warnings)
        if seen is not self._reported and seen != self._reported:
            for problem in catalog.problems:
                if problem not in self._reported:
                    _log.error("%s", problem)
            for warning in catalog.warnings:
                if warning not in self._reported:
                    _log.warning("%s", warning)
            self._reported = seen
        return catalog

    def has(self, name: str) -> bool:
        """Whether a request for `name` means just that model, and not another one instead."""
        catalog = self.catalog()
        plain = name.strip().removesuffix(":latest")
        return any(
            one in known
            for one in (name.strip(), plain)
            for known in (catalog.specs, catalog.file_names, catalog.broken)
        )

    def of_worker(self, name: str) -> ModelSpec | None:
        """The model that a worker called `name` is loaded from, as it is now.

        None when it was removed, switched off or made an alias. `name` may end in the engine that
        a request chose.
        """
        specs = self.catalog().specs
        spec = specs.get(name) or specs.get(name.rpartition("@")[0])
        if spec is None and name in WITHOUT_FILES.values():
            return _without_files(name)
        return None if spec is None or spec.disabled or spec.alias is not None else spec

    def lacks_nothing(self, name: str) -> bool:
        """Whether `name` is a model with nothing to fetch; quick, since every request asks it."""
        spec = self.catalog().specs.get(name)
        return spec is not None and spec.alias is None and not spec.downloads

    def wanting(self, name: str) -> ModelSpec | None:
        """The model of that name, when files are missing that its model file says where to get."""
        try:
            spec = self.find_listed(name)
            if spec.alias is not None:
                spec = self.find_listed(spec.alias)
        except ModelNotFound:
            return None
        return spec if self.missing_files(spec) and not spec.disabled else None

    def missing_files(self, spec: ModelSpec) -> tuple[WantedFile, ...]:
        """The files that a model file says where to get, and that are not there."""
        folder = self._folder.path
        return tuple(file for file in spec.downloads if not (folder / file.name).exists())

    def refresh(self) -> Catalog:
        """All models, after looking at the folder now."""
        self._folder.refresh()
        return self.catalog()

    def find(self, name: str, *, hint: str = "", task: Task = Task.GENERATE) -> ModelSpec:
        """The model `name` means for `task`. `hint` is a second guess, used when `name` is empty.

        An engine that needs no files is a model by its own name, and speaks or listens when no
        other model does. Raises ModelNotFound, ModelDisabled.
        """
        suits = can_chat if task is Task.GENERATE else _any
        try:
            return resolve(
                name,
                self.catalog(),
                hint=hint,
                serves=lambda spec: task in self._tasks(spec),
                suits=suits,
            )
        except ModelNotFound:
            without = WITHOUT_FILES.get(task, "")
            if without and name.strip() in {"", without}:
                return _without_files(without)
            raise

    def find_on(self, backend: str, task: Task) -> ModelSpec:
        """The first model that the engine `backend` runs, or that engine itself where it needs no files.

        Raises InvalidRequest when there is neither.
        """
        wanted = self._asked(backend)
        specs = self.catalog().specs
        for name in sorted(specs):
            if (
                not specs[name].disabled
                and specs[name].alias is None
                and self._runs(specs[name], wanted)
            ):
                return specs[name]
        if wanted.name == WITHOUT_FILES.get(task):
            return _without_files(wanted.name)
        message = f"backend is {backend[:40]!r}, and no installed model runs on that engine."
        raise InvalidRequest(message, param="backend", hint="Name a model instead.")

    def require(self, spec: ModelSpec, task: Task) -> None:
        """Raise Unsupported when the engine of a model does not do `task`, before anything is loaded."""
        tasks = self._tasks(spec)
        if not tasks or task in tasks:
            return
        known = islice(self.catalog().specs.items(), _MOST_ASKED)
        able = ", ".join([name for name, one in known if task in self._tasks(one)][:_MOST_NAMED])
        raise Unsupported(
            f"The model {spec.name!r} runs on {self._entry(spec).name}, which does not "
            f"{task.value.replace('_', ' ')}.",
            feature=task.value,
            hint=f"Models that do: {able}." if able else "",
        )

    def _runs(self, spec: ModelSpec, wanted: BackendEntry) -> bool:
        with suppress(LocalAIError):
            return self._entry(spec) == wanted
        return False

    def _entry(self, spec: ModelSpec) -> BackendEntry:
        return self.engine(spec).entry or self._engines.manifest.find(DEFAULT_BACKEND)

    def _tasks(self, spec: ModelSpec) -> Collection[str]:
        """What the engine of a model can do; nothing when there is none."""
        known = self._able.get(spec.name)
        if known is not None and known[0] == spec.revision:
            return known[1]
        try:
            tasks = self._entry(spec).tasks
        except LocalAIError:
            tasks = ()
        self._able[spec.name] = (spec.revision, tasks)
        return tasks

    def example(self) -> tuple[str, Task]:
        """A model to show, and what it does: one that chats, else the first; GENERATE when unknown."""
        specs = [
            one for one in self.catalog().specs.values() if not one.disabled and one.alias is None
        ]
        for spec in specs[:_MOST_ASKED]:
            if can_chat(spec) and Task.GENERATE in self._tasks(spec):
                return spec.name, Task.GENERATE
        for spec in specs[:_MOST_ASKED]:
            done = [
                task for task in Task if task in self._tasks(spec) and task is not Task.GENERATE
            ]
            if done:
                return spec.name, _shown_task(spec, done)
        return "", Task.GENERATE

    def find_listed(self, name: str) -> ModelSpec:
        """The model of exactly that name. Raises ModelNotFound."""
        catalog = self.catalog()
        plain = name.removesuffix(":latest")
        spec = next(
            (
                catalog.specs[known]
                for written in (name, plain)
                for known in (written, catalog.file_names.get(written, ""))
                if known in catalog.specs
            ),
            None,
        )
        if spec is None:
            near = difflib.get_close_matches(name, list(catalog.specs), n=3)
            raise ModelNotFound(name, near=tuple(near))
        return spec

    async def facts(self, spec: ModelSpec) -> GgufFacts | None:
        """What the weights say of themselves; None for a model without a GGUF file.

        Raises ModelFileInvalid.
        """
        known = self._facts.get(spec.name)
        if known is not None and known[0] == spec.revision:
            return known[1]
        if spec.model_path is None or not spec.model_path.is_file():
            return None
        entry = self.engine(spec).entry
        if entry is not None and GGUF not in entry.formats:
            return None
        found = await asyncio.to_thread(read_gguf, spec.model_path)
        self._facts[spec.name] = (spec.revision, found)
        return found

    async def prepare(
        self, spec: ModelSpec, *, backend: str | None = None, context_size: int = 0
    ) -> ModelSpec:
        """`spec` without gaps; `backend` is the engine a request wants instead of the model's own.

        `context_size` is what a request wants of the context, in tokens. It is kept for all that
        follow, until `forget_context`. Raises ModelFileInvalid when its weights cannot be used,
        BackendNotInstalled for the model's own engine, InvalidRequest for a `backend` that does not
        exist.
        """
        completed = self._completed.get(spec.name)
        if completed is None or completed.revision != spec.revision:
            before = completed
            completed = await asyncio.to_thread(self._complete, spec)
            if before is not None and before.worker_revision == spec.worker_revision:
                completed = self._as_loaded(completed, before)
            else:
                self._grown.pop(spec.name, None)
            self._completed[spec.name] = completed
        grown = self._grown.get(spec.name)
        if context_size > (grown.asked if grown else _context_of(completed)):
            now = grown.spec if grown else completed
            found = Grown(
                context_size, await asyncio.to_thread(self._grow, spec, now, context_size)
            )
            others = self._grown.get(spec.name)  # who asked for more, meanwhile
            grown = others if others and others.asked > context_size else found
            self._grown[spec.name] = grown
        if grown is not None:
            completed = grown.spec
        if backend:
            kind = str(completed.settings.get("type", ""))
            other = self._engines.manifest.of_type(self._asked(backend), kind)
            if other != self._engines.manifest.find(completed.backend or ""):
                name = f"{completed.name}@{other.name}"
                return replace(completed, name=name, backend=other.name)
        return completed

    def _as_loaded(self, completed: ModelSpec, before: ModelSpec) -> ModelSpec:
        """A model whose answers have changed, but not what its worker holds.

        That is sized by the memory that was free without it.
        """
        grown = self._grown.get(completed.name)
        if grown is not None:
            spec = replace(
                completed,
                settings=grown.spec.settings,
                worker_revision=grown.spec.worker_revision,
            )
            self._grown[completed.name] = replace(grown, spec=spec)
        return replace(completed, settings=before.settings)

    def _asked(self, backend: str) -> BackendEntry:
        try:
            return self._engines.manifest.find(backend)
        except BackendNotInstalled as error:  # the caller's word, not the operator's
            raise InvalidRequest(error.message, param="backend", hint=error.hint) from None

    def forget_context(self, name: str) -> None:
        """Give a model its usual context again: called while it is not loaded."""
        self._grown.pop(name, None)

    def _grow(self, spec: ModelSpec, now: ModelSpec, asked: int) -> ModelSpec:
        """`now` with a context of `asked` tokens, or as many as file, training and memory allow."""
        entry = self.engine(spec).entry
        if spec.model_path is None or (entry is not None and GGUF not in entry.formats):
            return now
        facts, hardware = read_gguf(spec.model_path), self._probe()
        size = _context_of(now)
        if hardware.available_bytes:  # what the worker holds now is free when its successor loads
            held = memory_bytes(now, facts, size * int(now.settings.get("parallel") or 1))
            free = hardware.available_bytes + max(0, held - memory_bytes(now, facts, 0))
            hardware = replace(hardware, available_bytes=free)
        with_engine = replace(spec, settings={**self._engine_defaults, **spec.settings})
        app: AppDefaults = {**self._app, "asked_context": asked}
        found = complete(with_engine, facts, hardware, **app)
        reached = max(size, _context_of(found))
        if reached < asked:
            _log.info(
                "%s: a request asks for %d tokens of context; it gets %d. %s",
                spec.origin or spec.name, asked, reached, _why_less(spec, self._app),
            )  # fmt: skip
        if reached == size:
            return now
        return replace(found, worker_revision=f"{spec.worker_revision}{_GROWN}{reached}")

    def _complete(self, spec: ModelSpec) -> ModelSpec:
        entry = self.engine(spec).entry
        if entry is not None and GGUF not in entry.formats:
            return complete_without_facts(spec, entry.name, self._probe(), **self._app)
        if spec.model_path is None:
            raise ModelNotFound(spec.name)
        if not spec.model_path.is_file():
            raise _no_weights(spec)
        with_engine = replace(spec, settings={**self._engine_defaults, **spec.settings})
        return complete(with_engine, read_gguf(spec.model_path), self._probe(), **self._app)

    def engine(self, spec: ModelSpec) -> EngineChoice:
        """Which engine runs a model, and why. Raises BackendNotInstalled, ModelFileInvalid."""
        return choose_engine(spec, self._engines)

    def has_engine(self, choice: EngineChoice) -> bool:
        """Whether a worker of that engine can be started."""
        entry = choice.entry or self._engines.manifest.find(DEFAULT_BACKEND)
        return self._engines.has(entry)


def _any(_: ModelSpec) -> bool:
    return True


def _no_weights(spec: ModelSpec) -> ModelFileInvalid:
    message = f"The weights of the model {spec.name!r} are not there: {spec.model_path}."
    if spec.downloads:
        hint = f"A request that names {spec.name!r} fetches them from {spec.downloads[0].uri}."
        return ModelFileInvalid(message, path=str(spec.model_path), hint=hint)
    hint = (
        f"Put the file there, or correct `parameters.model` in {spec.origin or 'its model file'}."
    )
    return ModelFileInvalid(message, path=str(spec.model_path), hint=hint)

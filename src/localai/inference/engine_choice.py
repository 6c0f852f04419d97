"""Which engine runs a model, and why: its model file, its files, the manifest, what is installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from localai.catalog.file_kinds import GGUF, kinds_of
from localai.domain.errors import ModelFileInvalid

if TYPE_CHECKING:
    from localai.catalog.spec import ModelSpec
    from localai.engines.manifest import BackendEntry, Manifest


class Engines(Protocol):
    """The engines that models can ask for."""

    @property
    def manifest(self) -> Manifest:
        """Every backend there is."""
        ...

    def has(self, entry: BackendEntry) -> bool:
        """Whether its engine is installed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """The backend chosen, None for a plain GGUF file, and a sentence that says why.

    `kinds` are what the files were taken for, empty where they were not asked.
    """

    entry: BackendEntry | None
    why: str
    kinds: tuple[str, ...] = ()


def choose_engine(spec: ModelSpec, engines: Engines) -> EngineChoice:
    """The backend the model file names, else the one its files ask for.

    A `type` in the model file may mean another engine than `backend` says. Of several that could run
    it, the first in the manifest that is installed; else the first. Raises BackendNotInstalled for a name that no backend has, ModelFileInvalid for files that no
    backend runs.
    """
    if spec.backend:
        named, kind = engines.manifest.find(spec.backend), str(spec.settings.get("type") or "")
        entry = engines.manifest.of_type(named, kind)
        why = f"its model file says `backend: {spec.backend}`"
        if entry is not named:
            why += f" and `type: {kind}`, a class that only this engine has"
        return EngineChoice(entry=entry, why=why)
    path = spec.model_path
    if path is None or not path.exists():
        return EngineChoice(entry=None, why="its files are not there, so nothing else is known")
    kinds = kinds_of(path)
    if GGUF in kinds or (not kinds and path.is_file()):
        return EngineChoice(entry=None, why=f"{path.name} is a GGUF file", kinds=kinds)
    able = [
        entry for entry in engines.manifest.entries() if not set(kinds).isdisjoint(entry.formats)
    ]
    if not able:
        what = f"holds a model of the kind {kinds[0]!r}" if kinds else "holds no model we know"
        raise ModelFileInvalid(
            f"{path} {what}, which no engine here runs.",
            path=str(path),
            hint="Name the engine with `backend:` in the model file; `local-ai backends available` lists them.",
        )
    chosen = next((entry for entry in able if engines.has(entry)), able[0])
    said = f"{path.name} is of the kind {kinds[0]!r}"
    if len(able) == 1:
        return EngineChoice(entry=chosen, why=f"{said}, which only this engine runs", kinds=kinds)
    names = ", ".join(entry.name for entry in able)
    which = "the first that is installed" if engines.has(chosen) else "the first; none is installed"
    return EngineChoice(
        entry=chosen, why=f"{said}; of the engines that run it ({names}) it is {which}", kinds=kinds
    )

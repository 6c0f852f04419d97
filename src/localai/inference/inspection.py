"""Everything there is to say about one installed model, without loading it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localai.catalog.defaults import DEFAULT_BACKEND, memory_bytes
from localai.catalog.file_kinds import GGUF, kinds_of
from localai.domain.errors import LocalAIError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localai.catalog.gguf import GgufFacts
    from localai.catalog.spec import ModelSpec
    from localai.engines.manifest import BackendEntry, Manifest
    from localai.inference.library import Library

_WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx"})
_FILES = frozenset({GGUF, "ggml-whisper", "piper-voice"})  # the kinds that are no folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a model is and how it would be run here.

    `why` says why the engine was chosen. Sizes are in bytes, 0 when unknown; `memory_bytes` is an
    estimate of what loading it takes. `problems` are sentences about what keeps it from working.
    """

    name: str
    engine: str = ""
    why: str = ""
    is_engine_installed: bool = False
    tasks: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    path: str = ""
    defined_in: str = ""
    size_bytes: int = 0
    memory_bytes: int = 0
    context_size: int = 0
    parallel: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


async def inspect(spec: ModelSpec, library: Library) -> Inspection:
    """Look at a model's files as a load would, and collect what is wrong instead of raising."""
    said: dict[str, Any] = {
        "name": spec.name,
        "path": str(spec.model_path or ""),
        "defined_in": spec.origin,
        "size_bytes": _size_bytes(spec.model_path),
    }
    problems: list[str] = []
    try:
        choice = library.engine(spec)
        entry = choice.entry or library.manifest.find(DEFAULT_BACKEND)
        said |= {
            "engine": entry.name,
            "why": choice.why,
            "kinds": choice.kinds,
            "tasks": entry.tasks,
            "is_engine_installed": library.has_engine(choice),
        }
        if not said["is_engine_installed"]:
            command = f"local-ai backends install {entry.name}"
            problems.append(f"The engine {entry.name!r} is not installed. Install it: {command}")
        problems += _unfit(spec, entry, library.manifest)
        completed = await library.prepare(spec)
        said |= {
            "context_size": completed.settings.get("context_size", 0),
            "parallel": completed.settings.get("parallel", 0),
        }
        facts = await library.facts(spec)
        if facts is not None:
            tokens = said["context_size"] * max(1, said["parallel"])
            said |= {
                "size_bytes": facts.size_bytes,
                "memory_bytes": memory_bytes(completed, facts, tokens),
                "facts": _shown(facts),
            }
    except LocalAIError as error:
        problems.append(error.sentence)
    return Inspection(**said, problems=tuple(problems))


def _unfit(spec: ModelSpec, entry: BackendEntry, manifest: Manifest) -> list[str]:
    """What the files say against the engine that the model file names."""
    path = spec.model_path
    if not spec.backend or path is None or not path.exists() or not entry.formats:
        return []
    kinds = kinds_of(path)
    if path.is_dir() and not _holds_weights(path):
        return [f"{path} holds no weights. Its download may have stopped: fetch the folder again."]
    others = [one for one in manifest.entries() if not set(kinds).isdisjoint(one.formats)]
    if not kinds or not others or entry in others:
        return []
    if path.is_dir() and _takes_folders(entry):  # several engines read the same folders
        return []
    names = ", ".join(one.name for one in others)
    return [
        f"{path.name} is of the kind {kinds[0]!r}, which {entry.name} does not run; {names} would."
    ]


def _holds_weights(folder: Path) -> bool:
    return any(one.suffix in _WEIGHTS for one in folder.rglob("*"))


def _takes_folders(entry: BackendEntry) -> bool:
    return not _FILES.issuperset(entry.formats)


def _size_bytes(path: Path | None) -> int:
    try:
        if path is None:
            return 0
        if path.is_dir():
            return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
        return path.stat().st_size
    except OSError:
        return 0


def _shown(facts: GgufFacts) -> Mapping[str, Any]:
    return {
        "architecture": facts.architecture,
        "name": facts.name,
        "parameters": facts.parameters,
        "quantization": facts.file_type,
        "context_length": facts.context_length,
        "embedding_length": facts.embedding_length,
        "pooling": facts.pooling,
        "has_chat_template": facts.has_chat_template,
    }

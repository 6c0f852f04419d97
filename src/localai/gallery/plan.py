"""From an entry to what installing it takes: which build, which files, which model file. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from localai.catalog import compat
from localai.catalog.read import parse_yaml
from localai.domain.errors import InvalidRequest
from localai.downloads.names import model_file_name
from localai.gallery.entry import Entry, EntryFile, EntryPlan
from localai.gallery.fit import CONTEXT_TOKENS, Build, choose_build, named, size_text
from localai.gallery.index import Base
from localai.hardware import Gpu

# The ends of files that are a model by themselves, the most telling first.
_WEIGHTS: Final = (".gguf", ".onnx", ".safetensors", ".bin")
_PARTS_OF_MODELS: Final = ("mmproj", "vocab", "tokenizer")


@dataclass(frozen=True, slots=True)
class ChosenEntry:
    """The entry whose files are installed, and a sentence that says why; empty without a choice."""

    entry: Entry
    why: str


def choose(
    entry: Entry,
    others: Sequence[Entry],
    free_bytes: int,
    runs: Callable[[Entry], bool],
    *,
    asked: str = "",
    gpu: Gpu | None = None,
) -> ChosenEntry:
    """Choose among `entry` and its variants: the largest that fits, of those that run here.

    It has to fit into `free_bytes`, or into the memory of `gpu` where its engine computes there.
    Raises InvalidRequest when there is no variant `asked`.
    """
    here = [one for one in (entry, *others) if runs(one)] or [entry]
    builds = {one.name: _build(one) for one in here}
    if asked and named(asked, list(builds.values())) is None:
        listed = ", ".join(repr(name) for name in builds)
        raise InvalidRequest(
            f"The model {entry.name!r} has no variant {asked[:200]!r}.",
            param="variant",
            hint=f"It has {listed}.",
        )
    choice = choose_build(
        list(builds.values()),
        free_bytes=gpu.free_bytes if gpu is not None else free_bytes,
        where=f"on the GPU ({gpu.name})" if gpu is not None else "",
        context_size=_context_size(entry),
        asked=asked,
    )
    chosen = next(one for one in here if one.name == choice.build.name)
    if len(here) == 1 and not choice.needed_bytes:
        return ChosenEntry(chosen, "")
    return ChosenEntry(chosen, f"{_shown(choice.build)}: {choice.why}.")


def _build(entry: Entry) -> Build:
    files = tuple(file.filename for file in entry.files)
    size = entry.size_bytes or sum(file.size_bytes for file in entry.files)
    weights = next((name for name in files if name.lower().endswith(_WEIGHTS)), "")
    quantised = Build(name=weights).quantisation
    return Build(
        name=entry.name,
        size_bytes=size,
        kv_bytes_per_token=entry.kv_bytes_per_token,
        files=(*files, quantised) if quantised else files,
    )


def _shown(build: Build) -> str:
    size = f" ({size_text(build.size_bytes)})" if build.size_bytes else ""
    return f"{build.name}{size}"


def _context_size(entry: Entry) -> int:
    """What the entry's model file would ask for, but no more than a model gets by itself."""
    asked = entry.overrides.get("context_size")
    return min(asked, CONTEXT_TOKENS) if isinstance(asked, int) and asked > 0 else CONTEXT_TOKENS


def make_plan(
    chosen: ChosenEntry, base: Base, overrides: Mapping[str, Any], *, name: str
) -> EntryPlan:
    """What installing a build takes, as a model with this name.

    The model file is the base configuration, under what the entry says, under `overrides`; lists
    are replaced. Raises InvalidRequest for an entry that says nothing, and with every problem of
    the model file that would come out.
    """
    entry = chosen.entry
    if not (entry.base_url or entry.config or entry.overrides or entry.files):
        raise InvalidRequest(
            f"The entry {entry.name!r} names no files and no configuration.",
            hint="A gallery's entry needs `url`, `config_file`, `overrides` or `files`.",
        )
    files = tuple({file.filename: file for file in (*base.files, *entry.files)}.values())
    config: dict[str, Any] = {"name": name}
    for layer in (base.config, entry.config, {"name": name}, entry.overrides, overrides):
        config = over(config, layer)
    config["name"] = name
    _straighten(config)
    _name_the_model(config, files)
    text = checked_yaml(config, f"Installed from {entry.entry_id}" if entry.gallery else "")
    backend = config.get("backend")
    return EntryPlan(
        name=name,
        entry_id=entry.entry_id if entry.gallery else "",
        yaml_name=model_file_name(name),
        model_yaml=text,
        files=files,
        templates=(*base.templates, *entry.templates),
        backend=backend if isinstance(backend, str) else "",
        license=entry.license or base.license,
        why=chosen.why,
    )


def over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Give `upper` over `lower`; mappings are joined, everything else is replaced."""
    joined = dict(lower)
    for key, value in upper.items():
        below = joined.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            joined[key] = over(below, value)
        else:
            joined[key] = value
    return joined


def _straighten(config: dict[str, Any]) -> None:
    """Put keys that base configurations write under `parameters` where they have an effect."""
    parameters = config.get("parameters")
    if not isinstance(parameters, Mapping):
        return
    kept = dict(parameters)
    for key in parameters:
        if key in compat.TOP and key not in compat.PARAMETERS:
            config.setdefault(key, kept.pop(key))
            kept.pop(key, None)
    config["parameters"] = kept


def _name_the_model(config: dict[str, Any], files: Sequence[EntryFile]) -> None:
    """Say which of the files is the model, where the entry does not."""
    parameters = config.setdefault("parameters", {})
    if not isinstance(parameters, dict) or parameters.get("model") or not files:
        return
    for end in _WEIGHTS:
        for file in files:
            base = file.filename.lower().rpartition("/")[2]
            if base.endswith(end) and not any(part in base for part in _PARTS_OF_MODELS):
                parameters["model"] = file.filename
                return


def checked_yaml(config: Mapping[str, Any], comment: str) -> str:
    """The text of a model file. Raises InvalidRequest with every problem it has."""
    shown = {key: value for key, value in config.items() if value not in (None, {}, [])}
    text = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=100)
    found = parse_yaml(text, shown=f"{config['name']}.yaml", models_path=Path("/"))
    if found.problems:
        raise InvalidRequest(
            f"The model {config['name']!r} would have a model file with problems: {' '.join(found.problems)}",
            param="overrides",
        )
    return f"# {comment}\n{text}" if comment else text

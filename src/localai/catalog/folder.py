"""The models folder: its YAML files and loose weights as one catalog, kept current.

Nothing watches the folder. `ModelFolder.catalog` looks again when asked, at most once a second,
and compares names, sizes and times; a YAML file that did not change is not read again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path
from typing import Final

from localai.catalog.file_kinds import FOLDER_MARKS, LOOSE, WEIGHTS, has_weights, kinds_of
from localai.catalog.gguf import PART
from localai.catalog.read import YamlModels, read_yaml
from localai.catalog.spec import Catalog, ModelSpec
from localai.catalog.template_files import read_templates
from localai.domain.errors import SettingInvalid
from localai.domain.generation import Sampling

RESCAN_AFTER_S: Final = 1.0
DEEPEST: Final = 2  # sub-folders below the models folder
STARTER_NAME: Final = "local-ai-starter"
STARTER_TEMPERATURE: Final = 0.7

_SUFFIXES: Final = frozenset({".gguf", *LOOSE})
_FOLDERS: Final = "/"  # stands for folders where files stand under their suffix
TOP_ONLY: Final = frozenset({".yaml", ".yml"})  # model files of sub-folders are somebody else's

# What a revision stands for: all that a spec says, but not where and when that was written.
_SAID: Final = attrgetter(
    *(
        field.name
        for field in fields(ModelSpec)
        if field.name
        not in {"created_unix_s", "origin", "revision", "templates", "worker_revision"}
    )
)
_LOADED: Final = attrgetter("backend", "model_path", "model_id", "settings", "options")

# Files beside the weights that belong to a spec; a change of theirs is a change of the model.
FILE_SETTINGS: Final = ("mmproj", "draft_model", "lora_adapter", "lora_adapters")


# What tells one state of a file from another: modified (ns), size (bytes), inode. A plain tuple,
# because a large folder makes ten thousand of them a second.
Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Listing:
    """One look at the folder: every file's absolute path and stamp, in the order that counts.

    `others` are files and folders that may be models of engines without GGUF.
    """

    yaml: dict[str, Stamp]
    weights: dict[str, Stamp]
    templates: dict[str, Stamp]
    others: dict[str, Stamp] = field(default_factory=dict)
    problem: str = ""


class ModelFolder:
    """The models of one folder, of a list file, and of the starter when there are no others.

    `path` is the models folder, `config_file` a YAML list of further models, `starter` the weights
    that come with the server. `formats` are the kinds of files (`file_kinds`) that engines run:
    files and folders of these kinds are models without a model file. `clock` counts seconds. Safe
    to use from several threads.
    """

    def __init__(
        self,
        path: Path,
        *,
        starter: Path | None = None,
        config_file: Path | None = None,
        formats: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path.absolute()
        self._starter = starter
        self._config_file = config_file
        self._formats = frozenset(formats)
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = -RESCAN_AFTER_S
        self._listing: Listing | None = None
        self._kinds: dict[str, tuple[Stamp, bool]] = {}
        self._beside: dict[str, Stamp | None] = {}  # files outside the listing that specs name
        self._read: dict[str, tuple[Stamp, YamlModels]] = {}
        self._revised: dict[str, tuple[ModelSpec, _Stamps, ModelSpec]] = {}
        self._catalog = Catalog()

    def check(self) -> None:
        """Make sure that the folder can be read; a missing one is created.

        Raises SettingInvalid.
        """
        try:
            self.path.mkdir(exist_ok=True)
            os.scandir(self.path).close()
        except OSError as error:
            raise SettingInvalid(
                f"The models folder {self.path} cannot be used: {error.strerror}.",
                hint="Name a folder that you may read with --models-path.",
            ) from error
        if self._config_file is not None and not self._config_file.is_file():
            raise SettingInvalid(
                f"The models file {self._config_file} does not exist.",
                hint="Correct --models-config-file, or leave it out.",
            )

    def catalog(self) -> Catalog:
        """Give the current models; looks at the disk at most once a second."""
        if self._clock() - self._looked_at >= RESCAN_AFTER_S and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._catalog

    def refresh(self) -> Catalog:
        """Give the models after looking at the disk now."""
        with self._lock:
            self._look()
        return self._catalog

    def _look(self) -> None:
        listing = _list(self.path, self._config_file)
        if listing.problem and self._listing is not None:
            problems = [text for text in self._catalog.problems if text != listing.problem]
            self._catalog = replace(self._catalog, problems=(*problems, listing.problem))
            self._listing = listing
        elif listing != self._listing or self._beside_changed():
            if self._listing is None or listing.templates != self._listing.templates:
                self._read.clear()  # which file a template comes from, only reading tells
            self._catalog = self._assemble(listing)
            self._listing = listing
        self._looked_at = self._clock()

    def _beside_changed(self) -> bool:
        return any(_stamp(name) != stamp for name, stamp in self._beside.items())

    def _assemble(self, listing: Listing) -> Catalog:
        self._read = {name: self._read_file(name, stamp) for name, stamp in listing.yaml.items()}
        weights = listing.weights | self._models_among(listing.others)
        self._beside = {}
        collected = _Collected()
        if listing.problem:
            collected.problems.append(listing.problem)
        for _, models in self._read.values():
            collected.take(models)
        specs = collected.specs
        file_names = _add_loose_files(specs, weights, self.path)
        if not specs and self._starter is not None:
            specs = {STARTER_NAME: _starter_spec(self._starter)}
        self._revised = {name: known for name, known in self._revised.items() if name in specs}
        return Catalog(
            specs={name: self._with_revision(specs[name], weights) for name in sorted(specs)},
            file_names=file_names,
            problems=tuple(collected.problems),
            warnings=tuple(collected.warnings),
            broken={name: text for name, text in collected.broken.items() if name not in specs},
        )

    def _models_among(self, others: dict[str, Stamp]) -> dict[str, Stamp]:
        """Give the files and folders that an engine runs; what lies in such a folder belongs to it."""
        known = {
            name: self._kinds[name]
            if self._kinds.get(name, (None,))[0] == stamp
            else (stamp, self._is_model(Path(name)))
            for name, stamp in others.items()
        }
        self._kinds = known
        found: dict[str, Stamp] = {}
        for name, (stamp, is_model) in known.items():
            inside = any(str(parent) in found for parent in Path(name).parents)
            if is_model and not inside:
                found[name] = stamp
        return found

    def _is_model(self, path: Path) -> bool:
        return has_weights(path) and not self._formats.isdisjoint(kinds_of(path))

    def _read_file(self, name: str, stamp: Stamp) -> tuple[Stamp, YamlModels]:
        known = self._read.get(name)
        if known is not None and known[0] == stamp:
            return known
        models = read_yaml(Path(name), models_path=self.path, created_unix_s=_seconds(stamp))
        return stamp, models

    def _with_revision(self, spec: ModelSpec, weights: dict[str, Stamp]) -> ModelSpec:
        """Add the revisions: hashes of what the spec says, or of what a worker gets of that, and of its files' stamps."""
        stamps = []
        for name in _files(spec):
            if name not in weights and name not in self._beside:
                self._beside[name] = _stamp(name)
            stamps.append((name, weights.get(name) or self._beside.get(name)))
        known = self._revised.get(spec.name)
        if known is not None and known[0] is spec and known[1] == stamps:
            return known[2]
        revised = replace(
            spec,
            revision=_digest(_SAID(spec), stamps),
            worker_revision=_digest(_LOADED(spec), stamps),
        )
        self._revised[spec.name] = (spec, stamps, revised)
        return revised


_Stamps = list[tuple[str, Stamp | None]]


def _digest(said: object, stamps: _Stamps) -> str:
    text = repr((said, stamps)).encode(errors="surrogateescape")
    return blake2b(text, digest_size=12).hexdigest()


class _Collected:
    """Gathers what the YAML files say; of two models with one name the first stays."""

    def __init__(self) -> None:
        self.specs: dict[str, ModelSpec] = {}
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.broken: dict[str, tuple[str, ...]] = {}

    def take(self, models: YamlModels) -> None:
        self.problems += models.problems
        self.warnings += models.warnings
        self.broken.update(models.broken)
        for spec in models.specs:
            first = self.specs.get(spec.name)
            if first is not None:
                self.problems.append(
                    f"{spec.origin}: name: {spec.name!r} is the name of the model at "
                    f"{first.origin} already; that one is used."
                )
                continue
            self.specs[spec.name] = spec


def _files(spec: ModelSpec) -> Iterable[str]:
    """Give the absolute names of all files of a model."""
    if spec.model_path is not None:
        yield str(spec.model_path)
    for key in FILE_SETTINGS:
        value = spec.settings.get(key, ())
        yield from [value] if isinstance(value, str) else value


def _add_loose_files(
    specs: dict[str, ModelSpec], weights: dict[str, Stamp], folder: Path
) -> dict[str, str]:
    """Add specs for weights that no YAML names; give the other names that weights answer to."""
    owners: dict[str, str] = {}
    parts = set()
    for spec in specs.values():
        named = list(_files(spec))
        if spec.model_path is not None:
            owners.setdefault(named.pop(0), spec.name)
        parts |= {name for name in named if name != spec.settings.get("draft_model")}
    file_names: dict[str, str] = {}
    for name, stamp in weights.items():
        if _is_companion(name) or (name in parts and name not in owners):
            continue
        names = _names(name, folder)
        owner = owners.get(name)
        if owner is None:
            owner = next((short for short in names if short not in {*specs, *file_names}), None)
            if owner is None:
                continue
            specs[owner] = _loose_spec(owner, name, stamp, folder)
        for other in names:
            if other not in specs:
                file_names.setdefault(other, owner)
    return file_names


def _is_companion(name: str) -> bool:
    """Whether a weights file is only a part of a model: a projector, or part 2 of several."""
    base = name.rpartition(os.sep)[2]
    match = PART.match(base)
    return "mmproj" in base.lower() or (match is not None and int(match["part"]) != 1)


def _names(name: str, folder: Path) -> list[str]:
    """Give the names of a weights file, the one to list first."""
    relative = os.path.relpath(name, folder).replace(os.sep, "/")
    found: list[str] = []
    for written in (relative.rpartition("/")[2], relative):
        match = PART.match(written)
        suffix = Path(written).suffix.lower()
        stem = written[: -len(suffix)] if suffix in _SUFFIXES else written
        found += [match["stem"], stem, written] if match else [stem, written]
    return list(dict.fromkeys(found))


def _loose_spec(name: str, path: str, stamp: Stamp, folder: Path) -> ModelSpec:
    origin = os.path.relpath(path, folder)
    templates, digest = read_templates({}, model_file=origin, models_path=folder, origin=origin)
    return ModelSpec(
        templates=templates,
        templates_digest=digest,
        name=name,
        model_path=Path(path),
        is_loose_file=True,
        created_unix_s=_seconds(stamp),
        origin=origin,
    )


def _starter_spec(path: Path) -> ModelSpec:
    stamp = _stamp(str(path))
    return ModelSpec(
        name=STARTER_NAME,
        model_path=path,
        sampling=Sampling(temperature=STARTER_TEMPERATURE),
        is_starter=True,
        created_unix_s=_seconds(stamp) if stamp else 0,
        description="A tiny model that comes with local-ai, to try it out.",
        origin=path.name,
    )


def _seconds(stamp: Stamp) -> int:
    return stamp[0] // 1_000_000_000


def _stamp(name: str) -> Stamp | None:
    with suppress(OSError, ValueError):
        found = os.stat(name)  # noqa: PTH116 - of ten thousand names, and a Path costs more than the question
        return (found.st_mtime_ns, found.st_size, found.st_ino)
    return None


def _list(folder: Path, config_file: Path | None) -> Listing:
    """Look at the folder once. The list file comes after the folder's own YAML files."""
    yaml: dict[str, Stamp] = {}
    weights: dict[str, Stamp] = {}
    templates: dict[str, Stamp] = {}
    others: dict[str, Stamp] = {}
    found = {".gguf": weights, ".yaml": yaml, ".yml": yaml, ".tmpl": templates}
    found |= dict.fromkeys((*LOOSE, _FOLDERS), others)
    try:
        _list_into(str(folder), 0, found, {folder.stat().st_ino})
    except OSError as error:
        problem = f"The models folder {folder} cannot be read: {error.strerror}."
        return Listing(yaml, weights, templates, others, problem)
    listed = dict(sorted(yaml.items()))
    if config_file is not None:
        stamp = _stamp(str(config_file))
        listed[str(config_file)] = stamp or (0, 0, 0)
    return Listing(listed, _by_depth(weights), templates, _by_depth(others))


def _by_depth(files: dict[str, Stamp]) -> dict[str, Stamp]:
    return dict(sorted(files.items(), key=lambda item: (item[0].count(os.sep), item[0])))


def _list_into(folder: str, depth: int, found: dict[str, dict[str, Stamp]], seen: set[int]) -> None:
    marks: list[Stamp] = []
    inside: list[Stamp] = []  # of the weights that a model in this folder would have
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name.lower()
            if name.startswith("."):
                continue
            with suppress(OSError):  # gone already, a link to nothing, a folder not for us
                suffix = name[name.rfind(".") :]
                if depth and suffix in WEIGHTS:
                    inside.append(_stamp_of(entry))
                if suffix in found and (depth == 0 or suffix not in TOP_ONLY):
                    _add_file(entry, found[suffix])
                elif name in FOLDER_MARKS and depth and entry.is_file():
                    marks.append(_stamp_of(entry))
                elif depth < DEEPEST and entry.is_dir() and entry.stat().st_ino not in seen:
                    seen.add(entry.stat().st_ino)  # a link may lead back to where we came from
                    _list_into(entry.path, depth + 1, found, seen)
    if marks:
        found[_FOLDERS][folder] = _joined([*marks, *inside])


def _joined(stamps: list[Stamp]) -> Stamp:
    """One stamp that changes with any of these: as new as the newest, as large as all together."""
    times, sizes, inodes = zip(*stamps, strict=True)
    return max(times), sum(sizes), sum(inodes)


def _add_file(entry: os.DirEntry[str], files: dict[str, Stamp]) -> None:
    if entry.is_file():  # nothing else ends when it is read: a pipe would hold the server up
        files[entry.path] = _stamp_of(entry)


def _stamp_of(entry: os.DirEntry[str]) -> Stamp:
    found = entry.stat()
    return (found.st_mtime_ns, found.st_size, found.st_ino)

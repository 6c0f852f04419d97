"""A model file (YAML) becomes specs, and every problem in it a sentence with file and line.

One file holds one mapping, or a list of them, or several documents. An entry with a problem gives
no spec, but never keeps the others from being read.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from localai.catalog import compat, functions, values
from localai.catalog.compat import Key, Place, Section
from localai.catalog.edits import OutputEdits
from localai.catalog.spec import ModelSpec
from localai.catalog.template_files import read_templates
from localai.catalog.values import BadValue
from localai.catalog.yaml_nodes import Mapping as MappingNode
from localai.catalog.yaml_nodes import Node, Scalar, Sequence, YamlProblem, documents
from localai.domain.downloads import WantedFile
from localai.domain.generation import Sampling
from localai.wire.functions import SETTING

LARGEST_FILE_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlModels:
    """What one file says. `broken` maps the name of each refused entry to its problems."""

    specs: tuple[ModelSpec, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    broken: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_yaml(path: Path, *, models_path: Path, created_unix_s: int = 0) -> YamlModels:
    """Read the model entries of a YAML file. Never raises: what is wrong is in `problems`."""
    shown = str(path).removeprefix(f"{models_path}{os.sep}")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        return _refused(f"{shown}:1: the file cannot be read: {error.strerror or error}.")
    if len(data) > LARGEST_FILE_BYTES:
        return _refused(
            f"{shown}:1: the file is larger than {LARGEST_FILE_BYTES} bytes; "
            "a model file is a few lines of YAML."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _refused(f"{shown}:{line}: this is not UTF-8 text; save the file as UTF-8.")
    return parse_yaml(text, shown=shown, models_path=models_path, created_unix_s=created_unix_s)


def _refused(problem: str) -> YamlModels:
    return YamlModels(problems=(problem,))


def parse_yaml(text: str, *, shown: str, models_path: Path, created_unix_s: int = 0) -> YamlModels:
    """Read the model entries of a YAML text; `shown` is what problems call its file."""
    specs: list[ModelSpec] = []
    problems: list[str] = []
    warnings: list[str] = []
    broken: dict[str, tuple[str, ...]] = {}
    try:
        for document in documents(text):
            for node in _entries(document):
                entry = _Entry(shown, models_path, created_unix_s)
                spec = entry.read(node)
                problems += entry.problems
                warnings += entry.warnings
                if spec is not None:
                    specs.append(spec)
                elif entry.name:
                    broken[entry.name] = tuple(entry.problems)
    except YamlProblem as problem:
        problems.append(f"{shown}:{problem.line}: {problem.message}")
    if not specs and not problems:
        warnings.append(f"{shown}:1: the file holds no model.")
    return YamlModels(
        specs=tuple(specs), problems=tuple(problems), warnings=tuple(warnings), broken=broken
    )


def _entries(document: Node) -> list[Node]:
    if isinstance(document, Sequence):
        return document.items
    if isinstance(document, Scalar) and document.is_null:
        return []
    return [document]


class _Entry:
    """Reads one model's mapping, collecting everything that is wrong with it."""

    def __init__(self, shown: str, models_path: Path, created_unix_s: int) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.name = ""
        self._shown = shown
        self._models_path = models_path
        self._created_unix_s = created_unix_s
        self._spec: dict[str, Any] = {}
        self._sampling: dict[str, Any] = {}
        self._settings: dict[str, Any] = {}
        self._templates: dict[str, Any] = {}
        self._function: dict[str, Any] = {}
        self._edits: dict[str, Any] = {}
        self._downloads: list[WantedFile] = []

    def read(self, node: Node) -> ModelSpec | None:
        """Give the spec, or None when there are problems."""
        if not isinstance(node, MappingNode):
            self.problems.append(
                f"{self._shown}:{node.line}: a model is a mapping of keys to values "
                "(`name: ...`), or a list of such mappings."
            )
            return None
        self._walk(node, compat.TOP, "")
        self.name = self._spec.get("name", "")
        if not self.name and not self._has_problem("name"):
            line = node.lines.get("name", node.line)
            self._problem(line, "name", "is missing; it is what requests call the model.")
        for key, why in functions.contradictions(self._function):
            section = node.entries["function"]
            assert isinstance(section, MappingNode)
            self._problem(section.lines.get(key, section.line), f"function.{key}", why)
        model_path = None if self.problems else self._model_path(node)
        return None if self.problems else self._build(node, model_path)

    def _build(self, node: MappingNode, model_path: Path | None) -> ModelSpec:
        fields = {
            name: value for name, value in self._spec.items() if name not in ("model", "downloads")
        }
        origin = f"{self._shown}:{node.line}"
        templates, digest = read_templates(
            self._templates,
            model_file=self._spec.get("model") or self.name,
            models_path=self._models_path,
            system_prompt=self._spec.get("system_prompt", ""),
            origin=origin,
        )
        self.warnings.extend(templates.problems if templates else ())
        if self._function:
            self._settings[SETTING] = msgspec.to_builtins(functions.section(self._function))
        return ModelSpec(
            **fields,
            model_path=None if self._spec.get("alias") else model_path,
            model_id=self._spec.get("model", ""),
            sampling=Sampling(**self._sampling),
            settings=self._settings,
            templates=templates,
            templates_digest=digest,
            downloads=self._wanted(),
            edits=OutputEdits(**self._edits) if any(self._edits.values()) else None,
            created_unix_s=self._created_unix_s,
            origin=origin,
        )

    def _wanted(self) -> tuple[WantedFile, ...]:
        """What is to be fetched; `download_files` know more than addresses in other keys."""
        found = {file.name: file for file in (*self._downloads, *self._spec.get("downloads", ()))}
        return tuple(found.values())

    def _model_path(self, node: MappingNode) -> Path | None:
        written = self._spec.get("model")
        if written is None:
            try:
                written = values.file(Scalar(self.name, node.line)) if self.name else None
            except BadValue as bad:
                if "alias" not in self._spec:
                    self._problem(node.line, "name", f"{bad} Set `parameters.model`.")
                return None
        return self._local(written) if written else None

    def _local(self, written: str) -> Path:
        """Give the absolute path of a file named in YAML; an address is stored by its last part."""
        if values.is_address(written):
            return self._models_path / values.name_of_address(written)
        return self._models_path / written

    def _walk(self, node: MappingNode, keys: Mapping[str, Key | Section], prefix: str) -> None:
        for name, line in node.repeated:
            self._warn(line, prefix + name, "is written twice; the last one counts.")
        for name, child in node.entries.items():
            line, path = node.lines[name], prefix + name
            match keys.get(name):
                case None:
                    self._warn(line, path, f"unknown key{_nearest(name, keys)}")
                case Section() as section:
                    self._enter(section, child, line, path)
                case Key() as key:
                    self._take(key, child, line, path)

    def _enter(self, section: Section, child: Node, line: int, path: str) -> None:
        if isinstance(child, Scalar) and child.is_null:
            return
        if not isinstance(child, MappingNode):
            self._problem(line, path, "a mapping of keys to values is needed.")
            return
        if section.place is not Place.LATER:
            self._walk(child, section.keys, f"{path}.")
            return
        for name in child.entries:
            if name not in section.keys:
                hint = _nearest(name, section.keys)
                self._warn(child.lines[name], f"{path}.{name}", f"unknown key{hint}")
        if child.entries:
            self._warn(line, path, "not acted on by this version.")

    def _take(self, key: Key, child: Node, line: int, path: str) -> None:
        if isinstance(child, Scalar):
            is_empty = not child.text and key.place is not Place.TEMPLATE  # where "" is a value
            if child.is_null or is_empty:
                return  # written but left empty: as if it were absent
        if key.place is Place.LATER:
            self._warn(line, path, "not acted on by this version.")
            return
        if key.place is Place.NOTHING:
            return
        try:
            value = key.read(child)
        except BadValue as bad:
            self._problem(bad.line or line, path, str(bad))
            return
        if value is None:
            return
        if key.place is Place.INSTEAD:
            if value:
                self._warn(line, path, key.name)
            return
        named = value if isinstance(value, tuple) else (value,)
        if key.is_file or key.name == "model":
            self._downloads += [
                WantedFile(name=values.name_of_address(uri), uri=uri)
                for uri in named
                if values.is_address(uri) and values.names_file(uri)
            ]
        self._store(key, value)

    def _store(self, key: Key, value: Any) -> None:
        if key.is_file:
            value = (
                str(self._local(value))
                if isinstance(value, str)
                else tuple(str(self._local(name)) for name in value)
            )
        if key.place is Place.SAMPLING:
            self._sampling[key.name] = value
        elif key.place is Place.SETTING:
            self._settings[key.name] = value
        elif key.place is Place.TEMPLATE:
            self._templates[key.name] = value
        elif key.place is Place.FUNCTION:
            self._function[key.name] = value
        elif key.place is Place.EDIT:
            self._edits[key.name] = value
        elif key.name == "stop":  # `stopwords` and `parameters.stop` add up
            self._spec["stop"] = tuple(dict.fromkeys((*self._spec.get("stop", ()), *value)))
        else:
            self._spec[key.name] = value

    def _has_problem(self, path: str) -> bool:
        return any(f": {path}: " in problem for problem in self.problems)

    def _problem(self, line: int, path: str, message: str) -> None:
        self.problems.append(f"{self._shown}:{line}: {path}: {message}")

    def _warn(self, line: int, path: str, message: str) -> None:
        self.warnings.append(f"{self._shown}:{line}: {path}: {message}")


def _nearest(name: str, keys: Mapping[str, Key | Section]) -> str:
    """Give `; did you mean ...?` for a misspelled key, or for one written at the wrong level."""
    for where in _sections(name, keys):
        return f"; it belongs {where}."
    near = difflib.get_close_matches(name[: compat.LONGEST_NAME], keys, n=1)
    return f"; did you mean {near[0]}?" if near else "."


def _sections(name: str, keys: Mapping[str, Key | Section]) -> Iterator[str]:
    if keys is not compat.TOP and name in compat.TOP:
        yield "at the top level of the entry"
    if keys is compat.TOP:
        for section, inner in compat.TOP.items():
            if isinstance(inner, Section) and name in inner.keys:
                yield f"under `{section}:`"

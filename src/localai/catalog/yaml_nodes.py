"""YAML text as a tree that remembers its lines.

Built from the parser's events without recursion and without expanding aliases, so a hostile file
costs no more than its own size. Scalars stay text: what `on` or `1.0` means depends on the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

LARGEST_TREE: Final = 50_000  # values in one document, those repeated by aliases included
DEEPEST: Final = 32
MOST_REPAIRS: Final = 100

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlProblem(Exception):
    """The text is no YAML that can be used; `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as written; `is_plain` when it stands without quotes."""

    text: str
    line: int
    is_plain: bool = True

    @property
    def is_null(self) -> bool:
        """Whether nothing is written, or one of YAML's words for nothing."""
        return self.is_plain and self.text in {"", "~", "null", "Null", "NULL"}


@dataclass(slots=True)
class Sequence:
    """A list of values."""

    line: int
    items: list[Node] = field(default_factory=list)
    size: int = 1


@dataclass(slots=True)
class Mapping:
    """Keys with values; `repeated` names keys that were written more than once."""

    line: int
    entries: dict[str, Node] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    repeated: list[tuple[str, int]] = field(default_factory=list)
    merged: list[Node] = field(default_factory=list)
    key: Scalar | None = None
    size: int = 1


Node = Scalar | Sequence | Mapping


def documents(text: str) -> Iterator[Node]:
    """Give the documents of a YAML text one by one.

    Raises YamlProblem at the first error; the documents before it have been given. An unknown
    escape in a quoted text stands for itself, as other YAML readers have it.
    """
    given = 0
    for _ in range(MOST_REPAIRS):
        try:
            for number, document in enumerate(_documents(text)):
                if number >= given:
                    given = number + 1
                    yield document
            return
        except yaml.MarkedYAMLError as error:
            repaired = _with_literal_escape(text, error)
            if repaired is None:
                raise YamlProblem(_line(error), _sentence(error)) from error
            text = repaired
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise YamlProblem(line, f"this is not YAML: {error.reason}.") from error
    raise YamlProblem(1, f"the file holds more than {MOST_REPAIRS} unknown escapes.")


def _with_literal_escape(text: str, error: yaml.MarkedYAMLError) -> str | None:
    """Give `text` with the backslash that the parser rejected doubled."""
    if "unknown escape" not in (error.problem or "") or error.problem_mark is None:
        return None
    place = text.find("\\", error.problem_mark.index)
    return text[:place] + "\\" + text[place:] if place >= 0 else None


def _line(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


def _sentence(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    return f"this is not YAML: {', '.join(parts)}."


def _documents(text: str) -> Iterator[Node]:
    builder = _Builder()
    for event in yaml.parse(text, Loader=Loader):
        kind = type(event)
        if kind is yaml.DocumentStartEvent:
            builder = _Builder()
        elif kind is not yaml.DocumentEndEvent:
            builder.feed(event)
        elif builder.root is not None:
            yield builder.root


_ENDS: Final = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


class _Builder:
    """Puts one document together from its events."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[Sequence | Mapping] = []
        self._anchors: dict[str, Node] = {}
        self._names: list[str | None] = []  # anchors of the open collections

    def feed(self, event: Any) -> None:
        kind = type(event)  # the parser makes no others; a folder of model files has 100,000s
        line = event.start_mark.line + 1
        if kind is yaml.ScalarEvent:
            scalar = Scalar(event.value, line, is_plain=event.implicit[0])
            self._anchor(event.anchor, scalar)
            self._add(scalar, line)
        elif kind is yaml.MappingStartEvent:
            self._start(Mapping(line), event.anchor)
        elif kind is yaml.SequenceStartEvent:
            self._start(Sequence(line), event.anchor)
        elif kind in _ENDS:
            self._end()
        elif kind is yaml.AliasEvent:
            self._add(self._aliased(event.anchor, line), line)

    def _anchor(self, name: str | None, node: Node) -> None:
        if name is not None:
            self._anchors[name] = node

    def _aliased(self, name: str | None, line: int) -> Node:
        node = self._anchors.get(name or "")
        if node is None:
            raise YamlProblem(line, f"the alias *{name} stands for nothing before it.")
        return node

    def _start(self, node: Sequence | Mapping, anchor: str | None) -> None:
        if len(self._open) >= DEEPEST:
            raise YamlProblem(node.line, f"values are nested deeper than {DEEPEST} levels.")
        self._open.append(node)
        self._names.append(anchor)

    def _end(self) -> None:
        node = self._open.pop()
        self._anchor(self._names.pop(), node)
        if isinstance(node, Mapping):
            _merge(node)
        self._add(node, node.line)

    def _add(self, node: Node, line: int) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.size += node.size if not isinstance(node, Scalar) else 1
        if parent.size > LARGEST_TREE:
            raise YamlProblem(line, f"the document holds more than {LARGEST_TREE} values.")
        if isinstance(parent, Sequence):
            parent.items.append(node)
        else:
            _add_to_mapping(parent, node, line)


def _add_to_mapping(mapping: Mapping, node: Node, line: int) -> None:
    if mapping.key is None:
        if not isinstance(node, Scalar):
            raise YamlProblem(line, "a key must be a single word or text.")
        mapping.key = node
        return
    key, mapping.key = mapping.key, None
    if key.text == "<<" and key.is_plain:
        mapping.merged.append(node)
        return
    if key.text in mapping.entries:
        mapping.repeated.append((key.text, key.line))
    mapping.entries[key.text] = node
    mapping.lines[key.text] = key.line


def _merge(mapping: Mapping) -> None:
    """Fill in what merge keys (`<<: *other`) bring; what the mapping says itself stands."""
    for node in mapping.merged:
        for source in node.items if isinstance(node, Sequence) else [node]:
            if not isinstance(source, Mapping):
                raise YamlProblem(mapping.line, "a merge key (<<) needs a mapping.")
            for key, value in source.entries.items():
                if key not in mapping.entries:
                    mapping.entries[key] = value
                    mapping.lines[key] = source.lines[key]

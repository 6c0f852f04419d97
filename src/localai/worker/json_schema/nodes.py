"""A schema as a tree of what a grammar can say. Values are as JSON has them, numbers exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from localai.worker.json_schema.regex import Regex

Key = tuple[str, ...]
"""The pointers of the schemas that hold together for a node: what a reference leads to."""


@dataclass(frozen=True, slots=True)
class Anything:
    """Every JSON value."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No value at all; `pointer` is the keyword that leaves none."""

    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Values:
    """One of these values."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number within bounds, which may be left out; a multiple of `step`, if that is set."""

    is_whole: bool = False
    low: Decimal | None = None
    high: Decimal | None = None
    excludes_low: bool = False
    excludes_high: bool = False
    step: Decimal | None = None
    pointer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class String:
    """A text of a length, or one of a pattern without anchors, or one of a format.

    `is_exact` False: the schema allows more texts than these.
    """

    least: int = 0
    most: int | None = None
    pattern: Regex | None = None
    format: str | None = None
    is_exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """A list: the items of `head` in their places, then `least` to `most` of `rest`."""

    head: tuple[Node, ...] = ()
    rest: Node = field(default_factory=Anything)
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A list of some of these values, none of them twice, in this order."""

    values: tuple[Any, ...]
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """An object. `others` are values under further names of the form `names`; None allows none.

    `is_closed`: the schema itself allows no other names.
    """

    properties: Mapping[str, Node] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    others: Node | None = None
    names: Node = field(default_factory=String)
    least: int = 0
    most: int | None = None
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Union:
    """One of several."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """What stands under `key` in the tree's targets; it may lead back to where it stands."""

    key: Key


Node = (
    Anything | Nothing | Values | Number | String | Array | Choice | Object | Union | Reference
)  # fmt: skip

TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")


def type_of(value: Any) -> str:
    """The JSON type of a value; whole numbers are integers."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case Decimal():
            return "integer" if value == value.to_integral_value() else "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"

"""Go's values as Python's: what a template computes with.

nil is None, numbers are int and float, strings are str, slices are list or tuple, maps are mappings
with text keys, structs are Record, times are datetime. Go's strings are bytes: a str here stands for
its UTF-8 form, and single bytes that are no UTF-8 are kept as surrogates until the text is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

SMALLEST_INT: Final = -(2**63)
LARGEST_INT: Final = 2**63 - 1

Table = Mapping[str, tuple[str, Callable[..., Any] | None]]
"""Functions by name: the kinds of their parameters, as functions.Function reads them, and each."""

_STRAY = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # surrogates that stand for no byte


class _Missing:
    """See MISSING."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""What a map gives for a key that it does not hold; unlike nil, it may be asked for fields."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A struct: `fields` in declared order. To ask it for another field is an error.

    `json_names` are the names in JSON where they differ; `omitted_if_empty` are the fields that
    JSON leaves out when they are empty. `text` is what it prints as, when it has a String method.
    """

    type_name: str
    fields: Mapping[str, Any]
    json_names: Mapping[str, str] = field(default_factory=dict)
    omitted_if_empty: frozenset[str] = frozenset()
    text: str = ""


class PrintedMap(dict[str, Any]):
    """A map with a String method: it prints as `text`."""

    text = ""


class PrintedList(list[Any]):
    """A slice with a String method: it prints as `text`."""

    text = ""


def to_bytes(text: str) -> bytes:
    """Give the bytes of a Go string."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return _STRAY.sub("\ufffd", text).encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """Give the Go string of some bytes."""
    return data.decode("utf-8", "surrogateescape")


def clean(text: str) -> str:
    """Replace what is no character by U+FFFD; bytes that stand together again become one."""
    return text if text.isascii() else to_bytes(text).decode("utf-8", "replace")


def wrapped(value: int) -> int:
    """Give what is left of an integer in 64 bits."""
    return (value - SMALLEST_INT) % 2**64 + SMALLEST_INT


def kind_of(value: Any) -> str:
    """Give the name of Go's kind of a value."""
    match value:
        case str():
            return "string"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case list() | tuple():
            return "slice"
        case Mapping():
            return "map"
        case Record() | datetime():
            return "struct"
        case _:
            return "invalid"


def type_of(value: Any) -> str:
    """Give the name of Go's type of a value."""
    match value:
        case None | _Missing():
            return "<nil>"
        case list() | tuple():
            return "[]interface {}"
        case Mapping():
            return "map[string]interface {}"
        case Record():
            return value.type_name
        case datetime():
            return "time.Time"
        case _:
            return kind_of(value)

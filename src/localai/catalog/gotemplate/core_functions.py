"""The functions of Go's text/template itself; `and` and `or` are in the evaluator.

Source: the documentation of Go's text/template, "Functions".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from localai.catalog.gotemplate.errors import FunctionFailed
from localai.catalog.gotemplate.limits import checked_length
from localai.catalog.gotemplate.printf import sprintf
from localai.catalog.gotemplate.printing import NO_VALUE, joined, plain
from localai.catalog.gotemplate.values import (
    Record,
    Table,
    from_bytes,
    kind_of,
    to_bytes,
    type_of,
)

_BASIC: Final = {"bool", "int", "float64", "string"}
_HTML: Final = str.maketrans(
    {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
_JS: Final = {"\\": "\\\\", "'": "\\'", '"': '\\"'}


def is_equal(first: Any, *others: Any) -> bool:
    """Compare the first with each of the others."""
    if not others:
        raise FunctionFailed("missing argument for comparison")
    return any(_same(first, other) for other in others)


def _same(first: Any, other: Any) -> bool:
    if isinstance(first, str) and isinstance(other, str):
        return first == other
    kind, other_kind = kind_of(first), kind_of(other)
    if kind != other_kind:
        if first is None or other is None:
            return False
        raise FunctionFailed(f"incompatible types for comparison: {kind} and {other_kind}")
    if kind in _BASIC:
        return bool(first == other)
    if kind in {"map", "slice"}:
        raise FunctionFailed(f"non-comparable types {type_of(first)} and {type_of(other)}")
    return bool(first is other or first == other)


def is_different(first: Any, other: Any) -> bool:
    """Give the opposite of eq; two arguments only."""
    return not _same(first, other)


def is_less(first: Any, other: Any) -> bool:
    """Compare two numbers or strings of one kind."""
    kind, other_kind = kind_of(first), kind_of(other)
    for value, its_kind in ((first, kind), (other, other_kind)):
        if its_kind not in _BASIC:
            raise FunctionFailed(f"invalid type for comparison: {type_of(value)}")
    if kind != other_kind:
        raise FunctionFailed(f"incompatible types for comparison: {kind} and {other_kind}")
    if kind == "bool":
        raise FunctionFailed("invalid type for comparison: bool")
    if kind == "string":
        return to_bytes(first) < to_bytes(other)
    return bool(first < other)


def is_less_or_equal(first: Any, other: Any) -> bool:
    """Give the opposite of greater than, save for what is no number."""
    return is_less(first, other) or _same(first, other)


def is_greater(first: Any, other: Any) -> bool:
    """Give the opposite of le."""
    return not is_less_or_equal(first, other)


def is_greater_or_equal(first: Any, other: Any) -> bool:
    """Give the opposite of lt."""
    return not is_less(first, other)


def negation(value: Any) -> bool:
    """Give the opposite of a value's truth."""
    return not value


def length(value: Any) -> int:
    """Count the bytes of a string, or the elements of a list or map."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(to_bytes(value))
    if isinstance(value, list | tuple | Mapping):
        return len(value)
    raise FunctionFailed(f"len of type {type_of(value)}" if value is not None else "len of nil")


def element(value: Any, *keys: Any) -> Any:
    """Go into lists, strings and maps: `index x 1 2` is x[1][2]."""
    if value is None:
        raise FunctionFailed("index of untyped nil")
    for key in keys:
        value = _element(value, key)
    return value


def _element(value: Any, key: Any) -> Any:
    match value:
        case None:
            raise FunctionFailed("index of nil pointer")
        case str():
            data = to_bytes(value)
            return data[_position(key, len(data) - 1)]
        case list() | tuple():
            return value[_position(key, len(value) - 1)]
        case Mapping():
            if not isinstance(key, str):
                raise FunctionFailed(f"value has type {type_of(key)}; should be string")
            return value.get(key)
        case Record():
            raise FunctionFailed(
                f"can't index item of type {value.type_name}; write .{plain(key)[:40]} instead"
            )
        case _:
            raise FunctionFailed(f"can't index item of type {type_of(value)}")


def _position(key: Any, largest: int) -> int:
    if isinstance(key, bool) or not isinstance(key, int):
        shown = "nil" if key is None else f"type {type_of(key)}"
        raise FunctionFailed(f"cannot index slice/array with {shown}")
    if not 0 <= key <= largest:
        raise FunctionFailed(f"index out of range: {key}")
    return key


def sliced(value: Any, *bounds: Any) -> Any:
    """Give `value[a:b]`: the bytes of a string, or the elements of a list."""
    if not isinstance(value, str | list | tuple):
        raise FunctionFailed(f"can't slice item of type {type_of(value)}")
    if len(bounds) > (2 if isinstance(value, str) else 3):
        raise FunctionFailed(f"too many slice indexes: {len(bounds)}")
    data: Any = to_bytes(value) if isinstance(value, str) else value
    places = [_position(bound, len(data)) for bound in bounds]
    start, end = (*places, *(0, len(data))[len(places) :])[:2]
    if start > end:
        raise FunctionFailed(f"invalid slice index: {start} > {end}")
    return from_bytes(data[start:end]) if isinstance(value, str) else list(data[start:end])


def print_text(*args: Any) -> str:
    """Give what fmt.Sprint gives."""
    return joined(args)


def print_line(*args: Any) -> str:
    """Give what fmt.Sprintln gives: spaces between all, and a newline."""
    return " ".join(plain(arg) for arg in args) + "\n"


def print_format(template: str, *args: Any) -> str:
    """Give what fmt.Sprintf gives."""
    return sprintf(template, args)


def _as_text(args: tuple[Any, ...]) -> str:
    if len(args) == 1 and isinstance(args[0], str):
        return args[0]
    return joined(NO_VALUE if arg is None else arg for arg in args)


def for_html(*args: Any) -> str:
    """Escape for HTML."""
    return _as_text(args).translate(_HTML)


def for_js(*args: Any) -> str:
    """Escape for a JavaScript string."""
    return "".join(_js(char) for char in _as_text(args))


def _js(char: str) -> str:
    if char in _JS:
        return _JS[char]
    if char in "<>&=" or not char.isprintable():
        return f"\\u{ord(char):04X}"
    return char


def for_url(*args: Any) -> str:
    """Escape for the query of an address."""
    text = _as_text(args)
    checked_length(3 * len(text))
    return quote_plus(to_bytes(text), safe="-_.~")


FUNCTIONS: Final[Table] = {
    "and": ("v v*", None),
    "or": ("v v*", None),
    "not": ("v", negation),
    "eq": ("v v*", is_equal),
    "ne": ("v v", is_different),
    "lt": ("v v", is_less),
    "le": ("v v", is_less_or_equal),
    "gt": ("v v", is_greater),
    "ge": ("v v", is_greater_or_equal),
    "len": ("v", length),
    "index": ("v v*", element),
    "slice": ("v v*", sliced),
    "print": ("a*", print_text),
    "println": ("a*", print_line),
    "printf": ("s a*", print_format),
    "html": ("a*", for_html),
    "js": ("a*", for_js),
    "urlquery": ("a*", for_url),
}

"""Sprig's functions for lists, dictionaries, defaults and types.

Source: the documentation of sprig, "Lists", "Dictionaries", "Default Functions", "Reflection".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localai.catalog.gotemplate.errors import FunctionFailed
from localai.catalog.gotemplate.limits import checked_list_length
from localai.catalog.gotemplate.printing import plain
from localai.catalog.gotemplate.text_functions import text_list
from localai.catalog.gotemplate.values import Record, Table, kind_of, to_bytes, type_of

Dictionary = dict[str, Any]


def is_same(first: Any, other: Any) -> bool:
    """Say whether two values are equal to the last element, and of the same types."""
    if kind_of(first) != kind_of(other):
        return False
    if isinstance(first, list | tuple):
        return len(first) == len(other) and all(map(is_same, first, other))
    if isinstance(first, Mapping):
        return first.keys() == other.keys() and all(is_same(first[k], other[k]) for k in first)
    if isinstance(first, Record):
        return first.type_name == other.type_name and is_same(first.fields, other.fields)
    return bool(first == other)


def _items(function: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise FunctionFailed(f"cannot find {function} on type {type_of(value)}")
    return list(value)


def _made(items: list[Any]) -> list[Any]:
    checked_list_length(len(items))
    return items


def _first(value: Any) -> Any:
    items = _items("first", value)
    return items[0] if items else None


def _last(value: Any) -> Any:
    items = _items("last", value)
    return items[-1] if items else None


def _concatenated(*lists: Any) -> list[Any]:
    checked_list_length(sum(len(value) for value in lists if isinstance(value, list | tuple)))
    return [item for value in lists for item in _items("concat", value)]


def _has(needle: Any, value: Any) -> bool:
    return value is not None and any(is_same(needle, item) for item in _items("has", value))


def _unique(value: Any) -> list[Any]:
    return _without(value, unique=True)


def _without(value: Any, *unwanted: Any, unique: bool = False) -> list[Any]:
    """Leave out what is unwanted, or what came before; plain values are looked up, not searched."""
    seen = {_key(item) for item in unwanted}
    kept = []
    for item in _items("uniq" if unique else "without", value):
        key = _key(item)
        if key not in seen:
            kept.append(item)
            if unique:
                seen.add(key)
    return kept


def _key(value: Any) -> Any:
    """Give something hashable that is equal for values that are the same."""
    if isinstance(value, list | tuple):
        return ("slice", *map(_key, value))
    if isinstance(value, Mapping):
        return ("map", frozenset((name, _key(item)) for name, item in value.items()))
    if isinstance(value, Record):
        return (value.type_name, _key(value.fields))
    return (kind_of(value), value)


def _chunks(size: int, value: Any) -> list[Any]:
    items = _items("chunk", value)
    if size < 1:
        raise FunctionFailed("a chunk has at least one element")
    return [items[i : i + size] for i in range(0, len(items), size)]


def _dictionary(*pairs: Any) -> Dictionary:
    """Make a map of keys and values by turns; a last key without a value gets an empty text."""
    values = (*pairs, "") if len(pairs) % 2 else pairs
    return {plain(values[i]): values[i + 1] for i in range(0, len(values), 2)}


def _map(function: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FunctionFailed(f"{function} needs maps, not {type_of(value)}")
    return value


def _mutable(value: Mapping[str, Any]) -> Dictionary:
    if not isinstance(value, dict):
        raise FunctionFailed("this map cannot be changed; make one with `dict` or `merge`")
    return value


def _set(value: Mapping[str, Any], key: str, item: Any) -> Dictionary:
    changed = _mutable(value)
    changed[key] = item
    return changed


def _unset(value: Mapping[str, Any], key: str) -> Dictionary:
    changed = _mutable(value)
    changed.pop(key, None)
    return changed


def _keys(*maps: Any) -> list[str]:
    """Give all keys. Go leaves their order open; sorted, a template gives one text always."""
    return _made([key for value in maps for key in sorted(_map("keys", value))])


def _values(value: Mapping[str, Any]) -> list[Any]:
    return [value[key] for key in sorted(value)]


def _merge(first: Any, *others: Any) -> Dictionary:
    """Fill the first map's gaps from the others, at every level."""
    target = _mutable(_map("merge", first))
    for other in others:
        for key, item in _map("merge", other).items():
            present = target.get(key)
            if isinstance(present, dict) and isinstance(item, Mapping):
                if present is not item:
                    _merge(present, item)
            elif not present:
                target[key] = item
    return target


def _merge_overwriting(first: Any, *others: Any) -> Dictionary:
    target = _mutable(_map("mergeOverwrite", first))
    for other in others:
        for key, item in list(_map("mergeOverwrite", other).items()):
            present = target.get(key)
            if isinstance(present, dict) and isinstance(item, Mapping):
                if present is not item:
                    _merge_overwriting(present, item)
            elif item:
                target[key] = item
    return target


def _dig(*arguments: Any) -> Any:
    """Follow keys into a map: the keys, what to give if one is missing, the map."""
    if len(arguments) < 3:  # noqa: PLR2004 - as the sentence says
        raise FunctionFailed("dig needs keys, a default and a map")
    *keys, default, value = arguments
    for key in keys:
        inner = _map("dig", value)
        if plain(key) not in inner:
            return default
        value = inner[plain(key)]
    return value


def _default(default: Any, *given: Any) -> Any:
    return given[0] if given and given[0] else default


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value), None)


def _get(value: Mapping[str, Any], key: str) -> Any:
    return value.get(key, "")


def _kind_is(kind: str, value: Any) -> bool:
    return kind_of(value) == kind


def _type_is(name: str, value: Any) -> bool:
    return type_of(value) == name


def copied(value: Any) -> Any:
    """Give a copy whose lists and maps can be changed without changing the original."""
    if isinstance(value, list | tuple):
        return [copied(item) for item in value]
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return value


FUNCTIONS: Final[Table] = {
    # lists
    "append": ("a a", lambda value, item: _made([*_items("append", value), item])),
    "chunk": ("i a", _chunks),
    "compact": ("a", lambda value: [item for item in _items("compact", value) if item]),
    "concat": ("a*", _concatenated),
    "first": ("a", _first),
    "has": ("a a", _has),
    "initial": ("a", lambda value: _items("initial", value)[:-1]),
    "last": ("a", _last),
    "list": ("a*", lambda *items: list(items)),
    "prepend": ("a a", lambda value, item: _made([item, *_items("prepend", value)])),
    "push": ("a a", lambda value, item: _made([*_items("push", value), item])),
    "rest": ("a", lambda value: _items("rest", value)[1:]),
    "reverse": ("a", lambda value: _items("reverse", value)[::-1]),
    "sortAlpha": ("a", lambda value: sorted(text_list(value), key=to_bytes)),
    "tuple": ("a*", lambda *items: list(items)),
    "uniq": ("a", _unique),
    "without": ("a a*", _without),
    # dictionaries
    "deepCopy": ("a", copied),
    "dict": ("a*", _dictionary),
    "dig": ("a*", _dig),
    "get": ("m s", _get),
    "hasKey": ("m s", lambda value, key: key in value),
    "keys": ("m*", _keys),
    "merge": ("m m*", _merge),
    "mergeOverwrite": ("m m*", _merge_overwriting),
    "omit": ("m s*", lambda value, *keys: {k: v for k, v in value.items() if k not in keys}),
    "pick": ("m s*", lambda value, *keys: {k: value[k] for k in keys if k in value}),
    "pluck": ("s m*", lambda key, *maps: [value[key] for value in maps if key in value]),
    "set": ("m s a", _set),
    "unset": ("m s", _unset),
    "values": ("m", _values),
    # defaults
    "all": ("a*", lambda *values: all(values)),
    "any": ("a*", lambda *values: any(values)),
    "coalesce": ("a*", _coalesce),
    "default": ("a a*", _default),
    "empty": ("a", lambda value: not value),
    "ternary": ("a a b", lambda yes, no, which: yes if which else no),
    # types
    "deepEqual": ("a a", is_same),
    "kindIs": ("s a", _kind_is),
    "kindOf": ("a", kind_of),
    "typeIs": ("s a", _type_is),
    "typeOf": ("a", type_of),
}

"""JSON Schema as GBNF rules.

Understood are type, enum, const, properties, required, additionalProperties, items, prefixItems,
anyOf, oneOf, allOf of objects, $ref inside the schema, minItems, maxItems, minLength, maxLength,
pattern, minimum, maximum and their exclusive forms for whole numbers, and the formats date, time,
date-time and uuid. What is not understood is left out, which allows more than the schema does.
Properties come in the schema's order, after those that are asked for first.
Source: JSON Schema 2020-12.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from localai.regexp import BadPattern, Pattern
from localai.worker.grammars.gbnf_text import literal, times
from localai.worker.grammars.number_grammar import whole_numbers
from localai.worker.grammars.pattern_grammar import pattern_rule

_DEEPEST: Final = 64
_MOST_RULES: Final = 5000
_MOST_OPTIONS: Final = 2000  # of an enum
_PRIMITIVES: Final[Mapping[str, str]] = {
    "ws": '"" | " " | "\\n" [ \\t]{0,20}',
    "character": '[^"\\\\\\u007F\\u0000-\\u001F] | "\\\\" (["\\\\/bfnrt] | "u" [0-9a-fA-F]{4})',
    "string": '"\\"" character* "\\""',
    "integer": '"-"? ("0" | [1-9] [0-9]{0,15})',
    "number": 'integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "value": "object | array | string | number | boolean | null",
    "object": '"{" ws (pair ws ("," ws pair ws)*)? "}"',
    "pair": 'string ws ":" ws value',
    "array": '"[" ws (value ws ("," ws value ws)*)? "]"',
    "date": '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])',
    "time": '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,9})? '
    '("Z" | [+-] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])',
    "date-time": 'date "T" time',
    "uuid": '[0-9a-fA-F]{8} ("-" [0-9a-fA-F]{4}){3} "-" [0-9a-fA-F]{12}',
}
_FORMATS: Final = frozenset({"date", "time", "date-time", "uuid"})
_TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")


class SchemaRules:
    """Collects the rules of any number of schemas. Names of rules begin with a letter."""

    def __init__(self, first: Sequence[str] = ()) -> None:
        self.rules: dict[str, str] = dict(_PRIMITIVES)
        self._first = {name: number for number, name in enumerate(first)}
        self._references: dict[tuple[int, str], str] = {}
        self._roots: list[Any] = []  # kept alive, so that their ids stay theirs
        self._unguarded: frozenset[tuple[int, str]] = frozenset()  # open, and nothing written since

    def add(self, name: str, schema: Any) -> str:
        """The rule for a whole schema; it is called `name`, or what says the same."""
        self._roots.append(schema)
        return self._visit(schema, name, schema, 0)

    def define(self, name: str, body: str) -> str:
        """Add a rule, under another name if this one is taken; its name."""
        own, number = name, 1
        while self.rules.get(own, body) != body:
            number += 1
            own = f"{name}-{number}"
        self.rules[own] = body
        return own

    def _visit(self, schema: Any, name: str, root: Any, depth: int) -> str:
        if not isinstance(schema, dict) or depth > _DEEPEST or len(self.rules) > _MOST_RULES:
            return "value"
        if isinstance(schema.get("$ref"), str):
            return self._reference(schema["$ref"], name, root, depth)
        if "const" in schema:
            return self.define(name, _json_literal(schema["const"]))
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            options = [_json_literal(value) for value in schema["enum"][:_MOST_OPTIONS]]
            return self.define(name, " | ".join(options))
        if isinstance(schema.get("allOf"), list):
            return self._visit(_merged(schema, root), name, root, depth + 1)
        choices = schema.get("anyOf") or schema.get("oneOf")
        if "properties" not in schema and isinstance(choices, list):
            return self._any_of(choices, name, root, depth)
        types = _types(schema)
        if len(types) > 1:
            return self._any_of([{**schema, "type": one} for one in types], name, root, depth)
        return self._typed(types[0] if types else "", schema, name, root, depth)

    def _any_of(self, options: list[Any], name: str, root: Any, depth: int) -> str:
        found = [
            self._visit(option, f"{name}-{number}", root, depth + 1)
            for number, option in enumerate(options)
        ]
        return self.define(name, " | ".join(dict.fromkeys(found)))

    def _typed(self, kind: str, schema: dict[str, Any], name: str, root: Any, depth: int) -> str:
        match kind:
            case "object":
                return self._object(schema, name, root, depth)
            case "array":
                return self._array(schema, name, root, depth)
            case "string":
                return self._string(schema, name)
            case "integer":
                bounds = whole_numbers(*_bounds(schema))
                return self.define(name, bounds) if bounds else "integer"
            case "number":
                low, _ = _bounds(schema)
                return self.define(name, _POSITIVE) if low is not None and low >= 0 else "number"
            case "boolean" | "null":
                return kind
            case _:
                return "value"

    def _reference(self, pointer: str, name: str, root: Any, depth: int) -> str:
        key = (id(root), pointer)
        if key in self._unguarded:
            return "value"  # it is nothing but itself
        known = self._references.get(key)
        if known is not None:
            return known
        target = _pointed(root, pointer)
        if target is None:
            return "value"
        own = self.define(f"{name}-ref{len(self._references)}", "value")
        self._references[key] = own  # before its own rules, which may refer to it
        outer, self._unguarded = self._unguarded, self._unguarded | {key}
        self.rules[own] = self._visit(target, f"{own}-is", root, depth + 1)
        self._unguarded = outer
        return own

    def _inside(self, schema: Any, name: str, root: Any, depth: int) -> str:
        """The rule of a value inside another, where a schema may refer to itself."""
        outer, self._unguarded = self._unguarded, frozenset()
        rule = self._visit(schema, name, root, depth + 1)
        self._unguarded = outer
        return rule

    # --- objects

    def _object(self, schema: dict[str, Any], name: str, root: Any, depth: int) -> str:
        properties = schema.get("properties")
        further = schema.get("additionalProperties", not isinstance(properties, dict))
        extra = self._further(further, name, root, depth)
        if not isinstance(properties, dict) or not properties:
            if extra == "pair":
                return "object"
            inner = f'({extra} ws ("," ws {extra} ws)*)?' if extra else ""
            return self.define(name, f'"{{" ws {inner} "}}"')
        listed = schema.get("required")
        required = (
            {one for one in listed if isinstance(one, str)} if isinstance(listed, list) else set()
        )
        pairs = []
        for number, key in enumerate(self._ordered(properties)):
            value = self._inside(properties[key], f"{name}-{number}", root, depth)
            pairs.append((f'{_json_literal(key)} ws ":" ws {value} ws', key in required))
        return self.define(name, f'"{{" ws {self._members(pairs, extra, name)} "}}"')

    def _ordered(self, properties: dict[str, Any]) -> list[str]:
        last = len(self._first)
        return sorted(properties, key=lambda key: self._first.get(key, last))

    def _members(self, pairs: list[tuple[str, bool]], extra: str, name: str) -> str:
        """The members of an object, in order: one rule before the first of them, one behind it."""
        first = f'({extra} ws ("," ws {extra} ws)*)?' if extra else ""
        behind = f'("," ws {extra} ws)*' if extra else ""
        for number in range(len(pairs) - 1, -1, -1):
            pair, is_required = pairs[number]
            with_first, with_comma = f"{pair} {behind}", f'"," ws {pair} {behind}'
            if not is_required:
                with_first = f"{with_first} | {first}" if first else f"({with_first})?"
                with_comma = f"{with_comma} | {behind}" if behind else f"({with_comma})?"
            first = self.define(f"{name}-first{number}", with_first)
            behind = self.define(f"{name}-more{number}", with_comma)
        return first

    def _further(self, wanted: Any, name: str, root: Any, depth: int) -> str:
        """The rule of a member that the schema does not name; empty if there may be none."""
        if wanted is False:
            return ""
        if not isinstance(wanted, dict) or not wanted:
            return "pair"
        value = self._inside(wanted, f"{name}-extra", root, depth)
        return self.define(f"{name}-pair", f'string ws ":" ws {value}')

    # --- lists, texts

    def _array(self, schema: dict[str, Any], name: str, root: Any, depth: int) -> str:
        first = schema.get("prefixItems")
        items = schema.get("items", True)
        if isinstance(items, list):  # the old form of prefixItems
            first, items = items, schema.get("additionalItems", True)
        fixed = [
            self._inside(item, f"{name}-{number}", root, depth)
            for number, item in enumerate(first if isinstance(first, list) else [])
        ]
        if fixed:
            return self.define(
                name, '"[" ws ' + ' "," ws '.join(f"{one} ws" for one in fixed) + ' "]"'
            )
        item = "value" if items is True else self._inside(items, f"{name}-item", root, depth)
        least, most = _count(schema, "minItems") or 0, _count(schema, "maxItems")
        if most == 0 or items is False:
            return self.define(name, '"[" ws "]"')
        more = times(f'("," ws {item} ws)', max(0, least - 1), None if most is None else most - 1)
        inner = f"{item} ws {more}"
        return self.define(name, f'"[" ws {inner if least else f"({inner})?"} "]"')

    def _string(self, schema: dict[str, Any], name: str) -> str:
        if isinstance(schema.get("pattern"), str):
            found = _pattern(schema["pattern"])
            if found is not None:
                return self.define(name, f'"\\"" {found} "\\""')
        wanted = schema.get("format")
        if wanted in _FORMATS:
            return self.define(name, f'"\\"" {wanted} "\\""')
        least, most = _count(schema, "minLength") or 0, _count(schema, "maxLength")
        if least or most is not None:
            return self.define(name, f'"\\"" {times("character", least, most)} "\\""')
        return "string"


_POSITIVE = '("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?'


def _json_literal(value: Any) -> str:
    return literal(json.dumps(value, ensure_ascii=False))


def _types(schema: dict[str, Any]) -> list[str]:
    written = schema.get("type")
    wanted = written if isinstance(written, list) else [written]
    found = [one for one in wanted if one in _TYPES]
    if not found:
        if "properties" in schema or "additionalProperties" in schema:
            return ["object"]
        if "items" in schema or "prefixItems" in schema:
            return ["array"]
    if schema.get("nullable") is True and "null" not in found:
        found.append("null")
    return found


def _count(schema: dict[str, Any], key: str) -> int | None:
    value = schema.get(key)
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else None


def _bounds(schema: dict[str, Any]) -> tuple[int | None, int | None]:
    """The smallest and the largest whole number that a schema allows."""
    lows: list[int] = []
    highs: list[int] = []
    for key, shift, found in (
        ("minimum", 0, lows), ("exclusiveMinimum", 1, lows), ("maximum", 0, highs), ("exclusiveMaximum", -1, highs),
    ):  # fmt: skip
        value = schema.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            rounded = math.ceil(value) if found is lows else math.floor(value)
            found.append(rounded + (shift if rounded == value else 0))
    return max(lows, default=None), min(highs, default=None)


def _pattern(text: str) -> str | None:
    try:
        return pattern_rule(Pattern(text))
    except BadPattern:
        return None


def _merged(schema: dict[str, Any], root: Any) -> dict[str, Any]:
    """A schema with its `allOf`, as one; objects add up, of the rest the last one counts."""
    whole: dict[str, Any] = {}
    for part in [*schema["allOf"], {key: value for key, value in schema.items() if key != "allOf"}]:
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            part = _pointed(root, part["$ref"])  # noqa: PLW2901 - what it stands for
        if not isinstance(part, dict):
            continue
        for key, value in part.items():
            old = whole.get(key)
            if key == "properties" and isinstance(old, dict) and isinstance(value, dict):
                whole[key] = {**old, **value}
            elif key == "required" and isinstance(old, list) and isinstance(value, list):
                whole[key] = [*old, *value]
            else:
                whole[key] = value
    return whole


def _pointed(root: Any, pointer: str) -> Any:
    """What a reference such as `#/$defs/city` points to; None if that is nowhere in the schema."""
    if not pointer.startswith("#"):
        return None
    found = root
    for part in unquote(pointer[1:]).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(name)
        elif isinstance(found, list) and name.isdecimal() and int(name[:6]) < len(found):
            found = found[int(name[:6])]
        else:
            return None
    return found if isinstance(found, dict) else None

"""The parameters of tools, as llama.cpp takes them.

llama.cpp makes the grammar of a call itself, together with the model's own format of calls. It
fails on some schemas that agents send, writes wrong JSON for some patterns, and leaves out what its
grammar cannot say. So what it would stumble over is taken away, which the model may do without,
and a tool that says `strict` is refused when anything would not be obeyed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from localai.domain.errors import Unsupported
from localai.domain.generation import ToolMode, ToolPolicy, ToolSpec
from localai.worker.json_schema.lenient import check_strict, inside
from localai.worker.json_schema.problems import below

_TYPES: Final = frozenset(["object", "array", "string", "number", "integer", "boolean", "null"])
_COUNTS: Final = ("minLength", "maxLength", "minItems", "maxItems")
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_FORMATS: Final = frozenset(["date", "time", "date-time", "uuid"])
_MOST_REPEATS: Final = 500  # llama.cpp writes them all out, and takes 2000 rules
_LARGEST_BOUND: Final = 2**62
# Anchored, and of characters that JSON spells as they are: llama.cpp puts them between quotes.
_SAFE_PATTERN = re.compile(
    r"\^(?:[A-Za-z0-9 _:;@,/=+*?(){}|-]|\\[.\[\](){}*+?|^$-]|\[[A-Za-z0-9 _.:;@,/=+-]+\])*\$"
)
_OF_STRINGS: Final = ("pattern", "format", "minLength", "maxLength")
# What its grammar never says, whatever stands there.
_NEVER: Final = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
    "multipleOf",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedItems",
    "allOf",
]


def engine_tool(tool: ToolSpec, policy: ToolPolicy) -> dict[str, Any]:
    """A tool as the engine takes it. Raises RequestError for a strict one that it cannot obey."""
    cleaner = _Cleaner()
    parameters = cleaner.schema(json.loads(tool.parameters), "")
    if tool.strict:
        check_strict(tool.name, tool.parameters, tool.param)
        if cleaner.unsaid and policy.mode is ToolMode.AUTO:
            raise _not_obeyed(tool, cleaner.unsaid[0])
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


def is_obeyed(tool: ToolSpec) -> bool:
    """Whether the engine's own grammar says everything that the tool's parameters do."""
    cleaner = _Cleaner()
    cleaner.schema(json.loads(tool.parameters), "")
    return not cleaner.unsaid


def _not_obeyed(tool: ToolSpec, pointer: str) -> Unsupported:
    message = (
        f"The schema of the strict tool {tool.name!r} cannot be obeyed at {pointer}: the grammar of "
        "this model's calls leaves it out."
    )
    hint = "Leave it out, send `strict: false`, or require the call with tool_choice."
    return Unsupported(message, feature="tools", hint=hint, param=tool.param or None)


class _Cleaner:
    """Takes away what the engine stumbles over; `unsaid` are the places that it does not obey."""

    def __init__(self) -> None:
        self.unsaid: list[str] = []
        self._root: Any = None

    def schema(self, schema: Any, pointer: str) -> dict[str, Any]:
        """A schema that the engine takes."""
        if self._root is None:
            self._root = schema
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            self.unsaid.append(pointer)
            return {}
        kept = {key: value for key, value in schema.items() if self._is_sane(key, value, pointer)}
        for key, clean in self._inner().items():
            if key in kept:
                kept[key] = clean(kept[key], below(pointer, key))
        self._note_unsaid(kept, pointer)
        return kept

    def _inner(self) -> dict[str, Callable[[Any, str], Any]]:
        """How the schemas inside a keyword are cleaned."""
        return {
            "properties": self._by_name,
            "$defs": self._by_name,
            "definitions": self._by_name,
            "items": self._one_or_list,
            "prefixItems": self._one_or_list,
            "anyOf": self._one_or_list,
            "oneOf": self._one_or_list,
            "allOf": self._one_or_list,
            "additionalProperties": lambda value, at: (
                value if isinstance(value, bool) else self.schema(value, at)
            ),
        }

    def _by_name(self, schemas: dict[str, Any], pointer: str) -> dict[str, Any]:
        return {name: self.schema(schema, below(pointer, name)) for name, schema in schemas.items()}

    def _one_or_list(self, value: Any, pointer: str) -> Any:
        if isinstance(value, list):
            return [self.schema(schema, below(pointer, i)) for i, schema in enumerate(value)]
        return self.schema(value, pointer)

    def _is_sane(self, key: str, value: Any, pointer: str) -> bool:
        """Whether the engine can read a keyword; if not, that is noted."""
        is_sane = self._reads(key, value)
        if not is_sane:
            self.unsaid.append(below(pointer, key))
        return is_sane

    def _reads(self, key: str, value: Any) -> bool:
        match key:
            case "type":
                listed = value if isinstance(value, list) else [value]
                return bool(listed) and all(
                    isinstance(name, str) and name in _TYPES for name in listed
                )
            case "properties" | "$defs" | "definitions":
                return isinstance(value, dict)
            case "anyOf" | "oneOf" | "allOf" | "enum" | "prefixItems":
                return isinstance(value, list) and bool(value)
            case "items":
                return isinstance(value, dict | bool) or (isinstance(value, list) and bool(value))
            case "additionalProperties":
                return isinstance(value, bool | dict)
            case "$ref":
                return isinstance(value, str) and self._leads_somewhere(value)
            case "pattern":
                return isinstance(value, str) and (
                    not value.startswith("^")
                    or not value.endswith("$")
                    or bool(_SAFE_PATTERN.fullmatch(value))
                )
            case "format":
                return isinstance(value, str)
            case _:
                return self._reads_number(key, value)

    @staticmethod
    def _reads_number(key: str, value: Any) -> bool:
        if key in _COUNTS:
            is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            return is_count and (key.startswith("max") or value <= _MOST_REPEATS)
        if key in _BOUNDS:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return is_number and abs(value) < _LARGEST_BOUND
        return True

    def _leads_somewhere(self, reference: str) -> bool:
        """Whether the engine finds what a reference leads to; it knows no escapes."""
        if not reference.startswith("#/") or "~" in reference or "%" in reference:
            return False
        found = self._root
        for part in reference[2:].split("/"):
            found = inside(found, part)
        return isinstance(found, dict)

    def _note_unsaid(self, schema: dict[str, Any], pointer: str) -> None:
        """Note the keywords that the engine reads and then leaves out."""
        unsaid = [key for key in _NEVER if key in schema and schema[key] is not False]
        if "$ref" in schema or "anyOf" in schema or "oneOf" in schema:
            others = {
                "properties",
                "required",
                "items",
                "type",
                "enum",
                "const",
                *_OF_STRINGS,
                *_BOUNDS,
            }
            unsaid += [key for key in schema if key in others]
        if schema.get("type") != "integer":
            unsaid += [key for key in _BOUNDS if key in schema]
        if "pattern" in schema:
            is_safe = bool(_SAFE_PATTERN.fullmatch(schema["pattern"]))
            unsaid += [key for key in ("minLength", "maxLength") if key in schema]
            unsaid += [] if is_safe else ["pattern"]
        elif schema.get("format") in _FORMATS:
            unsaid += [key for key in ("minLength", "maxLength") if key in schema]
        if "prefixItems" in schema or isinstance(schema.get("items"), list):
            unsaid += [key for key in ("minItems", "maxItems", "additionalItems") if key in schema]
            unsaid += ["prefixItems"] if "items" in schema and "prefixItems" in schema else []
        unsaid += [key for key in ("maxLength", "maxItems") if schema.get(key, 0) > _MOST_REPEATS]
        listed = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(required, list) or any(name not in listed for name in required):
            unsaid.append("required")
        self.unsaid += [below(pointer, key) for key in dict.fromkeys(unsaid)]

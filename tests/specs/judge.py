"""Holds values against a description of an API, more strictly than it asks.

A field that the description does not name is a violation too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import jsonschema_rs

from tests.specs.extensions import Extension

REFERENCE = "#/components/schemas/"
_MOST_SHOWN = 1000


class Judge:
    """The schemas of one API, by name, with `extensions` added to them."""

    def __init__(self, schemas: Mapping[str, Any], extensions: Iterable[Extension] = ()) -> None:
        self._schemas: dict[str, Any] = json.loads(json.dumps(schemas))
        for extension in extensions:
            extension.add_to(self._schemas)
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    def violations(self, schema: str, value: Any) -> list[str]:
        """What is wrong with `value`, as sentences; nothing if it is what the named schema says."""
        return self._found({"$ref": f"{REFERENCE}{schema}"}, value, schema)

    def check(self, schema: str, value: Any) -> None:
        """Raise AssertionError if `value` is not what the named schema says."""
        self.check_inline({"$ref": f"{REFERENCE}{schema}"}, value, schema)

    def check_inline(self, schema: Mapping[str, Any], value: Any, name: str) -> None:
        """Raise AssertionError if `value` is not what `schema` says, which is known as `name`."""
        found = self._found(schema, value, name)
        shown = json.dumps(value)[:_MOST_SHOWN]
        assert not found, f"not a {name}:\n  " + "\n  ".join(found) + f"\n{shown}"

    def _found(self, schema: Mapping[str, Any], value: Any, name: str) -> list[str]:
        if name not in self._validators:
            self._validators[name] = self._validator(_closed(schema))
        errors = self._validators[name].iter_errors(value)
        return [said for error in errors for said in _said(error)]

    def event(self, kind: str) -> str:
        """The name of the schema for an event of this type."""
        found = self._events.get(kind)
        assert found is not None, f"there is no event {kind!r}"
        return found

    @cached_property
    def _events(self) -> Mapping[str, str]:
        """The schemas of events, by their type."""
        found = {}
        for name, schema in self._schemas.items():
            for kind in _types(schema) if name.endswith(("Event", "ErrorResponse")) else ():
                found[kind] = name
        return found

    def _validator(self, schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
        draft = "https://json-schema.org/draft/2020-12/schema"
        whole = {"$schema": draft, "$defs": self._definitions, **schema}
        return jsonschema_rs.validator_for(whole)

    @cached_property
    def _definitions(self) -> dict[str, Any]:
        """Each schema twice: closed, and open as a part of another one."""
        named = self._schemas.items()
        closed = {name: _closed(schema) for name, schema in named}
        return closed | {f"{name}+": _closed(schema, is_part=True) for name, schema in named}


def _types(schema: Mapping[str, Any]) -> Iterator[str]:
    named = schema.get("properties", {}).get("type", {})
    yield from named.get("enum", ())
    if "const" in named:
        yield named["const"]


def _closed(schema: Any, *, is_part: bool = False) -> Any:
    """The schema, allowing no fields but those it names; a part leaves that to its whole."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REFERENCE)
        return {**schema, "$ref": f"#/$defs/{name}{'+' if is_part else ''}"}
    closed = dict(schema)
    is_whole = "properties" in schema or "allOf" in schema
    if "properties" in schema:
        closed["properties"] = {key: _closed(inner) for key, inner in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in schema:
            closed[key] = _closed(schema[key])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            closed[key] = [_closed(inner, is_part=is_part or is_whole) for inner in schema[key]]
    if is_whole and closed.get("additionalProperties") is True:
        del closed["additionalProperties"]
    if is_whole and not is_part and "additionalProperties" not in closed:
        closed["unevaluatedProperties"] = False
    return closed


def _said(error: jsonschema_rs.ValidationError) -> Iterator[str]:
    """The violation, and for a union what keeps each of its members from fitting."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
    yield f"${''.join(steps)}: {error.message[:_MOST_SHOWN]}"
    for member in getattr(error.kind, "context", ()):
        for inner in member:
            yield from (f"  {line}" for line in _said(inner))

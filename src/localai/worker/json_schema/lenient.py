"""Schemas that need not be obeyed as a whole: as much of them as can be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from localai.domain.generation import JsonSchema
from localai.worker.json_schema.errors import schema_error
from localai.worker.json_schema.problems import SchemaProblem
from localai.worker.json_schema.read import read_schema
from localai.worker.json_schema.write import Rules, Writer, compile_schema

_ANY_OBJECT: Final = {"type": "object"}
_DATA: Final = frozenset({"const", "enum", "default", "examples"})
_MOST_REMOVED: Final = 100


def lenient(parameters: str) -> dict[str, Any]:
    """The parameters of a tool, which are JSON text, without what no grammar can say.

    OpenAPI's `nullable` counts, too. Text that is no schema means any object.
    """
    try:
        schema = _with_null(json.loads(parameters or "{}"))
    except (ValueError, RecursionError):
        return _ANY_OBJECT
    removed: set[str] = set()
    while isinstance(schema, dict) and len(removed) < _MOST_REMOVED:
        try:
            compile_schema(json.dumps(schema))
        except SchemaProblem as problem:
            pointer = problem.pointer
            while pointer in removed:  # that was not enough: what it stands in goes, too
                pointer = pointer.rpartition("/")[0]
            if not pointer or not _remove(schema, pointer):
                break
            removed.add(pointer)
        else:
            return schema or _ANY_OBJECT
    return _ANY_OBJECT


def _with_null(schema: Any) -> Any:
    """A schema in which `nullable: true` has become a type."""
    if isinstance(schema, list):
        return [_with_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: value if key in _DATA else _with_null(value) for key, value in schema.items()}
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        made["type"] = [schema["type"], "null"]
    return made


def _remove(schema: Any, pointer: str) -> bool:
    """Take away what stands at `pointer`; False when there is nothing."""
    *path, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    holder = schema
    for part in path:
        holder = inside(holder, part)
    if isinstance(holder, dict) and last in holder:
        del holder[last]
        return True
    if isinstance(holder, list) and last.isdecimal() and int(last) < len(holder):
        holder[int(last)] = {}
        return True
    return False


def inside(holder: Any, part: str) -> Any:
    """What stands under one part of a pointer; None if nothing does."""
    if isinstance(holder, dict):
        return holder.get(part)
    if isinstance(holder, list) and part.isdecimal() and int(part[:9]) < len(holder):
        return holder[int(part[:9])]
    return None


def relocated(schema: Any, prefix: str) -> Any:
    """A schema whose references lead below `prefix`, where it stands in another."""
    if isinstance(schema, list):
        return [relocated(item, prefix) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _relocated_value(key, value, prefix) for key, value in schema.items()}


def _relocated_value(key: str, value: Any, prefix: str) -> Any:
    if key == "$ref" and isinstance(value, str) and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    return value if key in _DATA else relocated(value, prefix)


def check_strict(name: str, parameters: str, param: str) -> None:
    """Raise RequestError for the parameters of a strict tool that no grammar can say."""
    try:
        compile_schema(parameters)
    except SchemaProblem as problem:
        what = f"The schema of the strict tool {name!r}"
        raise schema_error(problem, what=what, param=param) from None


class SchemaRules:
    """Collects the rules of any number of schemas, eased where they cannot be obeyed.

    Properties named in `first` come first in their objects.
    """

    def __init__(self, first: Sequence[str] = ()) -> None:
        self._rules = Rules()
        self.rules = self._rules.bodies  # others may be added
        self._first = first
        self._rules.known("ws")

    def define(self, name: str, body: str) -> str:
        """Add a rule, under another name if this one is taken; its name."""
        return self._rules.add(name, body)

    def add(self, name: str, schema: Any) -> str:
        """An expression for what a schema allows; its rules have names like `name`."""
        eased = lenient(json.dumps(schema)) if isinstance(schema, dict) else {"title": "any"}
        return self._expression(name, json.dumps(eased))

    def add_output(self, output: JsonSchema) -> str:
        """An expression for an answer. Raises RequestError for a schema that cannot be obeyed."""
        try:
            return self._expression("output", output.schema)
        except SchemaProblem as problem:
            raise schema_error(problem, what="The schema", param=output.param) from None

    def _expression(self, name: str, text: str) -> str:
        tree = read_schema(json.loads(text, parse_float=Decimal) or _ANY_OBJECT)
        return Writer(tree, self._rules, self._first).expression(name)

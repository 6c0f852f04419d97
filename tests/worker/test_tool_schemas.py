"""Parameters of tools as llama.cpp takes them: what agents send works, and strict means strict."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.generation import ToolMode, ToolPolicy, ToolSpec
from localai.worker.json_schema import compile_schema
from localai.worker.json_schema.lenient import lenient, relocated
from localai.worker.llama_server.tool_schemas import engine_tool, is_obeyed
from tests.worker.json_schema.schemas import schemas

AUTO, REQUIRED = ToolPolicy(), ToolPolicy(mode=ToolMode.REQUIRED)


def tool(parameters: Any, *, strict: bool = False) -> ToolSpec:
    return ToolSpec(name="f", parameters=json.dumps(parameters), strict=strict, param="tools[0].p")


def taken(parameters: Any) -> Any:
    return engine_tool(tool(parameters), AUTO)["function"]["parameters"]


TYPICAL = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "title": "search",
    "properties": {
        "query": {"type": "string", "description": "What to look for", "minLength": 1},
        "url": {"type": "string", "format": "uri"},
        "limit": {"type": "integer", "default": 10, "minimum": 1, "maximum": 100},
        "sort": {"enum": ["new", "old"], "default": "new"},
        "filter": {"anyOf": [{"$ref": "#/$defs/Filter"}, {"type": "null"}], "default": None},
    },
    "required": ["query"],
    "additionalProperties": False,
    "$defs": {"Filter": {"type": "object", "properties": {"tag": {"type": "string"}}}},
}


def test_a_typical_tool_stays_as_it_is() -> None:
    assert taken(TYPICAL) == TYPICAL
    assert is_obeyed(tool(TYPICAL))
    engine_tool(tool(TYPICAL, strict=True), AUTO)


@pytest.mark.parametrize(
    ("prop", "kept"),
    [
        ({"type": "any"}, {}),
        (True, {}),
        ({"type": "string", "enum": []}, {"type": "string"}),
        ({"$ref": "#/$defs/none"}, {}),
        ({"$ref": "https://a.example/b"}, {}),
        ({"type": "string", "pattern": '^"(.*)"$'}, {"type": "string"}),
        ({"type": "string", "pattern": "^[a-z]{2,3}$"}, {"type": "string", "pattern": "^[a-z]{2,3}$"}),
        ({"type": "string", "pattern": "x"}, {"type": "string", "pattern": "x"}),
        ({"type": "array", "items": True}, {"type": "array", "items": {}}),
        ({"type": "array", "minItems": 10_000}, {"type": "array"}),
        ({"type": "number", "minimum": "3"}, {"type": "number"}),
        ({"type": "number", "minimum": 3}, {"type": "number", "minimum": 3}),
        ({"type": "object", "additionalProperties": {"type": "text"}}, {"type": "object", "additionalProperties": {}}),
    ],
)  # fmt: skip
def test_what_the_engine_stumbles_over_goes_and_the_rest_stays(prop: Any, kept: Any) -> None:
    schema = {"type": "object", "properties": {"a": prop}}
    assert taken(schema) == {"type": "object", "properties": {"a": kept}}


@pytest.mark.parametrize(
    ("prop", "keyword"),
    [
        ({"type": "number", "minimum": 0}, "minimum"),
        ({"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True}, "uniqueItems"),
        ({"type": "string", "pattern": "x"}, "pattern"),
        ({"type": "string", "pattern": "^[a-z]+$", "minLength": 2}, "minLength"),
        ({"type": "object", "properties": {"x": {}}, "required": ["y"]}, "required"),
        ({"allOf": [{"type": "string"}]}, "allOf"),
        ({"type": "integer", "multipleOf": 5}, "multipleOf"),
    ],
)
def test_a_strict_tool_is_refused_when_the_engine_would_leave_something_out(
    prop: Any, keyword: str
) -> None:
    schema = {"type": "object", "properties": {"a": prop}}
    engine_tool(tool(schema), AUTO)
    assert not is_obeyed(tool(schema))
    with pytest.raises(Unsupported, match=f"/properties/a/{keyword}") as caught:
        engine_tool(tool(schema, strict=True), AUTO)
    assert caught.value.fields["param"] == "tools[0].p"
    engine_tool(tool(schema, strict=True), REQUIRED)  # such calls come by a grammar of ours


def test_a_strict_tool_is_refused_when_no_grammar_can_obey() -> None:
    for prop, error in (({"not": {"const": 1}}, Unsupported), ({"type": "any"}, InvalidRequest)):
        with pytest.raises(error, match="/properties/a"):
            engine_tool(tool({"properties": {"a": prop}}, strict=True), REQUIRED)


@pytest.mark.parametrize(
    ("schema", "eased"),
    [
        ({}, {"type": "object"}),
        (TYPICAL, TYPICAL),
        ({"type": "object", "properties": {"a": {"type": "any"}}}, {"type": "object", "properties": {"a": {}}}),
        (
            {"type": "object", "properties": {"a": {"items": {"type": "string"}, "uniqueItems": True}}},
            {"type": "object", "properties": {"a": {"items": {"type": "string"}}}},
        ),
        ({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"], "x": 1}]}, None),
        ({"type": "object", "anyOf": [{"not": {}}, {"oneOf": [{}, {}]}]}, None),
        ({"type": "nothing"}, {"type": "object"}),
    ],
)  # fmt: skip
def test_a_schema_is_eased_until_it_can_be_obeyed(schema: Any, eased: Any) -> None:
    found = lenient(json.dumps(schema))
    compile_schema(json.dumps(found))
    assert eased is None or found == eased


def test_references_lead_to_the_same_place_from_within_another_schema() -> None:
    inner = {
        "properties": {"a": {"$ref": "#/$defs/x"}, "$ref": {"const": "#"}},
        "$defs": {"x": {"const": 1}},
    }
    outer = {"properties": {"arguments": relocated(inner, "/properties/arguments")}}
    assert '\\"a\\"' in compile_schema(json.dumps(outer))


@given(schemas)
def test_any_schema_is_taken_and_eased(schema: Any) -> None:
    taken(schema)
    compile_schema(json.dumps(lenient(json.dumps(schema))))

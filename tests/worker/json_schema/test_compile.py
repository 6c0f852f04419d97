"""What a schema's grammar accepts, and what is said of schemas that no grammar can obey."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.worker.grammars.gbnf_check import parse_grammar
from localai.worker.json_schema import SchemaProblem, compile_schema
from tests.gbnf import Gbnf
from tests.worker.json_schema.schemas import schemas

OBJECT = {"type": "object"}


def grammar(schema: Any) -> str:
    return compile_schema(json.dumps(schema))


def takes(schema: Any, value: Any) -> bool:
    return Gbnf(grammar(schema)).accepts(json.dumps(value, ensure_ascii=False))


@given(schemas)
def test_every_grammar_is_one_that_llama_cpp_reads(schema: Any) -> None:
    parse_grammar(grammar(schema))


CASES: list[tuple[Any, list[Any], list[Any]]] = [
    ({}, [{}, {"a": [1, None]}], [1, []]),
    (True, [1, [], {}, "x", None], []),
    ({"title": "any", "x-y": 1}, [1, {}], []),
    ({"type": "integer"}, [0, -7, 123], [1.5, "1", None]),
    ({"type": "integer", "minimum": 1.2, "maximum": 3.8}, [2, 3], [1, 4, 2.5]),
    ({"type": "number", "minimum": 0, "maximum": 1}, [0, 1, 0.25], [1.01, -0.1, 2]),
    ({"type": "number", "exclusiveMinimum": 0}, [0.5, 3], [0, -1]),
    ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, [1], [0]),  # draft 4
    ({"type": "number", "multipleOf": 0.01, "minimum": 0}, [0.07, 12, 3.5], [0.001, -1]),
    ({"minimum": 3}, [4], [2]),
    ({"type": "string"}, ["", 'a"\\\n', "größe", "\U0001f600"], [1]),
    ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", 'ü\n"'], ["a", "abcd"]),
    ({"type": "string", "maxLength": 5000}, ["", "x" * 700], []),
    ({"type": "string", "maxLength": 2**31}, ["", "x" * 700], []),
    ({"type": "string", "pattern": "b"}, ["b", "abc", "a\nb"], ["", "ac"]),
    ({"type": "string", "pattern": "^b"}, ["b", "bc"], ["ab"]),
    ({"type": "string", "pattern": "^a|b$"}, ["ax", "xb"], ["xa"]),
    ({"type": "string", "pattern": '^."[^a]\\\\$'}, ['x"b\\'], ['x"a\\']),
    ({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3}, ["a", "abc"], ["", "abcd"]),
    ({"type": "string", "pattern": "^[a-z]{2}$", "minLength": 1, "maxLength": 9}, ["ab"], ["a"]),
    ({"type": "string", "format": "date"}, ["2026-01-31", "2024-02-29"], ["2026-02-30", "x"]),
    ({"type": "string", "format": "email"}, ["not checked"], []),
    ({"enum": [1, "a", None, 2.50, [1], {"k": 1}]}, [1, "a", None, [1]], [2, "b"]),
    ({"enum": [1, "a", None], "type": "string"}, ["a"], [1, None]),
    ({"enum": [1, 5, 9], "maximum": 6}, [1, 5], [9]),
    ({"const": "x"}, ["x"], ["y"]),
    ({"type": ["string", "null"]}, ["x", None], [1]),
    (OBJECT, [{}, {"a": 1}], [[]]),
    ({"properties": {"a": {"type": "null"}}}, [{}, {"a": None}], [{"a": 1}, {"b": 1}]),
    (
        {"properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}, "required": ["b"]},
        [{"b": 2}, {"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}, {"b": 2, "c": 3}],
        [{}, {"a": 1}, {"c": 3}],
    ),
    ({**OBJECT, "required": ["z"]}, [{"z": 1}, {"z": 1, "more": 2}], [{}]),
    (
        {"properties": {"ab": {"const": 1}}, "additionalProperties": {"type": "string"}},
        [{}, {"ab": 1}, {"ab": 1, "a": "x", "abc": "y"}, {"": "x"}, {"b": "x"}],
        [{"ab": "x"}, {"a": 1}],
    ),
    ({**OBJECT, "minProperties": 1, "additionalProperties": {"const": 1}}, [{"a": 1}], [{}]),
    (
        {"properties": {"a": {}, "b": {}, "c": {}}, "minProperties": 1, "maxProperties": 2},
        [{"a": 1}, {"b": 1, "c": 1}],
        [{}, {"a": 1, "b": 1, "c": 1}],
    ),
    (
        {**OBJECT, "patternProperties": {"^x-": {"const": 1}}, "additionalProperties": False},
        [{}, {"x-a": 1}],
        [{"a": 1}, {"x-a": 2}],
    ),
    ({**OBJECT, "propertyNames": {"maxLength": 2}}, [{"ab": 1}], [{"abc": 1}]),
    ({"type": "array"}, [[], [1, "x", {}]], [{}]),
    ({"items": {"const": 1}, "minItems": 1, "maxItems": 2}, [[1], [1, 1]], [[], [1, 1, 1], [2]]),
    ({"prefixItems": [{"const": 1}, {"const": 2}], "items": False}, [[1, 2]], [[1, 2, 3], [2, 1]]),
    ({"items": [{"const": 1}], "additionalItems": {"const": 2}}, [[1], [1, 2, 2]], [[1, 1]]),
    ({"type": "array", "items": {"enum": ["abc"]}, "uniqueItems": True}, [[], ["abc"]], [["abc", "abc"]]),
    ({"items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 2}, [["a", "b"], ["a", "c"]], [["a"], ["b", "b"]]),
    ({"anyOf": [{"type": "null"}, {"type": "integer"}], "description": "x"}, [None, 4], ["x"]),
    (
        {"properties": {"a": {"const": 1}, "b": {"const": 2}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        [{"a": 1}, {"b": 2}, {"a": 1, "b": 2}],
        [{}],
    ),
    ({"allOf": [{"type": "integer"}, {"minimum": 3}, {"maximum": 5}]}, [3, 5], [2, 6]),
    (
        {"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"properties": {"a": {"minimum": 3}, "b": {}}}]},
        [{"a": 3}, {"a": 4, "b": 1}],
        [{"a": 2}, {}],
    ),
    ({"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}, ["x", 1, None], [[]]),
    ({"type": "integer", "oneOf": [{"maximum": 3}, {"minimum": 4}]}, [3, 4], ["x"]),
    (
        {"oneOf": [{**OBJECT, "properties": {"k": {"const": name}, "v": {}}} for name in "pq"]},
        [{"k": "p"}, {"k": "q", "v": 1}],
        [{}, {"v": 1}],  # without its `k` both would hold
    ),
    ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 1}}}, [1], [2]),
    ({"$ref": "#/definitions/a", "definitions": {"a": {"type": "integer"}}, "minimum": 3}, [3], [2]),
    (
        {"properties": {"v": {}, "kids": {"items": {"$ref": "#"}}}, "required": ["v"]},
        [{"v": 1}, {"v": 1, "kids": [{"v": 2, "kids": []}]}],
        [{"v": 1, "kids": [{}]}],
    ),
    ({"not": {"type": "null"}}, [1, "x", {}], [None]),
    ({"enum": [1, 2, 3], "not": {"const": 2}}, [1, 3], [2]),
    ({"if": {"const": 1}}, [1, 2], []),
    ({"properties": {"a": False, "b": {"const": 1}}}, [{}, {"b": 1}], [{"a": 1}]),
    ({"anyOf": [False, {"const": 1}]}, [1], [2]),
    ({"properties": {"a": {"const": 1}}, "dependentRequired": {"b": ["a"]}}, [{"a": 1}], []),
    ({"allOf": [{"properties": {"a": {"const": 1}}}], "unevaluatedProperties": False}, [{"a": 1}], [{"b": 1}]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "good", "bad"), CASES)
def test_a_grammar_takes_what_the_schema_means(
    schema: Any, good: list[Any], bad: list[Any]
) -> None:
    for value in good:
        assert takes(schema, value), value
    for value in bad:
        assert not takes(schema, value), value


@pytest.mark.parametrize(("schema", "good", "bad"), CASES)
def test_a_grammar_takes_nothing_that_is_wrong(
    schema: Any, good: list[Any], bad: list[Any]
) -> None:
    if "exclusiveMinimum" in json.dumps(schema) and "true" in json.dumps(schema):
        return  # draft 4, which this judge does not know
    judge = jsonschema.Draft202012Validator(schema)
    if isinstance(schema, dict) and isinstance(schema.get("items"), list):
        judge = jsonschema.Draft201909Validator(schema)
    others = [value for _, more, less in CASES[::3] for value in [*more, *less]]
    rules = Gbnf(grammar(schema))
    for value in [*good, *bad, *others]:
        text = json.dumps(value, ensure_ascii=False)
        if rules.accepts(text) and schema != {
            "type": "number",
            "multipleOf": 0.01,
            "minimum": 0,
        }:
            judge.validate(value)


def test_a_way_back_that_leads_nowhere_is_left_out() -> None:
    schema = {"anyOf": [{"$ref": "#"}, {"type": "null"}, {"$ref": "#/anyOf/1"}]}
    assert takes(schema, None)
    assert not takes(schema, 1)


@pytest.mark.parametrize("text", ['{"a":1}', '{ "a" : 1 }', '{\n  "a": 1\n}', '{"a": 1 }'])
def test_usual_ways_to_indent_are_taken(text: str) -> None:
    assert Gbnf(grammar({"properties": {"a": {"type": "integer"}}})).accepts(text)


@pytest.mark.parametrize(
    "text",
    ['"\\ud83d"', '"\\x41"', '"\x01"', '"a', '{"a": 1', "01", "1.", "+1", "'a'", "nul", " 1"],
)
def test_what_is_no_json_is_not_taken(text: str) -> None:
    assert not Gbnf(grammar({"title": "any"})).accepts(text)


def test_the_order_of_properties_is_that_of_the_schema() -> None:
    schema = {"properties": {"why": {}, "answer": {}}, "required": ["answer", "why"]}
    assert Gbnf(grammar(schema)).accepts('{"why": 1, "answer": 2}')
    assert not Gbnf(grammar(schema)).accepts('{"answer": 2, "why": 1}')


CANNOT: list[tuple[Any, str, str]] = [
    ({"properties": {"t": {"items": {"type": "string"}, "uniqueItems": True}}}, "/properties/t/uniqueItems", "apart"),
    ({"type": "string", "pattern": "(?=a)b"}, "/pattern", "ahead"),
    ({"type": "string", "pattern": "^(a)\\1$"}, "/pattern", "references"),
    ({"type": "string", "pattern": "\\bx"}, "/pattern", "boundaries"),
    ({"type": "string", "pattern": "a(^b)c"}, "/pattern", "anchor"),
    ({"type": "string", "pattern": "^(a|bc)*$", "minLength": 3, "maxLength": 4}, "/minLength", "beside"),
    ({"allOf": [{"pattern": "a"}, {"pattern": "b"}]}, "/allOf/1/pattern", "two patterns"),
    ({"if": {"const": 1}, "then": {"const": 1}}, "/if", "condition"),
    ({"not": {"required": ["a"]}}, "/not", "is not"),
    ({"contains": {"const": 1}}, "/contains", "some item"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "/oneOf", "0 and 1"),
    ({"oneOf": [{"type": "string"}, {"required": ["a"]}]}, "/oneOf/1", "no type"),
    ({"properties": {"a": {}, "b": {}}, "dependentRequired": {"a": ["b"]}}, "/dependentRequired/a", "asks"),
    ({"type": "object", "minProperties": 3}, "/minProperties", "count"),
    ({"patternProperties": {"^a": {}, "^b": {}}}, "/patternProperties/^b", "several"),
    ({"propertyNames": {"type": ["string", "null"], "anyOf": [{"pattern": "a"}, {"maxLength": 2}]}, "properties": {"x": {}}}, "/propertyNames", "names"),
    ({"$ref": "https://example.org/a.json"}, "/$ref", "leads out"),
    ({"$dynamicRef": "#a"}, "/$dynamicRef", "not known"),
    ({"type": "integer", "multipleOf": 7, "maximum": 10**6}, "/multipleOf", "multiples"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "pointer", "says"), CANNOT)
def test_what_cannot_be_obeyed_is_told_with_its_place(schema: Any, pointer: str, says: str) -> None:
    with pytest.raises(SchemaProblem) as caught:
        grammar(schema)
    assert caught.value.pointer == pointer
    assert says in caught.value.message
    assert caught.value.hint
    assert not caught.value.is_wrong


WRONG: list[tuple[Any, str]] = [
    ({"type": "text"}, "/type"),
    ({"type": []}, "/type"),
    ({"enum": []}, "/enum"),
    ({"anyOf": {}}, "/anyOf"),
    ({"properties": []}, "/properties"),
    ({"properties": {"a": 1}}, "/properties/a"),
    ({"required": "a", "type": "object"}, "/required"),
    ({"type": "string", "minLength": -1}, "/minLength"),
    ({"type": "string", "minLength": "3"}, "/minLength"),
    ({"type": "number", "minimum": "3"}, "/minimum"),
    ({"type": "number", "multipleOf": 0}, "/multipleOf"),
    ({"$ref": "#/$defs/none"}, "/$ref"),
    ({"$ref": 3}, "/$ref"),
    (False, ""),
    ([], ""),
    ({"type": "integer", "minimum": 5, "maximum": 4}, "/maximum"),
    ({"type": "string", "enum": [1]}, "/enum"),
    ({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, ""),
]


@pytest.mark.parametrize(("schema", "pointer"), WRONG)
def test_what_is_no_schema_or_allows_nothing_is_told_with_its_place(
    schema: Any, pointer: str
) -> None:
    with pytest.raises(SchemaProblem) as caught:
        grammar(schema)
    assert caught.value.pointer == pointer
    assert caught.value.is_wrong


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.sampled_from(["#", "#/a", "string", "object", "^a$"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "properties", "items", "enum", "const", "anyOf", "oneOf", "allOf", "not", "$ref", "minLength", "pattern", "required", "minimum", "multipleOf", "uniqueItems", "additionalProperties", "patternProperties", "prefixItems", "a"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON_VALUES)
def test_any_value_is_a_schema_or_a_problem(schema: Any) -> None:
    try:
        parse_grammar(grammar(schema))
    except SchemaProblem as problem:
        assert problem.message


@pytest.mark.parametrize(
    ("bounds", "right", "wrong"),
    [
        ({"maximum": 1.7976931348623157e308}, [0, -1.5, 123456], []),
        ({"minimum": -1.7976931348623157e308, "maximum": 0}, [0, -1.5, -123456], [1]),
        ({"minimum": 5e-324}, [0.1, 1, 7.25], [0, -1, -0.5]),
        ({"exclusiveMinimum": -5e-324}, [0, 0.5], [-1, -0.01]),
        ({"minimum": 10**20, "maximum": 10**21}, [10**20 + 1], [10**21 + 1, 10**19]),
        ({"minimum": 10**15, "maximum": 10**16}, [10**15], [10**16 + 1, 10**17 - 1]),
        ({"type": "integer", "maximum": 10**80}, [10**15, -3], []),
        ({"minimum": 10**40 + 1, "maximum": 10**40 + 5}, [10**40 + 1], [10**40, 10**40 + 6]),
    ],
)
def test_bounds_as_far_as_floats_go(bounds: Any, right: list[Any], wrong: list[Any]) -> None:
    parse_grammar(grammar(bounds))
    for value in right:
        assert takes(bounds, value), value
    for value in wrong:
        assert not takes(bounds, value), value


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"minimum": 1e300}, "more than 60 digits"),
        ({"type": "integer", "maximum": -1e300}, "more than 60 digits"),
        ({"minimum": 5e-324, "maximum": 5e-324}, "of at most 60 decimals"),
        ({"multipleOf": 1e-300, "minimum": 0.5}, "all multiples"),
    ],
)
def test_bounds_that_no_grammar_can_say(bounds: Any, words: str) -> None:
    with pytest.raises(SchemaProblem, match=words):
        grammar(bounds)


def test_large_schemas_end() -> None:
    deep = '{"type": "array", "items": ' * 3000 + "{}" + "}" * 3000
    low = [{"minimum": i} for i in range(60)]
    high = [{"anyOf": [{"maximum": i} for i in range(60)]} for _ in range(4)]
    for text in (deep, json.dumps({"anyOf": low, "allOf": high})):
        with pytest.raises(SchemaProblem, match="too"):
            compile_schema(text)

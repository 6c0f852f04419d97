"""The grammar of calls allows every right call and no wrong one, and leaves other text alone."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localai.domain.generation import Grammar, JsonSchema, JsonValue, ToolSpec
from localai.wire.call_formats import PRESETS
from localai.wire.functions import FunctionSettings, Trigger
from localai.worker.grammars.call_grammar import CallDemand, call_grammar
from localai.worker.parsers.call_forms import call_forms
from tests.gbnf import Gbnf

CITY = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Rome", "Oslo"]},
        "days": {"type": "integer"},
    },
    "required": ["city"],
}


def tool(name: str, schema: Any = None) -> ToolSpec:
    return ToolSpec(name=name, parameters=json.dumps({} if schema is None else schema))


TOOLS = (tool("weather", CITY), tool("f"))
FREE = FunctionSettings()


def grammar(said: FunctionSettings = FREE, **demand: Any) -> Gbnf:
    found = call_grammar(call_forms(said), said, CallDemand(**{"tools": TOOLS, **demand}))
    assert found is not None
    return Gbnf(found)


def call(name: str = "f", arguments: str = "{}") -> str:
    return f'{{"name": "{name}", "arguments": {arguments}}}'


def tagged(name: str = "f", arguments: str = "{}") -> str:
    return f"<tool_call>\n{call(name, arguments)}\n</tool_call>"


GOOD = '{"city": "Rome", "days": 3}'
BAD = '{"city": "Paris"}'


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("", True),
        ("Hello, <b>you</b> {x} [y] ", True),
        ("<tool_cal", True),
        (tagged(), True),
        (f"I look.\n{tagged('weather', GOOD)}", True),
        (f"{tagged()}\n{tagged('weather', GOOD)}\n", True),
        (f"<tool_call>[{call()}, {call('weather', GOOD)}]</tool_call>", True),
        (tagged("weather", BAD), False),
        (tagged("weather", "{}"), False),
        (tagged("other"), False),
        ("<tool_call> what?", False),
        (f"{tagged()} and text", False),
        # without an opening, at the beginning
        (call("weather", GOOD), True),
        (f"\n {call()}", True),
        (f"[{call()},{call()}]", True),
        (call("weather", BAD), False),
        (call("other"), False),
        (f"[{call('other')}]", False),
        ('{"names": 1}', True),
        ('{"answer": "{}"}', True),
        (f"So {call('weather', BAD)}", True),
        # behind the thoughts
        (f"<think>shall I <tool_call> it?</think>{tagged()}", True),
        (f"<think>x</think>\n{tagged('weather', BAD)}", False),
    ],
)
def test_an_answer_is_text_or_whole_calls(*, text: str, is_allowed: bool) -> None:
    assert grammar().accepts(text) == is_allowed


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("Hello", False),
        ("", False),
        (tagged("weather", GOOD), True),
        (f"\n{tagged()}", True),
        (f"{tagged()}{tagged()}", True),
        (call(), False),
        ("<think>hm</think>", False),
    ],
)
def test_a_required_call_is_all_there_is(*, text: str, is_allowed: bool) -> None:
    assert grammar(is_required=True).accepts(text) == is_allowed


def test_one_call_where_only_one_may_come() -> None:
    for found in (grammar(parallel=False), grammar(FunctionSettings(grammar_parallel_calls=False))):
        assert found.accepts(f"a {tagged()}")
        assert not found.allows(f"{tagged()}<tool_call>")
        assert not found.allows(f"<tool_call>[{call()}")
        assert found.accepts("[x]")


def test_an_answer_may_begin_inside_the_thoughts() -> None:
    found = grammar(is_thinking=True, is_required=True)
    assert found.accepts(f"hm <tool_call> </think>\n{tagged()}")
    assert not found.accepts(tagged())
    assert grammar(is_thinking=True).accepts("hm")


def test_the_pseudo_tool_leaves_no_text_unless_both_are_wanted() -> None:
    said = FunctionSettings(disable_no_action=False)
    tools = (*TOOLS, said.no_action)
    found = grammar(said, tools=tools)
    assert found.accepts(tagged("answer", '{"message": "Hi"}'))
    assert found.accepts(tagged())
    assert not found.allows("Hi")
    mixed = FunctionSettings(disable_no_action=False, grammar_mixed_mode=True)
    assert grammar(mixed, tools=tools).accepts("Hi")
    named = FunctionSettings(no_action_function_name="say", no_action_description_name="Says it.")
    assert named.no_action is not None
    assert (named.no_action.name, named.no_action.description) == ("say", "Says it.")
    assert FunctionSettings().no_action is None
    assert FunctionSettings(disable_no_action=True, no_action_function_name="x").no_action is None


def test_text_before_or_behind_calls() -> None:
    apart = grammar(FunctionSettings(grammar_no_mixed_free_string=True))
    assert apart.accepts("Hi")
    assert apart.accepts(tagged())
    assert not apart.allows("Hi <tool_call>")
    behind = grammar(FunctionSettings(grammar_expect_strings_after_json=True))
    assert behind.accepts(f"a {tagged()} b")
    assert behind.accepts(f"{call()} b")
    assert not behind.allows(f"{tagged()} b <tool_call>x")


def test_the_shape_of_a_call_is_the_model_files() -> None:
    order = FunctionSettings(grammar_properties_order=("arguments", "name", "days"))
    found = grammar(order, is_required=True)
    assert found.accepts(
        '<tool_call>{"arguments":{"days":1,"city":"Oslo"},"name":"weather"}</tool_call>'
    )
    assert not found.allows('<tool_call>{"name"')
    late = '{"arguments":{"city":"Oslo","days":1},"name":"weather"}'
    assert not found.accepts(f"<tool_call>{late}</tool_call>")
    assert grammar(order).accepts('{"arguments":{"city":"Oslo"},"name":"weather"}')
    keys = FunctionSettings(function_name_key="do", function_arguments_key="with")
    assert grammar(keys).accepts('<tool_call>{"do": "f", "with": {}}</tool_call>')
    assert grammar(keys).accepts('{"do": "f", "with": {}}')
    assert not grammar(keys).accepts('{"do": "g", "with": {}}')
    lines = FunctionSettings(grammar_disable_parallel_new_lines=True)
    assert grammar(lines).accepts(f"[{call()}, {call()}]")
    assert not grammar(lines).accepts(f"[{call()},\n{call()}]")
    prefix = FunctionSettings(grammar_prefix="<Output>\n")
    assert grammar(prefix).accepts(f"so <Output>\n{call()}</Output>")
    assert not grammar(prefix).allows("<Output>x")
    trigger = FunctionSettings(grammar_triggers=(Trigger("[CALL]", at_start=True),))
    assert grammar(trigger).accepts(f"[CALL]{call()}[/CALL]")
    assert not grammar(trigger).allows("so [CALL]")


def test_calls_like_those_of_llama() -> None:
    found = grammar(FunctionSettings(grammar_schema_type="llama3.1"))
    assert found.accepts(f"So <function=weather>{GOOD}</function>")
    assert found.accepts("<function=f>{}</function>\n<function=f>{}</function>")
    assert not found.allows("<function=other")
    assert not found.accepts(f"<function=weather>{BAD}</function>")
    assert found.accepts(call("other"))  # it is text


PAIRS = tool(
    "p",
    {
        "properties": {
            "x": {"type": "string"},
            "n": {"type": "integer"},
            "e": {"type": "string", "enum": ["a", "b"]},
        },
        "required": ["x"],
    },
)


def test_calls_between_tags() -> None:
    qwen = grammar(FunctionSettings(format=PRESETS["qwen3-coder"]), tools=(PAIRS, *TOOLS))
    head = "<tool_call>\n<function=p>\n<parameter=x>\n</a>\n</parameter>\n"
    assert qwen.accepts(f"{head}<parameter=n>\n3\n</parameter></function>\n</tool_call>")
    assert qwen.accepts(f"{head}<parameter=e>b</parameter></function></tool_call>")
    assert not qwen.allows(f"{head}<parameter=e>c")
    assert not qwen.allows(f"{head}<parameter=n>x")
    assert not qwen.allows("<tool_call><function=p></function>")
    assert qwen.accepts(
        "<tool_call><function=f><parameter=any_1>x</parameter></function></tool_call>"
    )
    glm = grammar(FunctionSettings(format=PRESETS["glm-4.5"]), tools=(PAIRS,), is_required=True)
    pair = "<arg_key>x</arg_key>\n<arg_value>v</arg_value>"
    assert glm.accepts(f"<tool_call>p\n{pair}\n</tool_call>\n<tool_call>p\n{pair}</tool_call>")
    kimi = grammar(FunctionSettings(format=PRESETS["kimi-k2"]))
    inner = "<|tool_call_begin|>f<|tool_call_argument_begin|>{}<|tool_call_end|>"
    assert kimi.accepts(f"<|tool_calls_section_begin|>{inner}{inner}<|tool_calls_section_end|>")


def test_an_answer_that_is_no_call_may_have_a_form_too() -> None:
    schema = JsonSchema(
        schema='{"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}'
    )
    found = grammar(output=schema)
    assert found.accepts('{"a": 1}')
    assert found.accepts(tagged())
    assert not found.allows("Hi")
    assert grammar(output=JsonValue()).accepts('{"x": [1, "y"]}')
    forms = call_forms(FREE)
    own = CallDemand(tools=TOOLS, output=Grammar(gbnf='root ::= "x"'))
    assert call_grammar(forms, FREE, own) is None


def test_without_a_grammar_only_a_required_call_has_one() -> None:
    said = FunctionSettings(grammar_disable=True)
    assert call_grammar(call_forms(said), said, CallDemand(tools=TOOLS)) is None
    assert grammar(said, is_required=True).accepts(tagged())
    patterns = FunctionSettings(response_regex=(r"(?P<name>\w+)\((?P<arguments>.*)\)",))
    assert call_grammar(call_forms(patterns), patterns, CallDemand(tools=TOOLS)) is None
    assert grammar(patterns, is_required=True).accepts(tagged())


# --- schemas


def arguments(schema: Any) -> Gbnf:
    """A grammar for `{"v": <schema>}`."""
    wrapped = {"properties": {"v": schema}, "required": ["v"], "$defs": DEFINITIONS}
    return grammar(tools=(tool("f", wrapped),), is_required=True, parallel=False)


DEFINITIONS = {
    "node": {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}},
    },
    "loop": {"$ref": "#/$defs/loop"},
    "either": {"anyOf": [{"$ref": "#/$defs/either"}, {"type": "string"}]},
}
SCHEMAS: list[tuple[Any, list[Any], list[Any]]] = [
    ({}, [1, "a", None, {"x": [1.5e3]}], []),
    ({"type": "string"}, ["", 'a "b" \\ é\U0001f600\n'], [1, None]),
    ({"type": ["string", "null"]}, ["a", None], [1]),
    ({"type": "integer"}, [0, -12, 10], [1.5, "1"]),
    ({"type": "number"}, [0, -1.25, 1e-05], ["1", None]),
    ({"type": "boolean"}, [True, False], [0, None]),
    ({"const": "a b"}, ["a b"], ["a", 1]),
    ({"enum": ["a", 1, None]}, ["a", 1, None], ["b", 2, False]),
    ({"anyOf": [{"type": "integer"}, {"enum": ["x"]}]}, [1, "x"], ["y", None]),
    ({"type": "array", "items": {"type": "integer"}}, [[], [1, 2]], [["a"], 1]),
    ({"type": "array", "minItems": 1, "maxItems": 2}, [[1], [1, "b"]], [[], [1, 2, 3]]),
    ({"type": "array", "maxItems": 1}, [[], [1]], [[1, 2]]),
    ({"prefixItems": [{"type": "integer"}, {"type": "string"}]}, [[1, "a"]], [[1], ["a", 1]]),
    ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "abc", "é\nx"], ["a", "abcd"]),
    ({"type": "string", "format": "date"}, ["2026-01-31"], ["2026-1-31", "x"]),
    ({"type": "string", "format": "date-time"}, ["2026-01-31T23:59:59Z"], ["2026-01-31"]),
    ({"type": "string", "pattern": r"^[A-Z]{2}\d+(-x)?$"}, ["AB1", "AB12-x"], ["A1", "AB", "AB1-"]),
    ({"type": "string", "pattern": r"^a|b$"}, ["a", "ax", "xb"], [1, "xyz"]),
    ({"type": "string", "pattern": r"^(?=x)y$"}, ["anything"], [1]),
    ({"type": "string", "pattern": r'^"\\$'}, ['"\\'], ["x"]),
    ({"type": "integer", "minimum": 1, "maximum": 100}, [1, 9, 10, 99, 100], [0, 101, -1, 1000]),
    ({"type": "integer", "exclusiveMinimum": -13, "maximum": 7}, [-12, -1, 0, 7], [-13, 8, 70]),
    ({"type": "integer", "minimum": 345, "maximum": 2016}, [345, 999, 1000, 2016], [344, 2017, 35]),
    ({"type": "integer", "minimum": 5}, [5, 12345], [4, -5]),
    ({"type": "number", "minimum": 0}, [0.5, 3], [-1]),
    (
        {"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["b"]},
        [{"b": "x"}, {"a": 1, "b": "x"}],
        [{}, {"a": 1}, {"b": "x", "c": 1}],
    ),
    ({"properties": {"a": {}, "b": {}}}, [{}, {"a": 1}, {"b": 1}, {"a": 1, "b": 2}], [{"c": 1}]),
    (
        {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
        [{}, {"x": 1}, {"a": "s", "x": 1, "y": 2}],
        [{"x": "s"}],
    ),
    ({"type": "object"}, [{}, {"x": {"y": 1}}], [1]),
    ({"type": "object", "additionalProperties": False}, [{}], [{"x": 1}]),
    (
        {"allOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"properties": {"b": {}}}]},
        [{"a": 1}, {"a": 1, "b": 2}],
        [{}, {"b": 2}],
    ),
    ({"$ref": "#/$defs/node"}, [{"next": {"next": {"n": 1}}}, {}], [{"n": "x"}, {"next": 1}]),
    ({"$ref": "#/$defs/loop"}, [1, "x"], []),
    ({"$ref": "#/$defs/either"}, ["x"], []),
    ({"$ref": "#/nowhere"}, [1], []),
    ({"type": "nonsense"}, [1], []),
    (True, [1], []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "right", "wrong"), SCHEMAS, ids=lambda case: json.dumps(case)[:60]
)
def test_arguments_obey_their_schema(schema: Any, right: list[Any], wrong: list[Any]) -> None:
    found = arguments(schema)
    for value in right:
        for spaces in ((", ", ": "), (",", ":")):
            text = json.dumps({"v": value}, ensure_ascii=False, separators=spaces)
            assert found.accepts(tagged("f", text)), value
    for value in wrong:
        assert not found.accepts(tagged("f", json.dumps({"v": value}))), value


@settings(max_examples=60, deadline=None)
@given(st.integers(-3000, 3000), st.integers(-3000, 3000), st.integers(-4000, 4000))
def test_ranges_of_whole_numbers(low: int, high: int, value: int) -> None:
    found = arguments({"type": "integer", "minimum": min(low, high), "maximum": max(low, high)})
    is_within = min(low, high) <= value <= max(low, high)
    assert found.accepts(tagged("f", json.dumps({"v": value}))) == is_within


@pytest.mark.parametrize(
    "parameters", ["", "{", "[]", "1", '{"properties": 1}', '{"type": 5, "required": {}}', "null"]
)
def test_parameters_that_are_no_schema_hold_nobody_up(parameters: str) -> None:
    found = grammar(tools=(ToolSpec(name="f", parameters=parameters),), is_required=True)
    assert found.accepts(tagged())


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"properties": {"a": schema, "b": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        deep(14),
        {"enum": [str(number) for number in range(100_000)]},
        {"type": "string", "minLength": 10**9, "maxLength": 10**12},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "pattern": "^(((a{1000}){1000}){1000})$"},
        {"type": "string", "pattern": "^(a*)*(a*)*b$"},
        {"type": "integer", "minimum": -(10**300), "maximum": 10**300},
    ],
    ids=range(7),
)
def test_a_large_schema_makes_no_large_grammar(schema: Any) -> None:
    began = time.perf_counter()
    said = call_grammar(call_forms(FREE), FREE, CallDemand(tools=(tool("f", schema),)))
    assert time.perf_counter() - began < 5.0
    assert said is not None
    assert len(said) < 2_000_000

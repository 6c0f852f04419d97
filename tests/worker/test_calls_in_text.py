"""Calls are found in the text of an answer, whatever their form and however the text is cut."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localai.domain.generation import ToolSpec
from localai.regexp import Steps
from localai.wire.call_formats import PRESETS
from localai.wire.functions import FunctionSettings, TagFormat, Trigger
from localai.worker.parsers.call_forms import call_forms, call_reader
from localai.worker.parsers.pieces import ArgumentsGrown, CallEnded, CallStarted, Piece, Said

SCHEMA = {
    "type": "object",
    "properties": {
        "x": {"type": "string"},
        "n": {"type": "integer"},
        "o": {"type": ["object", "null"]},
        "m": {"type": ["string", "integer"]},
    },
}
ONE = {"type": "object", "properties": {"q": {"type": "string"}}}
TOOLS = (
    ToolSpec(name="f", parameters=json.dumps(SCHEMA)),
    ToolSpec(name="one", parameters=json.dumps(ONE)),
)

Found = list[tuple[str, ...]]


def read(
    pieces: Sequence[str], said: FunctionSettings | None = None, *, is_certain: bool = False
) -> Found:
    """What was said and called, with what was said in one piece put together."""
    said = said or FunctionSettings()
    reader = call_reader(call_forms(said), said, TOOLS, is_certain=is_certain, steps=Steps(100_000))
    out = [made for piece in pieces for made in reader.feed(piece)] + reader.end()
    return together(out)


def together(pieces: Sequence[Piece]) -> Found:
    found: Found = []
    is_open = False
    for piece in pieces:
        match piece:
            case Said(text):
                assert not is_open
                assert text
                if found and len(found[-1]) == 1:
                    text = found.pop()[0] + text
                found.append((text,))
            case CallStarted(name):
                assert not is_open
                is_open = True
                found.append((name, ""))
            case ArgumentsGrown(text):
                assert is_open
                found.append((found[-1][0], found.pop()[1] + text))
            case CallEnded():
                assert is_open
                is_open = False
    assert not is_open
    return found


def every_way(text: str, said: FunctionSettings, *, is_certain: bool = False) -> Found:
    """What is found, after a check that the cuts do not matter."""
    whole = read([text], said, is_certain=is_certain)
    for place in range(1, len(text)):
        assert read([text[:place], text[place:]], said, is_certain=is_certain) == whole, place
    assert read(list(text), said, is_certain=is_certain) == whole
    return whole


CALL = '<tool_call>\n{"name": "f", "arguments": {"x": "</tool_call>"}}\n</tool_call>'


@pytest.mark.parametrize("is_certain", [False, True], ids=["free", "certain"])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello there", [("Hello there",)]),
        ("", []),
        (" \n", [(" \n",)]),
        (CALL, [("f", '{"x": "</tool_call>"}')]),
        (f"\n {CALL} \n", [("f", '{"x": "</tool_call>"}')]),
        (f"I look.\n{CALL}", [("I look.\n",), ("f", '{"x": "</tool_call>"}')]),
        (f"{CALL}\n{CALL} so.", [("f", '{"x": "</tool_call>"}')] * 2 + [(" so.",)]),
        ('<tool_call>{"name": "f"}', [("f", "{}")]),
        ("<tool_call>nonsense</tool_call>", [("<tool_call>nonsense</tool_call>",)]),
        ("<tool_call>{}</tool_call> x", [("<tool_call>{}</tool_call> x",)]),
        ("a < b and <tool_cal", [("a < b and <tool_cal",)]),
        ("<tool_call>", [("<tool_call>",)]),
        (
            '<tool_call>[{"name": "f", "arguments": {}}, {"name": "g"}]</tool_call> bye',
            [("f", "{}"), ("g", "{}"), (" bye",)],
        ),
        # without anything around them
        ('{"name": "f", "parameters": {"n": 1}}', [("f", '{"n": 1}')]),
        ('so {"name": "f", "arguments": {}} more', [("so ",), ("f", "{}"), (" more",)]),
        (
            '[{"name": "f", "arguments": {}},\n {"name": "one", "arguments": "{\\"q\\": 1}"}]',
            [("f", "{}"), ("one", '{"q": 1}')],
        ),
        (
            '[{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]',
            [("f", "{}")],
        ),
        ('{"name": "John", "age": 3}', [('{"name": "John", "age": 3}',)]),
        ('{"name": "f"', [('{"name": "f"',)]),
        ("see [a](b), [], {} and {x}", [("see [a](b), [], {} and {x}",)]),
        ('{"a": {"name": "f"}}', [('{"a": ',), ("f", "{}"), ("}",)]),
    ],
)
def test_calls_in_json(*, text: str, found: Found, is_certain: bool) -> None:
    assert every_way(text, FunctionSettings(), is_certain=is_certain) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "<tool_call>{'name': 'f', 'arguments': {'x': \"it's\", 'n': None}}</tool_call>",
            [("f", '{"x": "it\'s", "n": null}')],
        ),
        ('<tool_call>{"name": "f", "arguments": {"n": 1,}}</tool_call>', [("f", '{"n": 1}')]),
        ('<tool_call>{"name": "f", "arguments": {"n": 1</tool_call>', [("f", '{"n": 1}')]),
        ('<tool_call>{"name": "f", "arguments": {"x": "a\nb"}}', [("f", '{"x": "a\\nb"}')]),
        ('<tool_call>{"name": "f", "arguments": {"x": "a', [("f", '{"x": "a"}')]),
        (
            '<tool_call>{"name": "f", "arguments": {"x": "a}}</tool_call> so',
            [("f", '{"x": "a}}"}'), (" so",)],
        ),
        ('<tool_call>{"name": "f", "arguments": [1]}</tool_call>', None),
        ('<tool_call>{"name": "f", "arguments": "text"}</tool_call>', None),
        ('<tool_call>{"name": "f", "arguments": {"n": 1e999}}</tool_call>', None),
        ('<tool_call>{"name": 1, "arguments": {}}</tool_call>', None),
    ],
)
def test_json_that_is_not_quite_right(text: str, found: Found | None) -> None:
    assert every_way(text, FunctionSettings()) == ([(text,)] if found is None else found)


@pytest.mark.parametrize(
    "text",
    ["<tool_call>" + '{"a":' * 300, "[" * 300 + "x", '{"name": {' * 300, "<tool_call>" * 300],
)
def test_what_is_nested_too_deep_is_text(text: str) -> None:
    assert read([text]) == read(list(text)) == [(text,)]


def test_half_a_pair_of_surrogates_stays_one() -> None:
    text = '<tool_call>{"name": "f", "arguments": {"x": "\\ud83d"}}</tool_call>'
    assert read([text]) == [("f", '{"x": "\\ud83d"}')]


def test_arguments_are_passed_on_as_they_come_when_they_are_certain() -> None:
    said = FunctionSettings()
    reader = call_reader(call_forms(said), said, TOOLS, is_certain=True, steps=Steps(1000))
    assert reader.feed('<tool_call>\n{"name": "f", "argum') == []
    assert reader.feed('ents": {"x"') == [CallStarted("f"), ArgumentsGrown('{"x"')]
    assert reader.feed(': "a') == [ArgumentsGrown(': "a')]
    assert reader.feed('"}}</tool_') == [ArgumentsGrown('"}'), CallEnded()]
    assert reader.feed("call>") == []
    assert reader.end() == []


FUNCTIONARY, QWEN, GLM = "functionary", "qwen3-coder", "glm-4.5"


@pytest.mark.parametrize("is_certain", [False, True], ids=["free", "certain"])
@pytest.mark.parametrize(
    ("preset", "text", "found"),
    [
        (
            FUNCTIONARY,
            'hi <function=f>{"x": "</function>"}</function> bye',
            [("hi ",), ("f", '{"x": "</function>"}'), (" bye",)],
        ),
        (
            FUNCTIONARY,
            '<function=f>{"n": 1}</function>\n<function=one></function>',
            [("f", '{"n": 1}'), ("one", "{}")],
        ),
        (FUNCTIONARY, "<function=f g>{}</function>", [("<function=f g>{}</function>",)]),
        (FUNCTIONARY, "<function=f>", [("f", "{}")]),
        (
            QWEN,
            (
                'Sure.\n<tool_call>\n<function=f>\n<parameter=x>\n "1"\n\nline </par\n</parameter>\n'
                '<parameter=n>\n42\n</parameter>\n<parameter=o>{"a": [1]}</parameter>'
                "<parameter=m>7</parameter><parameter=q>free</parameter>\n</function>\n</tool_call>\n"
            ),
            [
                ("Sure.\n",),
                (
                    "f",
                    '{"x": "\\"1\\"\\n\\nline </par", "n": 42, "o": {"a": [1]}, "m": 7, "q": "free"}',
                ),
            ],
        ),
        (
            QWEN,
            (
                "<tool_call>\n<function=f>\n</function>\n<function=one><parameter=q>a</parameter>"
                "</function></tool_call>"
            ),
            [("f", "{}"), ("one", '{"q": "a"}')],
        ),
        (QWEN, "<function=f>\n<parameter=x>cut o", [("f", '{"x": "cut o"}')]),
        (QWEN, "<function=f>\n<parameter=n>4", [("f", '{"n": 4}')]),
        (QWEN, "<function=f>\n<parameter=n>4</parameter> so", [("f", '{"n": 4}'), ("so",)]),
        (QWEN, '<tool_call>{"name": "f"}</tool_call>', [('<tool_call>{"name": "f"}</tool_call>',)]),
        (
            GLM,
            (
                "<tool_call>f\n<arg_key>x</arg_key>\n<arg_value>a b</arg_value>\n<arg_key>n</arg_key>"
                "<arg_value>3</arg_value>\n</tool_call>"
            ),
            [("f", '{"x": "a b", "n": 3}')],
        ),
        (GLM, "<tool_call>f</tool_call><tool_call>f\n</tool_call>", [("f", "{}")] * 2),
        (
            "minimax-m2",
            (
                '<minimax:tool_call>\n<invoke name="f">\n<parameter name="x">v</parameter>\n</invoke>\n'
                '<invoke name="one">\n</invoke>\n</minimax:tool_call>'
            ),
            [("f", '{"x": "v"}'), ("one", "{}")],
        ),
        (
            "kimi-k2",
            (
                "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0"
                '<|tool_call_argument_begin|>{"x": "a"}<|tool_call_end|><|tool_call_begin|>'
                "functions.one:1<|tool_call_argument_begin|>{}<|tool_call_end|>"
                "<|tool_calls_section_end|>"
            ),
            [("f", '{"x": "a"}'), ("one", "{}")],
        ),
        (
            "apriel-1.5",
            (
                '<tool_calls>[{"name": "f", "arguments": {"n": 1}}, {"name": "one", "arguments": {}}]'
                "</tool_calls>"
            ),
            [("f", '{"n": 1}'), ("one", "{}")],
        ),
        ("xiaomi-mimo", CALL, [("f", '{"x": "</tool_call>"}')]),
    ],
)
def test_calls_between_tags(*, preset: str, text: str, found: Found, is_certain: bool) -> None:
    said = FunctionSettings(format=PRESETS[preset])
    assert every_way(text, said, is_certain=is_certain) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<function=f>{'n': 1}</function>", [("f", '{"n": 1}')]),
        ('<function=f>{"n": 1', [("f", '{"n": 1}')]),
        ("<function=f>text</function>", [("f", "{}"), ("text</function>",)]),
        ('<function=f>{"x": "a}</function> b', [("f", '{"x": "a}"}'), (" b",)]),
    ],
)
def test_arguments_between_tags_that_are_not_quite_right(text: str, found: Found) -> None:
    said = FunctionSettings(format=PRESETS[FUNCTIONARY])
    assert every_way(text, said) == found


def test_a_format_of_ones_own() -> None:
    form = TagFormat(
        scope_start="{{", tool_start="call ", tool_sep=":", key_start="- ", key_val_sep="=",
        val_end=";", last_val_end="", tool_end="end", scope_end="}}", raw_argval=True,
    )  # fmt: skip
    text = "so {{ call f: - n=1; - x= y end call one: end }} and"
    found = [("so ",), ("f", '{"n": "1", "x": " y "}'), ("one", "{}"), (" and",)]
    assert every_way(text, FunctionSettings(format=form)) == found


@pytest.mark.parametrize(
    "text",
    [CALL, '<function=f>{"x": "</tool_call>"}</function>',
     '[TOOL_CALLS][{"name": "f", "arguments": {"x": "</tool_call>"}}]',
     '<|python_tag|>{"name": "f", "parameters": {"x": "</tool_call>"}}',
     "<tool_call><function=f><parameter=x></tool_call></parameter></function></tool_call>",
     "<tool_call>f\n<arg_key>x</arg_key><arg_value></tool_call></arg_value></tool_call>"],
)  # fmt: skip
def test_the_fallback_knows_every_form(text: str) -> None:
    from localai.catalog.functions import section

    said = section({"automatic_tool_parsing_fallback": True})
    assert every_way(text, said) == [("f", '{"x": "</tool_call>"}')]
    wrapped = '<tool_call>{"name": "one", "arguments": "Rome"}</tool_call>'
    assert read([wrapped], said) == [("one", '{"q": "Rome"}')]
    assert read([wrapped.replace("one", "f")], said) == [("f", '{"query": "Rome"}')]


def test_the_keys_of_a_call_can_have_other_names() -> None:
    said = FunctionSettings(function_name_key="tool", function_arguments_key="with")
    text = '<tool_call>{"tool": "f", "with": {"n": 1}, "name": "g"}</tool_call>'
    assert every_way(text, said) == [("f", '{"n": 1}')]


def test_a_trigger_may_count_at_the_start_only() -> None:
    said = FunctionSettings(grammar_triggers=(Trigger("<a>"), Trigger("[B]", at_start=True)))
    call = '{"name": "g", "arguments": {}}'
    assert every_way(f"x <a>{call}</a>", said) == [("x ",), ("g", "{}")]
    assert every_way(f" [B]{call}[/B]", said) == [("g", "{}")]
    assert every_way(f"x [B]{call}", said) == [(f"x [B]{call}",)]


LATIN = st.characters(codec="ascii", exclude_categories=["Cc"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(LATIN | st.sampled_from("é\U0001f600"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(LATIN, max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
ARGUMENTS = st.dictionaries(st.text(LATIN, max_size=5), VALUES, max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    arguments=ARGUMENTS,
    cuts=st.lists(st.integers(0, 400), max_size=6),
    is_certain=st.booleans(),
    is_tagged=st.booleans(),
)
def test_any_arguments_come_through(
    *, arguments: dict[str, object], cuts: list[int], is_certain: bool, is_tagged: bool
) -> None:
    spelled = json.dumps(arguments, ensure_ascii=False)
    if is_tagged:
        said = FunctionSettings(format=PRESETS[FUNCTIONARY])
        text = f"a<function=f>{spelled}</function>b"
    else:
        said = FunctionSettings()
        text = f'a<tool_call>{{"name": "f", "arguments": {spelled}}}</tool_call>b'
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    found = read([text[a:b] for a, b in pairwise(edges)], said, is_certain=is_certain)
    assert [found[0], found[2]] == [("a",), ("b",)]
    assert (found[1][0], json.loads(found[1][1])) == ("f", arguments)


PARTS = st.sampled_from(
    ["<tool_call>", "</tool_call>", "<function=", "f", ">", "</function>", "<parameter=", "x",
     "</parameter>", '{"name": "f"', ', "arguments": {', "}", "}", '"', "[", "]", ",", " ", "\n",
     "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "\\", "1", "<|python_tag|>"]
)  # fmt: skip


EMPTY_LIST = re.compile(r"(<tool_call>|<\|python_tag\|>)\s*\[[\s,]*\]")  # "no calls" is no text


@settings(max_examples=300, deadline=None)
@example(["<tool_call>", "[", "]"])
@given(st.lists(PARTS, max_size=14))
def test_no_text_is_too_strange(parts: list[str]) -> None:
    """Cuts never matter, and what no call was made of is still there."""
    from localai.catalog.functions import section

    for said in (section({"automatic_tool_parsing_fallback": True}), FunctionSettings()):
        text = "".join(parts)
        whole = read([text], said)
        assert read(parts, said) == whole
        assert read(list(text), said) == whole
        for item in whole:
            if len(item) > 1:
                assert isinstance(json.loads(item[1]), dict)
        if all(len(item) == 1 for item in whole) and not EMPTY_LIST.search(text):
            assert "".join(item[0] for item in whole) == text


TAGS = st.lists(
    st.sampled_from(["<", ">", "a", "f", " ", "\n", "{", "}", '"', ":", "</", "x", "="]), max_size=3
).map("".join)
FORMATS = st.builds(
    TagFormat,
    tool_start=TAGS.filter(str.strip),
    tool_sep=TAGS.filter(bool),
    tool_end=TAGS,
    key_start=TAGS,
    key_val_sep=TAGS.filter(bool),
    key_val_sep2=TAGS,
    val_end=TAGS.filter(bool),
    scope_start=TAGS,
    scope_end=TAGS,
    last_val_end=st.none() | TAGS,
    last_tool_end=st.none() | TAGS,
    raw_argval=st.none() | st.booleans(),
    trim_raw_argval=st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(form=FORMATS, data=st.data())
def test_no_format_is_too_strange(form: TagFormat, data: st.DataObject) -> None:
    parts = [form.tool_start, "f", form.tool_sep, "{}", form.key_start, "x", form.key_val_sep, " 1",
             form.val_end, form.tool_end, form.scope_start, form.scope_end, "<"]  # fmt: skip
    pieces = data.draw(st.lists(st.sampled_from(parts), max_size=14))
    said = FunctionSettings(format=form)
    whole = read(["".join(pieces)], said)
    assert read(pieces, said) == whole
    assert read(list("".join(pieces)), said) == whole
    for item in whole:
        assert len(item) == 1 or isinstance(json.loads(item[1]), dict)

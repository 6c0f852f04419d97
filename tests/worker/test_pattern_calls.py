"""Calls and texts that a model file finds with patterns."""

from __future__ import annotations

import json

import pytest

from localai.domain.generation import ToolSpec
from localai.regexp import Pattern, Steps, TooManySteps
from localai.wire.functions import FunctionSettings, Markers, Replacement, TagFormat
from localai.worker.parsers.call_forms import CallForms, call_forms, call_reader
from localai.worker.parsers.shapes import as_markers, as_span, as_tags
from localai.worker.parsers.text_filter import TextFilter
from tests.worker.test_calls_in_text import Found, together

TOOLS = (
    ToolSpec(
        name="f",
        parameters=json.dumps({"properties": {"city": {"type": "string"}, "n": {"type": "integer"}}}),
    ),
)  # fmt: skip
# What LocalAI's gallery uses, model by model
LLAMA_31 = FunctionSettings(
    response_regex=(r"<function=(?P<name>\w+)>(?P<arguments>.*)</function>",)
)
LLAMA_32 = FunctionSettings(
    response_regex=(r"\[(?P<name>\w+)\((?P<arguments>.*)\)\]",),
    argument_regex=(r"""(?P<key>[^ '\(=,]+)[='"]+(?P<value>[^=,"']+)['"]?""",),
)
LFM = FunctionSettings(
    response_regex=(
        r"<\|tool_call_start\|>\[(?P<name>\w+)\((?P<arguments>.*?)\)\]<\|tool_call_end\|>",
    ),
    argument_regex=(
        r'(?P<key>\w+)\s*=\s*"(?P<value>[^"]*)"',
        r"(?P<key>\w+)\s*=\s*(?P<value>-?\d+(?:\.\d+)?|true|false|null)",
    ),
)
HERMES = FunctionSettings(
    json_regex_match=(r"(?s)<tool_call>(.*?)</tool_call>", r"(?s)<tool_call>(.*)")
)
QUOTES = (
    Replacement(r"(?s)^[^{\[]*"),
    Replacement(r"(?s)[^}\]]*$"),
    Replacement(r"'([^']*?)'", "_DQUOTE_${1}_DQUOTE_"),
    Replacement(r'\\"', "__TEMP_QUOTE__"),
    Replacement(r"\'", "'"),
    Replacement("_DQUOTE_", '"'),
    Replacement("__TEMP_QUOTE__", '"'),
)
COMMAND_R = FunctionSettings(replace_function_results=QUOTES)
MISTRAL = FunctionSettings(
    json_regex_match=(r"(?s)\[TOOL\_CALLS\](.*)",),
    replace_function_results=(*QUOTES[:2], Replacement(r"(?s)\[TOOL\_CALLS\]")),
)
DOCUMENTED = FunctionSettings(response_regex=(r"(?P<function>\w+)\s*\((?P<arguments>.*)\)",))


def every_way(text: str, said: FunctionSettings) -> Found:
    """What is found, after a check that the cuts do not matter."""

    def read(*pieces: str) -> Found:
        reader = call_reader(
            call_forms(said), said, TOOLS, is_certain=False, steps=Steps(1_000_000)
        )
        return together([made for piece in pieces for made in reader.feed(piece)] + reader.end())

    whole = read(text)
    assert read(*text) == whole
    for place in range(1, len(text)):
        assert read(text[:place], text[place:]) == whole
    return whole


@pytest.mark.parametrize(
    ("said", "text", "found"),
    [
        (LLAMA_31, 'So <function=f>{"n": 1}</function>', [("So ",), ("f", '{"n": 1}')]),
        (LLAMA_31, "just text", [("just text",)]),
        (LLAMA_32, "[f(city='Rome', n=3)]", [("f", '{"city": "Rome", "n": 3}')]),
        (LLAMA_32, "see [this](there)", [("see [this](there)",)]),
        (LLAMA_32, 'I [f({"n": 1})] so', [("I ",), ("f", '{"n": 1}'), (" so",)]),
        (
            LFM,
            'Ok.<|tool_call_start|>[f(city="Rome, Italy", n=-2)]<|tool_call_end|>',
            [("Ok.",), ("f", '{"city": "Rome, Italy", "n": -2}')],
        ),
        (
            HERMES,
            '<tool_call>{"name": "f", "arguments": {}}</tool_call><tool_call>{"name": "g"',
            [("f", "{}"), ("g", "{}")],
        ),
        (HERMES, 'Well {"name": "f", "arguments": {}}', [("Well ",), ("f", "{}")]),
        (COMMAND_R, "Look: {'name': 'f', 'arguments': {'city': 'Rome'}} so", None),
        (COMMAND_R, 'Look: {"name": "f", "arguments": {"city": "it\'s"}}', None),
        (COMMAND_R, "no {call} here", [("no {call} here",)]),
        (
            MISTRAL,
            '[TOOL_CALLS] [{"name": "f", "arguments": {"n": 1}}, {"name": "h", "arguments": {}}]',
            [("f", '{"n": 1}'), ("h", "{}")],
        ),
        (DOCUMENTED, 'f({"n": 1})', [("f", '{"n": 1}')]),
        (DOCUMENTED, "f(Rome)", [("f(Rome)",)]),
        (FunctionSettings(json_regex_match=("<x>.*",)), '<x> {"name": "f"}', [("f", "{}")]),
        (FunctionSettings(json_regex_match=("call: (.+)",)), 'call: {"name": "any"}', [("any", "{}")]),
    ],
)  # fmt: skip
def test_patterns_find_calls(said: FunctionSettings, text: str, found: Found | None) -> None:
    if found is None:
        city = "Rome" if "Rome" in text else "it's"
        found = [("Look: ",), ("f", json.dumps({"city": city}))]
        found += [(" so",)] if text.endswith(" so") and "'name'" not in text else []
    assert every_way(text, said) == found


def test_text_that_cannot_be_a_call_is_passed_on_at_once() -> None:
    reader = call_reader(call_forms(LFM), LFM, TOOLS, is_certain=False, steps=Steps(1000))
    assert together(reader.feed("Hello <|there <|tool")) == [("Hello <|there ",)]


def test_a_slow_pattern_ends() -> None:
    said = FunctionSettings(response_regex=(r"(?P<name>(\w*\w*)*x)\((?P<arguments>)\)",))
    reader = call_reader(call_forms(said), said, TOOLS, is_certain=False, steps=Steps(100_000))
    reader.feed("a" * 20_000)
    with pytest.raises(TooManySteps):
        reader.end()


@pytest.mark.parametrize(
    ("pattern", "markers", "span"),
    [
        (r"(?s)<a>(.*?)</a>", Markers("<a>", "</a>"), ("<a>", "</a>")),
        (r"(?s)<a>(.*)", Markers("<a>"), None),
        (r"<a>(.*)</a>", Markers("<a>", "</a>"), None),
        (r"(?s)<a>.*?</a>", None, ("<a>", "</a>")),
        (r"(?s)<a>.*</a>", None, None),
        (r"(?s)<a>(.*?)<b>(.*?)</b>", None, None),
        (r"<a>(\w+)</a>", None, None),
        (r"(?i)<a>(.*)", None, None),
        (r"(.*)", None, None),
        (r"<a>|<b>(.*)", None, None),
        (r"^<a>(.*)", None, None),
    ],
)
def test_simple_patterns_are_known(
    pattern: str, markers: Markers | None, span: tuple[str, str] | None
) -> None:
    assert as_markers(Pattern(pattern)) == markers
    assert as_span(Pattern(pattern)) == span


def test_a_name_and_arguments_between_texts_are_tags() -> None:
    def tags(pattern: str) -> TagFormat | None:
        return as_tags(Pattern(pattern), names={"name"}, arguments={"arguments"})

    form = TagFormat(tool_start="<f=", tool_sep=">", tool_end="</f>")
    assert tags(r"<f=(?P<name>\w+)>(?P<arguments>.*)</f>") == form
    assert tags(r"<f=(?P<name>[a-z]+)>(?P<arguments>(?s).*?)</f>") == form
    assert tags(r"<f=(?P<arguments>.*)>(?P<name>\w+)</f>") is None
    assert tags(r"<f=(?P<name>\w+)>(?P<arguments>\d+)</f>") is None
    assert tags(r"<f=(\w+)>(.*)</f>") is None


@pytest.mark.parametrize(
    ("said", "needs_all"),
    [(LLAMA_31, False), (LLAMA_32, True), (LFM, True), (HERMES, False), (COMMAND_R, True),
     (MISTRAL, True), (DOCUMENTED, True), (FunctionSettings(), False)],
)  # fmt: skip
def test_only_unusual_patterns_need_a_whole_answer(
    *, said: FunctionSettings, needs_all: bool
) -> None:
    found: CallForms = call_forms(said)
    assert found.needs_all == needs_all


# --- replacing and capturing


def filtered(text: str, *, keys: dict[str, str], captures: tuple[str, ...] = ()) -> tuple[str, str]:
    """The text that is left, and what was captured, after a check that the cuts do not matter."""

    def run(*pieces: str) -> tuple[str, str]:
        replacements = [Replacement(key, value) for key, value in keys.items()]
        found = TextFilter(replacements, captures, Steps(100_000))
        left = "".join(found.feed(piece) for piece in pieces) + found.end()
        return left, found.captured

    whole = run(text)
    assert run(*text) == whole
    for place in range(1, len(text)):
        assert run(text[:place], text[place:]) == whole
    return whole


SCRATCHPAD = r"(?s)<scratchpad>(.*?)</scratchpad>"


@pytest.mark.parametrize(
    ("text", "left", "captured"),
    [
        ("a<scratchpad> think\n </scratchpad>b", "ab", "think"),
        ("<scratchpad>1</scratchpad><scratchpad>2</scratchpad>", "", "1"),
        ("a <scratch", "a <scratch", ""),
        ("<scratchpad>never closed", "<scratchpad>never closed", ""),
        ("", "", ""),
    ],
)
def test_a_scratchpad_is_taken_out(text: str, left: str, captured: str) -> None:
    assert filtered(text, keys={SCRATCHPAD: ""}, captures=(SCRATCHPAD,)) == (left, captured)


def test_a_span_that_has_ended_is_not_waited_for() -> None:
    found = TextFilter([Replacement(SCRATCHPAD)], (), Steps(1000))
    assert found.feed("a <scr") == "a "
    assert found.feed("atchpad>x</scratchpad> and") == " and"


def test_any_pattern_may_replace() -> None:
    assert filtered("a1b22c", keys={r"\d+": "<$0>"}) == ("a<1>b<22>c", "")
    assert filtered("one two", keys={"^one": "1", "two$": "2"}) == ("1 2", "")
    assert filtered("x", keys={"y": "z"}, captures=("(x)", "x")) == ("x", "x")
    assert filtered("abc", keys={}, captures=("b", "(c)")) == ("abc", "b")

"""Calls in the text of a stream become calls of the stream."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.domain.errors import EngineFailed, SpecInvalid
from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Finished,
    FinishReason,
    Progress,
    Started,
    TokenLogprob,
    Usage,
)
from localai.domain.generation import ToolSpec
from localai.domain.parts import Reasoning, Text, ToolCall
from localai.domain.stream_rules import ChoiceAnswer, Fold, StreamRules
from localai.regexp import Steps
from localai.wire.functions import FunctionSettings, Replacement, TagFormat
from localai.worker.parsers.call_forms import Reader, call_forms, call_reader
from localai.worker.parsers.call_stream import CallRules, CallStream

TOOLS = tuple(ToolSpec(name=name) for name in ("f", "g"))
CALL = '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>'
TEXT, REASONING, TOOL = BlockKind.TEXT, BlockKind.REASONING, BlockKind.TOOL_CALL


def stream_of(said: FunctionSettings | None = None, **rules: object) -> CallStream:
    found = said or FunctionSettings()

    def make_reader(steps: Steps) -> Reader:
        return call_reader(call_forms(found), found, TOOLS, is_certain=False, steps=steps)

    return CallStream(CallRules(make_reader=make_reader, settings=found, **rules))  # type: ignore[arg-type]


def block(number: int, kind: BlockKind, *pieces: str, choice: int = 0) -> list[Event]:
    call = ("engine", "h") if kind is TOOL else (None, None)
    return [
        BlockStarted(choice, number, kind, *call),
        *(Delta(choice, number, kind, piece) for piece in pieces),
        BlockEnded(choice, number, Text(text="")),
    ]


def answers(
    calls: CallStream,
    *blocks: list[Event],
    reason: FinishReason = FinishReason.STOP,
    choices: int = 1,
) -> dict[int, ChoiceAnswer]:
    """The whole answer, checked by the rules of streams."""
    ends: list[Event] = [ChoiceEnded(choice, reason) for choice in range(choices)]
    events = [Progress("p", 1, 2), Started(1), *(event for one in blocks for event in one), *ends]
    rules, folding = StreamRules(choices), Fold()
    for event in [*events, Finished(Usage(1, 1))]:
        for made in calls.feed(event):
            folding.feed(rules.feed(made))
    rules.close()
    return dict(folding.answer.choices)


def answer(
    calls: CallStream, *blocks: list[Event], reason: FinishReason = FinishReason.STOP
) -> ChoiceAnswer:
    return answers(calls, *blocks, reason=reason)[0]


def parts(found: ChoiceAnswer) -> list[object]:
    """Texts, thoughts and calls, with neighboring texts as one."""
    out: list[object] = []
    for part in found.parts:
        match part:
            case ToolCall():
                out.append((part.name, json.loads(part.arguments)))
            case Reasoning():
                out.append({"thought": part.text})
            case Text() if out and isinstance(out[-1], str):
                out[-1] += part.text
            case Text():
                out.append(part.text)
    return out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there", ["Hello there"]),
        (CALL, [("f", {"x": 1})]),
        (f"I look.\n{CALL}\n{CALL}", ["I look.\n", ("f", {"x": 1}), ("f", {"x": 1})]),
        ("", []),
    ],
)
@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_calls_are_found_however_the_text_is_cut(
    text: str, expected: list[object], cuts: list[int]
) -> None:
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(edges)]
    found = answer(stream_of(), block(0, TEXT, *pieces))
    assert parts(found) == expected
    called = any(isinstance(part, tuple) for part in expected)
    assert found.reason is (FinishReason.TOOL_CALLS if called else FinishReason.STOP)


def calls_in(found: ChoiceAnswer) -> list[ToolCall]:
    return [part for part in found.parts if isinstance(part, ToolCall)]


def test_the_ids_of_calls_differ() -> None:
    found = answers(
        stream_of(), block(0, TEXT, CALL, CALL), block(0, TEXT, CALL, choice=1), choices=2
    )
    ids = [call.call_id for one in found.values() for call in calls_in(one)]
    assert len(ids) == len(set(ids)) == 3


def test_one_call_when_only_one_may_come() -> None:
    found = answer(stream_of(parallel=False), block(0, TEXT, CALL, CALL, " Done."))
    assert parts(found) == [("f", {"x": 1}), " Done."]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (FinishReason.STOP, FinishReason.TOOL_CALLS),
        (FinishReason.STOP_SEQUENCE, FinishReason.TOOL_CALLS),
        (FinishReason.LENGTH, FinishReason.LENGTH),
    ],
)
def test_why_an_answer_with_calls_ends(reason: FinishReason, expected: FinishReason) -> None:
    assert answer(stream_of(), block(0, TEXT, CALL), reason=reason).reason is expected
    assert answer(stream_of(), block(0, TEXT, "Hi"), reason=reason).reason is reason


def test_thoughts_are_left_alone_unless_their_format_says_otherwise() -> None:
    thought = block(0, REASONING, "I call ", CALL)
    found = answer(stream_of(), thought, block(1, TEXT, "So."))
    assert parts(found) == [{"thought": f"I call {CALL}"}, "So."]
    found = answer(stream_of(reads_thoughts=True), thought, block(1, TEXT, "So."))
    assert parts(found) == [{"thought": "I call "}, ("f", {"x": 1}), "So."]


def test_calls_of_the_engine_pass_and_end_the_search() -> None:
    found = answer(stream_of(), block(0, TEXT, "a"), block(1, TOOL, "{}"), block(2, TEXT, CALL))
    assert parts(found) == ["a", ("h", {}), CALL]
    assert calls_in(found)[0].call_id == "engine"
    assert found.reason is FinishReason.TOOL_CALLS


ANSWERING = FunctionSettings(disable_no_action=False)


@pytest.mark.parametrize(
    "arguments",
    [
        '{"message": "Hi \\"you\\"\\n\\ud83d\\ude00 é"}',
        '{"why": 1, "message": "Hi \\"you\\"\\n\\ud83d\\ude00 é"}',
    ],
)
def test_the_message_of_the_pseudo_tool_is_the_answer(arguments: str) -> None:
    text = f'<tool_call>{{"name": "answer", "arguments": {arguments}}}</tool_call>'
    found = answer(stream_of(ANSWERING, answer_tool="answer"), block(0, TEXT, *text))
    assert parts(found) == ['Hi "you"\n\U0001f600 é']
    assert found.reason is FinishReason.STOP


def test_the_message_is_passed_on_as_it_comes() -> None:
    def make_reader(steps: Steps) -> Reader:
        return call_reader(call_forms(ANSWERING), ANSWERING, TOOLS, is_certain=True, steps=steps)

    calls = CallStream(CallRules(make_reader=make_reader, settings=ANSWERING, answer_tool="answer"))
    calls.feed(BlockStarted(0, 0, TEXT))
    said: list[str] = []
    pieces = [
        '<tool_call>{"name": "answer", "arguments": {"message": "one',
        " two\\",
        "n\\ud83d",
        "\\ude00\\ud83d",
        'x"}}',
    ]
    for piece in pieces:
        made = calls.feed(Delta(0, 0, TEXT, piece))
        said.append("".join(event.text for event in made if isinstance(event, Delta)))
    assert said[:4] == ["one", " two", "\n", "\U0001f600"]


SCRATCHPAD = FunctionSettings(
    json_regex_match=("(?s)<tool_call>(.*?)</tool_call>", "(?s)<tool_call>(.*)"),
    capture_llm_results=("(?s)<scratchpad>(.*?)</scratchpad>",),
    replace_llm_results=(Replacement("(?s)<scratchpad>(.*?)</scratchpad>"),),
)


def test_a_captured_text_stands_beside_calls_only() -> None:
    thought = "<scratchpad> I think. </scratchpad>"
    found = answer(stream_of(SCRATCHPAD), block(0, TEXT, thought, "\n", CALL, CALL))
    assert parts(found) == ["I think.", ("f", {"x": 1}), ("f", {"x": 1})]
    assert parts(answer(stream_of(SCRATCHPAD), block(0, TEXT, thought, "Hello"))) == ["Hello"]


def test_a_required_call_that_does_not_come_is_an_error() -> None:
    with pytest.raises(EngineFailed):
        answer(stream_of(is_required=True), block(0, TEXT, "Hello"))
    assert calls_in(answer(stream_of(is_required=True), block(0, TEXT, CALL)))
    cut = answer(stream_of(is_required=True), block(0, TEXT, "Hel"), reason=FinishReason.LENGTH)
    assert cut.reason is FinishReason.LENGTH


def test_patterns_that_take_too_long_are_an_error() -> None:
    said = FunctionSettings(response_regex=(r"(?P<name>(\w*\w*)*x)\((?P<arguments>)\)",))
    with pytest.raises(SpecInvalid) as caught:
        answer(stream_of(said), block(0, TEXT, "a" * 300_000))
    assert "function:" in str(caught.value)


def test_probabilities_stay_with_the_text() -> None:
    tokens = [TokenLogprob(n, text, text.encode(), -1.0) for n, text in enumerate(["a ", "<", "b"])]
    deltas: Sequence[Event] = [Delta(0, 0, TEXT, token.text, b"", (token,)) for token in tokens]
    end = BlockEnded(0, 0, Text(text=""))
    found = answer(stream_of(), [BlockStarted(0, 0, TEXT), *deltas, end])
    assert (found.text, found.logprobs) == ("a <b", tokens)


def test_a_format_may_find_calls_in_the_engines_own_text() -> None:
    form = TagFormat(tool_start="<f ", tool_sep=">", tool_end="</f>")
    found = answer(stream_of(FunctionSettings(format=form)), block(0, TEXT, "x <f g>{}</f>"))
    assert parts(found) == ["x ", ("g", {})]

"""Calls in the text of models whose template does not know tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Finished,
    FinishReason,
    Started,
    Usage,
)
from localai.domain.generation import ToolSpec
from localai.domain.parts import Message, Reasoning, Role, Text, ToolCall, ToolResult
from localai.domain.stream_rules import ChoiceAnswer, Fold, StreamRules
from localai.worker.parsers.hermes import HermesCalls, describe_tools

CALL = '<tool_call>\n{"name": "f", "arguments": {"x": "</b>"}}\n</tool_call>'


def _answer(pieces: Sequence[str], *, parallel: bool = True, reasoning: str = "") -> ChoiceAnswer:
    """What the parser makes of a text that comes in `pieces`, checked by the rules of streams."""
    events: list[Event] = [Started(1)]
    block = 0
    if reasoning:
        events += [
            BlockStarted(0, 0, BlockKind.REASONING),
            Delta(0, 0, BlockKind.REASONING, reasoning),
            BlockEnded(0, 0, Text(text="")),
        ]
        block = 1
    events.append(BlockStarted(0, block, BlockKind.TEXT))
    events += [Delta(0, block, BlockKind.TEXT, piece) for piece in pieces]
    events += [BlockEnded(0, block, Text(text="")), ChoiceEnded(0, FinishReason.STOP)]
    events.append(Finished(Usage(1, 1)))
    parser, rules, folding = HermesCalls(parallel=parallel), StreamRules(1), Fold()
    for event in events:
        for made in parser.feed(event):
            folding.feed(rules.feed(made))
    rules.close()
    return folding.answer.choices[0]


def _parts(answer: ChoiceAnswer) -> list[object]:
    return [
        (part.name, json.loads(part.arguments)) if isinstance(part, ToolCall) else part.text
        for part in answer.parts
        if isinstance(part, ToolCall | Text | Reasoning)
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hello there", ["Hello there"]),
        (CALL, [("f", {"x": "</b>"})]),
        (f"I look.\n{CALL}", ["I look.\n", ("f", {"x": "</b>"})]),
        (f"{CALL}\n{CALL}", [("f", {"x": "</b>"})] * 2),
        ('<tool_call>{"name": "f"}', [("f", {})]),
        ("<tool_call>nonsense</tool_call>", ["<tool_call>nonsense</tool_call>"]),
        ("a < b and <tool_cal", ["a < b and <tool_cal"]),
        ("", []),
    ],
)
@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_calls_are_found_however_the_text_is_cut(
    text: str, parts: list[object], cuts: list[int]
) -> None:
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(edges)]
    answer = _answer(pieces)
    merged: list[object] = []
    for part in _parts(answer):
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    assert merged == parts
    called = any(isinstance(part, tuple) for part in parts)
    assert answer.reason is (FinishReason.TOOL_CALLS if called else FinishReason.STOP)


def test_reasoning_passes_and_a_second_call_is_left_out_when_only_one_may_come() -> None:
    answer = _answer([CALL, CALL], parallel=False, reasoning="hm")
    assert _parts(answer) == ["hm", ("f", {"x": "</b>"})]


def test_the_ids_of_calls_differ() -> None:
    calls = [part for part in _answer([CALL, CALL]).parts if isinstance(part, ToolCall)]
    assert len({call.call_id for call in calls}) == 2


def test_tools_calls_and_results_become_text() -> None:
    tool = ToolSpec(name="f", description="Looks.", parameters='{"type": "object"}')
    asked = Message(role=Role.USER, parts=(Text(text="look"),))
    called = Message(
        role=Role.ASSISTANT, parts=(ToolCall(call_id="1", name="f", arguments='{"x": 1}'),)
    )
    result = Message(role=Role.TOOL, parts=(ToolResult(call_id="1", text="42"),))
    told = describe_tools([asked, called, result], [tool])
    assert [message.role for message in told] == [Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.USER]
    assert '"name": "f"' in told[0].text
    assert told[2].text == '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>'
    assert "42" in told[3].text
    kept = describe_tools(
        [Message(role=Role.SYSTEM, parts=(Text(text="Be kind."),)), asked], [tool]
    )
    assert kept[0].text.startswith("Be kind.\n\nYou can call")

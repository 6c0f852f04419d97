"""Thinking in the text of models whose engine does not know how they mark it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

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
    TokenLogprob,
    Usage,
)
from localai.domain.parts import Reasoning, Text, ToolCall
from localai.domain.stream_rules import ChoiceAnswer, Fold, StreamRules
from localai.worker.parsers.thinking import (
    KNOWN_TAGS,
    TagPair,
    ThinkingReader,
    ThinkingTags,
    tags_of_model,
)

THINK = KNOWN_TAGS[0]
OWN = TagPair("<r>", "</r>")


def blocks(*contents: tuple[BlockKind, Sequence[str]]) -> list[Event]:
    """One choice made of these blocks, in so many pieces each."""
    events: list[Event] = [Started(1)]
    for number, (kind, pieces) in enumerate(contents):
        named = {"call_id": "1", "call_name": "f"} if kind is BlockKind.TOOL_CALL else {}
        events.append(BlockStarted(0, number, kind, **named))
        events += [Delta(0, number, kind, piece) for piece in pieces]
        events.append(BlockEnded(0, number, Text(text="")))
    return [*events, ChoiceEnded(0, FinishReason.STOP), Finished(Usage(1, 1))]


def read(events: Sequence[Event], tags: ThinkingTags, opened: TagPair | None) -> ChoiceAnswer:
    """What becomes of the events, checked by the rules of streams."""
    reader, rules, folding = ThinkingReader(tags, opened=opened), StreamRules(1), Fold()
    for event in events:
        for made in reader.feed(event):
            folding.feed(rules.feed(made))
    rules.close()
    return folding.answer.choices[0]


def parts(answer: ChoiceAnswer) -> list[str]:
    """The parts in order; thinking stands in brackets, calls after a bang."""
    spelled = []
    for part in answer.parts:
        match part:
            case Reasoning(text=text):
                spelled.append(f"({text})")
            case ToolCall(arguments=text):
                spelled.append(f"!{text}")
            case Text(text=text):
                spelled.append(text)
    return spelled


def cut(text: str, cuts: Sequence[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in cuts)})
    return [text[start:end] for start, end in pairwise(edges)]


places = st.lists(st.integers(0, 200), max_size=10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there", ["Hello there"]),
        ("  Hello ", ["  Hello "]),
        ("", []),
        ("<think>hm, a < b</think>Yes.", ["(hm, a < b)", "Yes."]),
        ("\n<think>\n hm\n\n</think>\n\nYes.\n", ["(hm)", "Yes.\n"]),
        ("<think>\n\n</think>\n\nYes.", ["Yes."]),
        ("<think>hm", ["(hm)"]),
        ("<think>hm </thin", ["(hm </thin)"]),
        ("<think>hm</think>", ["(hm)"]),
        ("<think>one</think> <think>two</think> Yes.", ["(one)", "(two)", "Yes."]),
        ("<thinking>hm</thinking>Yes", ["(hm)", "Yes"]),
        ("[THINK]hm[/THINK]Yes", ["(hm)", "Yes"]),
        ("<seed:think>hm</seed:think>Yes", ["(hm)", "Yes"]),
        ("<|channel>thought\nhm<channel|>Yes", ["(hm)", "Yes"]),
        ("<|START_THINKING|>hm<|END_THINKING|>Yes", ["(hm)", "Yes"]),
        ("<|inner_prefix|>hm<|inner_suffix|>Yes", ["(hm)", "Yes"]),
        ("The tag <think> begins it.", ["The tag <think> begins it."]),
        ("<thin", ["<thin"]),
        ("[1, 2]", ["[1, 2]"]),
    ],
)
@given(cuts=places)
def test_thinking_is_found_however_the_text_is_cut(
    text: str, expected: list[str], cuts: list[int]
) -> None:
    answer = read(blocks((BlockKind.TEXT, cut(text, cuts))), ThinkingTags(), None)
    assert parts(answer) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hm</think>Yes.", ["(hm)", "Yes."]),
        ("\n hm \n</think>\n\nYes.", ["(hm)", "Yes."]),
        ("<think>hm</think>Yes.", ["(hm)", "Yes."]),
        ("<thin ice</think>Yes.", ["(<thin ice)", "Yes."]),
        ("hm", ["(hm)"]),
        ("</think>Yes.", ["Yes."]),
        ("", []),
    ],
)
@given(cuts=places)
def test_the_prompt_may_have_begun_it(text: str, expected: list[str], cuts: list[int]) -> None:
    answer = read(blocks((BlockKind.TEXT, cut(text, cuts))), ThinkingTags(), THINK)
    assert parts(answer) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<r>hm</r>Yes", ["(hm)", "Yes"]),
        ("Well <r>hm</r> yes <r>so</r>.", ["Well ", "(hm)", " yes ", "(so)", "."]),
        ("Well <r>hm", ["Well ", "(hm)"]),
        ("Well <r", ["Well <r"]),
        ("Well <think>hm", ["Well <think>hm"]),
    ],
)
@given(cuts=places)
def test_a_models_own_tags_may_stand_anywhere(
    text: str, expected: list[str], cuts: list[int]
) -> None:
    answer = read(blocks((BlockKind.TEXT, cut(text, cuts))), ThinkingTags(own=(OWN,)), None)
    assert parts(answer) == expected


def test_what_the_engine_has_found_stays_and_blocks_are_numbered_anew() -> None:
    found = (BlockKind.REASONING, ["hm"])
    call = (BlockKind.TOOL_CALL, ["{}"])
    text = (BlockKind.TEXT, ["<think>oh</think>", "Yes"])
    answer = read(blocks(found, text, call, text), ThinkingTags(), THINK)
    assert parts(answer) == ["(hm)", "(oh)", "Yes", "!{}", "(oh)", "Yes"]


def test_a_call_ends_the_thinking() -> None:
    text, call = (BlockKind.TEXT, ["hm "]), (BlockKind.TOOL_CALL, ["{}"])
    answer = read(blocks(text, call, (BlockKind.TEXT, ["Done"])), ThinkingTags(), THINK)
    assert parts(answer) == ["(hm)", "!{}", "Done"]


def test_each_choice_is_read_for_itself() -> None:
    reader, made = ThinkingReader(ThinkingTags()), []
    for choice, text in ((0, "<think>"), (1, "Yes"), (0, "hm")):
        if text != "hm":
            made += reader.feed(BlockStarted(choice, 0, BlockKind.TEXT))
        made += reader.feed(Delta(choice, 0, BlockKind.TEXT, text))
    assert made == [
        BlockStarted(1, 0, BlockKind.TEXT),
        Delta(1, 0, BlockKind.TEXT, "Yes"),
        BlockStarted(0, 0, BlockKind.REASONING),
        Delta(0, 0, BlockKind.REASONING, "hm"),
    ]


def test_nothing_waits_longer_than_it_must() -> None:
    reader = ThinkingReader(ThinkingTags())
    reader.feed(BlockStarted(0, 0, BlockKind.TEXT))

    def sent(text: str) -> list[tuple[BlockKind, str]]:
        made = reader.feed(Delta(0, 0, BlockKind.TEXT, text))
        return [(event.kind, event.text) for event in made if isinstance(event, Delta)]

    assert sent("<thi") == []
    assert sent("nk>Let me") == [(BlockKind.REASONING, "Let me")]
    assert sent(" see </") == [(BlockKind.REASONING, " see")]
    assert sent("b>") == [(BlockKind.REASONING, " </b>")]
    assert sent("</think>Y") == [(BlockKind.TEXT, "Y")]
    assert sent("es <think>") == [(BlockKind.TEXT, "es <think>")]


def test_probabilities_go_with_their_text_and_those_of_tags_go_away() -> None:
    reader = ThinkingReader(ThinkingTags())
    reader.feed(BlockStarted(0, 0, BlockKind.TEXT))
    found: dict[BlockKind, list[str]] = {BlockKind.REASONING: [], BlockKind.TEXT: []}
    for token_id, text in enumerate(["<thi", "nk>", "Let", " me", "</", "think>Yes", "!"]):
        logprob = TokenLogprob(token_id, text, text.encode(), -1.0)
        for event in reader.feed(Delta(0, 0, BlockKind.TEXT, text, b"", (logprob,))):
            if isinstance(event, Delta):
                found[event.kind] += [token.text for token in event.logprobs]
    assert found == {BlockKind.REASONING: ["Let", " me"], BlockKind.TEXT: ["think>Yes", "!"]}


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<th", "ink>", " ", "a", "\n"]), max_size=9)
)
def test_no_text_gets_lost_but_tags_and_the_space_around_them(pieces: list[str]) -> None:
    together = read(blocks((BlockKind.TEXT, ["".join(pieces)])), ThinkingTags(), None)
    answer = read(blocks((BlockKind.TEXT, pieces)), ThinkingTags(), None)
    assert parts(answer) == parts(together)
    letters = "".join(part.text for part in answer.parts if not isinstance(part, ToolCall))
    assert letters.count("a") == "".join(pieces).count("a")


@pytest.mark.parametrize(
    ("settings", "prompt", "opened"),
    [
        ({}, "assistant\n<think>\n", THINK),
        ({}, "assistant\n<think>\n\n</think>\n\n", None),
        ({}, "assistant\n", None),
        ({}, "<plan>", None),
        ({"reasoning_start_tokens": ["<plan>"]}, "<plan>\n", TagPair("<plan>", "</plan>")),
        ({"reasoning_start_tokens": ["[P]"]}, "[P]", TagPair("[P]", "[/P]")),
        ({"reasoning_tags": [["|p", "p|"]]}, "|p", TagPair("|p", "p|")),
        (
            {"reasoning_tags": [["<p>", "p|"]], "reasoning_start_tokens": ["<p>"]},
            "<p>",
            TagPair("<p>", "p|"),
        ),
        ({"reasoning_never_prefilled": True}, "<think>\n", None),
    ],
)
def test_the_end_of_a_prompt_tells_whether_thinking_has_begun(
    settings: dict[str, Any], prompt: str, opened: TagPair | None
) -> None:
    tags, warnings = tags_of_model(settings)
    assert (tags.opened_by(prompt), warnings) == (opened, [])


def test_a_start_without_an_end_is_warned_of() -> None:
    tags, (warning,) = tags_of_model({"reasoning_start_tokens": ["think:"]})
    assert tags.opened_by("think:") is None
    assert "'think:'" in warning
    assert "tag_pairs" in warning

"""What a model file changes in answers: the same in pieces as in one, in LocalAI's order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.catalog.edits import OutputEdits
from localai.catalog.gotemplate.text_functions import SPACES
from localai.domain.batches import batches_of
from localai.domain.errors import SpecInvalid
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
from localai.inference.edits import edited
from localai.inference.text_rules import ended, fed, rules
from localai.regexp.pattern import Pattern, span

PATTERNS = ["a", "ab", "a+b", "(?s)<.*?>", "<[^>]*>", r"\bb", "b$", "^a", r"\d", "[ab]*"]
sources = st.lists(st.sampled_from(PATTERNS), max_size=2).map(tuple)
affixes = st.lists(st.sampled_from(["", "a", " a", "ab", "b ", " ", "<a"]), max_size=2).map(tuple)
pieces = st.lists(st.text("ab <>1\n", max_size=6), max_size=6)


def matches(source: str, text: str) -> list[str]:
    found = Pattern(source).search_all(text, -1, lambda _: None)
    return [text[slice(*span(match))] for match in found]


def at_once(edits: OutputEdits, text: str) -> str:
    """The rules as LocalAI's documentation tells them, on a whole text."""
    for source in edits.cut:
        kept, last = [], 0
        for start, end in map(span, Pattern(source).search_all(text, -1, lambda _: None)):
            kept.append(text[last:start])
            last = end
        text = "".join([*kept, text[last:]])
    extracted = "".join(part for source in edits.extract for part in matches(source, text))
    text = extracted or text
    for prefix in edits.prefixes:
        text = text.removeprefix(prefix).strip(SPACES)
    for suffix in edits.suffixes:
        text = text.removesuffix(suffix).strip(SPACES)
    return text


@given(sources, sources, affixes, affixes, pieces)
def test_rules_give_the_same_piece_by_piece(
    cut: tuple[str, ...],
    extract: tuple[str, ...],
    prefixes: tuple[str, ...],
    suffixes: tuple[str, ...],
    parts: list[str],
) -> None:
    edits = OutputEdits(cut=cut, extract=extract, prefixes=prefixes, suffixes=suffixes)
    chained = rules(edits)
    out = [text for part in parts for text in fed(chained, part)] + list(ended(chained))
    assert "".join(filter(None, out)) == at_once(edits, "".join(parts))


@pytest.mark.parametrize(
    ("edits", "steps"),
    [
        ({"cut": ("<[^>]*>",)}, [("a <b", "a "), ("> c", " c"), ("d", "d")]),
        ({"extract": ("[0-9]+",)}, [("a 12 b", "12"), (" 3", ""), (" ", "3")]),
        ({"extract": ("x", "[0-9]+")}, [("a 12 x", ""), ("y", "x")]),
        ({"prefixes": ("Sure:",)}, [(" ", ""), ("Sure", "Sure"), (" a ", " a"), ("b", " b")]),
        ({"prefixes": ("Sure:",)}, [("Su", ""), ("re: ", ""), ("yes", "yes")]),
        ({"suffixes": ("END",)}, [("a ", "a"), ("EN", ""), ("ough", " ENough")]),
    ],
)
def test_nothing_is_held_back_longer_than_it_must(
    edits: dict[str, Any], steps: list[tuple[str, str]]
) -> None:
    chained = rules(OutputEdits(**edits))
    for text, expected in steps:
        assert "".join(filter(None, fed(chained, text))) == expected


# ---- in a stream


def events(*contents: tuple[BlockKind, Sequence[str]]) -> list[Event]:
    made: list[Event] = [Started(1)]
    for number, (kind, parts) in enumerate(contents):
        named = {"call_id": "1", "call_name": "f"} if kind is BlockKind.TOOL_CALL else {}
        made.append(BlockStarted(0, number, kind, **named))
        for part in parts:
            logprob = TokenLogprob(1, part, part.encode(), -1.0)
            made.append(Delta(0, number, kind, part, b"", (logprob,)))
        made.append(BlockEnded(0, number, Text(text="")))
    return [*made, ChoiceEnded(0, FinishReason.STOP), Finished(Usage(1, 1))]


def answer(made: Sequence[Event], **edits: Any) -> ChoiceAnswer:
    """The answer that becomes of these events, each of them a batch."""

    async def batches() -> AsyncGenerator[Sequence[Event], None]:
        for event in made:
            yield [event]

    async def read() -> ChoiceAnswer:
        checked, folding = StreamRules(1), Fold()
        async for batch in edited(batches_of(batches()), OutputEdits(**edits), origin="m.yaml:1"):
            assert batch
            for event in batch:
                folding.feed(checked.feed(event))
        checked.close()
        return folding.answer.choices.get(0, ChoiceAnswer())

    return asyncio.run(read())


def parts(whole: ChoiceAnswer) -> list[str]:
    found = []
    for part in whole.parts:
        match part:
            case Reasoning(text=text):
                found.append(f"({text})")
            case ToolCall(arguments=text):
                found.append(f"!{text}")
            case Text(text=text):
                found.append(text)
    return found


THOUGHT = (BlockKind.REASONING, ["a thought"])
CALL = (BlockKind.TOOL_CALL, ["{a}"])
TEXT = (BlockKind.TEXT, ["a", " b a", " "])


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ({"cut": ("a",)}, ["(a thought)", " b  ", "!{a}", " b  "]),
        ({"drops_reasoning": True}, ["a b a ", "!{a}", "a b a "]),
        ({"reply_prefix": "> "}, ["(a thought)", "> a b a ", "!{a}", "a b a "]),
        ({"cut": (".",)}, ["(a thought)", "!{a}"]),
    ],
)
def test_only_text_is_changed(edits: dict[str, Any], expected: list[str]) -> None:
    assert parts(answer(events(THOUGHT, TEXT, CALL, TEXT), **edits)) == expected


def test_the_prefix_comes_once_and_also_before_nothing() -> None:
    assert parts(answer(events(TEXT), reply_prefix="> ", cut=("a",))) == [">  b  "]
    assert parts(answer(events(), reply_prefix="> ")) == ["> "]
    assert parts(answer(events(TEXT), reply_prefix="> ", cut=(".",))) == ["> "]
    assert parts(answer(events(CALL), reply_prefix="> ")) == ["!{a}"]


def test_all_tokens_keep_their_probabilities() -> None:
    whole = answer(
        events((BlockKind.TEXT, ["x", "<", "y>", "z", " "])), cut=("<.*?>",), suffixes=(" ",)
    )
    assert parts(whole) == ["xz"]
    assert [logprob.text for logprob in whole.logprobs] == ["x", "<", "y>", "z", " "]


def test_each_choice_is_changed_for_itself() -> None:
    made: list[Event] = [Started(1)]
    texts = [(0, "a<"), (1, "b"), (0, "c>"), (1, ">")]
    made += [BlockStarted(choice, 0, BlockKind.TEXT) for choice in (0, 1)]
    made += [Delta(choice, 0, BlockKind.TEXT, text) for choice, text in texts]
    for choice in (0, 1):
        made += [BlockEnded(choice, 0, Text(text="")), ChoiceEnded(choice, FinishReason.STOP)]

    async def batches() -> AsyncGenerator[Sequence[Event], None]:
        yield made

    async def read() -> dict[int, str]:
        folding, checked = Fold(), StreamRules(2)
        async for batch in edited(batches_of(batches()), OutputEdits(cut=("<.*?>",)), origin=""):
            for event in batch:
                folding.feed(checked.feed(event))
        return {index: choice.text for index, choice in folding.answer.choices.items()}

    assert asyncio.run(read()) == {0: "a", 1: "b>"}


def test_a_pattern_that_takes_too_long_is_an_error_that_names_the_file() -> None:
    with pytest.raises(SpecInvalid, match=r"m\.yaml:1.*too long"):
        answer(events((BlockKind.TEXT, ["a" * 20_000])), cut=("a(?:.*b)?",))


def test_others_have_their_turn_while_a_slow_pattern_works() -> None:
    slow = events((BlockKind.TEXT, ["a" * 3_000]))

    async def batches() -> AsyncGenerator[Sequence[Event], None]:
        yield slow

    async def count() -> int:
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(take_turns())
        async for _ in edited(batches_of(batches()), OutputEdits(cut=("(?:a?){100}b",)), origin=""):
            pass
        other.cancel()
        return turns

    assert asyncio.run(count()) > 5


def test_pairs_of_pieces_are_cut_anywhere() -> None:
    text = "one <two> three"
    for place in range(len(text) + 1):
        halves = [text[start:end] for start, end in pairwise((0, place, len(text)))]
        whole = answer(events((BlockKind.TEXT, halves)), cut=("<two> ?",))
        assert parts(whole) == ["one three"]

"""Legal streams pass and fold to what they say; every illegal change is caught."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from localai.domain.errors import EngineFailed, StreamRuleBroken
from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    Progress,
    Started,
    Usage,
)
from localai.domain.parts import Reasoning, Text, ToolCall
from localai.domain.stream_rules import StreamRules, fold
from tests.domain.streams import UNKNOWN, Block, Choice, Wanted, answers, tokens

KINDS = {BlockKind.TEXT: Text, BlockKind.REASONING: Reasoning, BlockKind.TOOL_CALL: ToolCall}


def check(events: Iterable[Event]) -> list[Event]:
    rules = StreamRules()
    checked = [rules.feed(event) for event in events]
    rules.close()
    return checked


def part(index: int, number: int, block: Block) -> Text | Reasoning | ToolCall:
    if block.kind is BlockKind.TOOL_CALL:
        call_id = f"id_{index}_{number}"
        return ToolCall(call_id=call_id, name=block.name, arguments=block.text)
    return KINDS[block.kind](text=block.text)


def reason(choice: Choice) -> FinishReason:
    """A stop sequence may have cut the last call; one that is whole is the end that counts."""
    ends_well = choice.reason is FinishReason.STOP
    calls = [block.text for block in choice.blocks if block.kind is BlockKind.TOOL_CALL]
    if calls and choice.reason is FinishReason.STOP_SEQUENCE:
        with contextlib.suppress(ValueError):
            json.loads(calls[-1])
            ends_well = True
    return FinishReason.TOOL_CALLS if calls and ends_well else choice.reason


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": 1}', FinishReason.TOOL_CALLS),
        ('{"a": "', FinishReason.STOP_SEQUENCE),
        ("", FinishReason.STOP_SEQUENCE),
    ],
)
def test_a_stop_sequence_may_cut_a_call(arguments: str, expected: FinishReason) -> None:
    kind = BlockKind.TOOL_CALL
    events = check(
        [
            Started(1),
            BlockStarted(0, 0, kind, "id", "f"),
            Delta(0, 0, kind, arguments),
            BlockEnded(0, 0, UNKNOWN),
            ChoiceEnded(0, FinishReason.STOP_SEQUENCE, "x"),
            Finished(Usage(1, 1)),
        ]
    )
    assert fold(events).choices[0].reason is expected


@given(answers())
def test_a_legal_stream_folds_to_what_it_says(wanted: Wanted) -> None:
    answer = fold(check(wanted.events))
    assert sorted(answer.choices) == list(range(len(wanted.choices)))
    for index, choice in enumerate(wanted.choices):
        folded = answer.choices[index]
        assert folded.parts == [part(index, *item) for item in enumerate(choice.blocks)]
        assert folded.text == choice.text(BlockKind.TEXT)
        assert folded.reason is reason(choice)
    assert (answer.usage, answer.timings, answer.error) == (wanted.usage, wanted.timings, None)


@given(answers())
def test_rules_change_only_the_ends_of_blocks_and_choices(wanted: Wanted) -> None:
    for sent, seen in zip(wanted.events, check(wanted.events), strict=True):
        if not isinstance(sent, BlockEnded | ChoiceEnded):
            assert seen is sent


@given(answers(), st.integers(0, 100))
def test_a_failure_may_come_at_any_time_and_nothing_follows_it(wanted: Wanted, cut: int) -> None:
    cut %= len(wanted.events)
    error = EngineFailed("The engine stopped.")
    answer = fold(check([*wanted.events[:cut], Failed(error)]))
    assert answer.error is error
    with pytest.raises(StreamRuleBroken):
        check([*wanted.events[:cut], Failed(error), wanted.events[cut]])


@given(answers(), st.integers(0, 100))
def test_a_stream_that_stops_early_is_broken(wanted: Wanted, cut: int) -> None:
    with pytest.raises(StreamRuleBroken):
        check(wanted.events[: cut % len(wanted.events)])


def places(events: list[Event], kind: type[Event]) -> list[int]:
    return [place for place, event in enumerate(events) if type(event) is kind]


def without(kind: type[Event]) -> Callable[[list[Event], int], None]:
    def change(events: list[Event], pick: int) -> None:
        found = places(events, kind)
        del events[found[pick % len(found)]]

    change.__name__ = f"without_one_{kind.__name__}"
    return change


def twice(kind: type[Event]) -> Callable[[list[Event], int], None]:
    def change(events: list[Event], pick: int) -> None:
        found = places(events, kind)
        place = found[pick % len(found)]
        events.insert(place, events[place])

    change.__name__ = f"{kind.__name__}_twice"
    return change


def not_started(events: list[Event], pick: int) -> None:
    del events[places(events, Started)[0]]


def another_block(events: list[Event], pick: int) -> None:
    found = places(events, Delta)
    place = found[pick % len(found)]
    old = events[place]
    events[place] = Delta(old.choice, old.block + 1, old.kind, old.text)


def another_kind(events: list[Event], pick: int) -> None:
    found = places(events, Delta)
    place = found[pick % len(found)]
    old = events[place]
    kind = BlockKind.TEXT if old.kind is BlockKind.MEDIA else BlockKind.MEDIA
    events[place] = Delta(old.choice, old.block, kind, old.text)


def unknown_choice(events: list[Event], pick: int) -> None:
    events.insert(places(events, Started)[0] + 1, Delta(99, 0, BlockKind.TEXT, "x"))


def text_after_the_end_of_a_choice(events: list[Event], pick: int) -> None:
    found = places(events, ChoiceEnded)
    place = found[pick % len(found)]
    events.insert(place + 1, BlockStarted(events[place].choice, 50, BlockKind.TEXT))


def two_open_blocks(events: list[Event], pick: int) -> None:
    found = places(events, BlockStarted)
    place = found[pick % len(found)]
    events.insert(place + 1, BlockStarted(events[place].choice, 50, BlockKind.TEXT))


def more_after_the_end(events: list[Event], pick: int) -> None:
    events.append([Progress("x", 1, 2), Started(1, prompt=9), Finished(Usage(1, 1))][pick % 3])


CHANGES = [
    not_started,
    without(BlockStarted),
    without(BlockEnded),
    without(ChoiceEnded),
    without(Finished),
    twice(Started),
    twice(BlockStarted),
    twice(BlockEnded),
    twice(ChoiceEnded),
    twice(Finished),
    another_block,
    another_kind,
    unknown_choice,
    text_after_the_end_of_a_choice,
    two_open_blocks,
    more_after_the_end,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@settings(max_examples=30)
@given(wanted=answers(), pick=st.integers(0, 100))
def test_every_illegal_change_is_caught(
    change: Callable[[list[Event], int], None], wanted: Wanted, pick: int
) -> None:
    events = list(wanted.events)
    if change in (another_block, another_kind):
        assume(places(events, Delta))
    assume(all(choice.blocks for choice in wanted.choices))
    change(events, pick)
    with pytest.raises(StreamRuleBroken) as caught:
        check(events)
    assert caught.value.hint


def test_prompts_start_once_each() -> None:
    ended = [ChoiceEnded(0, FinishReason.STOP), ChoiceEnded(1, FinishReason.STOP)]
    first, second, end = Started(3), Started(4, prompt=1), Finished(Usage(7, 0))
    assert check([first, ended[0], second, ended[1], end])
    with pytest.raises(StreamRuleBroken):
        check([first, first, *ended, end])


def test_log_probabilities_add_up_in_order() -> None:
    first, second = tokens("ab")
    answer = fold(
        check(
            [
                Started(2, prompt_logprobs=(first,)),
                BlockStarted(0, 0, BlockKind.TEXT),
                Delta(0, 0, BlockKind.TEXT, "a", logprobs=(first,)),
                Delta(0, 0, BlockKind.TEXT, "b", logprobs=(second,)),
                BlockEnded(0, 0, UNKNOWN),
                ChoiceEnded(0, FinishReason.STOP_SEQUENCE, "."),
                Finished(Usage(2, 2)),
            ]
        )
    )
    assert answer.choices[0].logprobs == [first, second]
    assert answer.choices[0].stop_sequence == "."
    assert answer.prompt_logprobs == {0: (first,)}


def test_the_limit_is_named_even_after_a_tool_call() -> None:
    events = [
        Started(1),
        BlockStarted(0, 0, BlockKind.TOOL_CALL, "id", "f"),
        BlockEnded(0, 0, UNKNOWN),
        ChoiceEnded(0, FinishReason.LENGTH),
        Finished(Usage(1, 1)),
    ]
    assert fold(check(events)).choices[0].reason is FinishReason.LENGTH

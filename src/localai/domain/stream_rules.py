"""The legal order of events, and the fold of a stream into a whole answer.

Nothing else knows these rules: workers may be wrong, encoders need not check or accumulate.

    Progress*  Started  { BlockStarted Delta* BlockEnded | ChoiceEnded }*  Finished

    A call with several prompts has one Started for each, any time before that prompt's blocks.
    Failed may replace any event; nothing follows Finished or Failed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from localai.domain.errors import StreamRuleBroken
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
    Timings,
    TokenLogprob,
    Usage,
)
from localai.domain.parts import Media, MediaKind, Reasoning, Text, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localai.domain.errors import LocalAIError

_NO_BLOCK = -1


@dataclass(slots=True)
class _ChoiceState:
    """What one choice has said so far."""

    block: int = _NO_BLOCK
    kind: BlockKind = BlockKind.TEXT
    call_id: str = ""
    call_name: str = ""
    pieces: list[str] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    called_tool: bool = False
    arguments: str = ""  # of the last call, which a stop sequence may have cut
    ended: bool = False


class StreamRules:
    """Checks one stream, event by event, and completes the blocks on the way.

    `choices` is how many there must be; None leaves it open.
    """

    def __init__(self, choices: int | None = None) -> None:
        self._expected = choices
        self._choices: dict[int, _ChoiceState] = {}
        self._started: set[int] = set()
        self.done = False

    def feed(self, event: Event) -> Event:
        """Return `event` as the rest of the server may see it.

        Raises StreamRuleBroken when the event may not come now.
        """
        if type(event) is Delta:  # the token path: one lookup, one append
            state = self._choices.get(event.choice)
            if (
                state is None
                or state.block != event.block
                or state.kind is not event.kind
                or self.done
            ):
                raise _broken(event, "its block is not open")
            if event.text:
                state.pieces.append(event.text)
            if event.data:
                state.data.append(event.data)
            return event
        return self._feed_rare(event)

    def close(self) -> None:
        """Raise StreamRuleBroken when the stream stopped before its last event."""
        if not self.done:
            message = "The worker's answer stopped before its end."
            raise StreamRuleBroken(
                message, hint="Try again; if it stays, report it with the worker's log."
            )

    def _feed_rare(self, event: Event) -> Event:
        if self.done:
            raise _broken(event, "the stream has ended")
        match event:
            case Progress():
                return event
            case Started():
                if event.prompt in self._started:
                    raise _broken(event, "this prompt has started already")
                self._started.add(event.prompt)
            case BlockStarted():
                self._open(event)
            case BlockEnded():
                return self._close_block(event)
            case ChoiceEnded():
                return self._end_choice(event)
            case Finished():
                self._finish(event)
            case Failed():
                self.done = True
            case Delta():
                raise _broken(event, "its block is not open")
            case _:
                assert_never(event)
        return event

    def _open(self, event: BlockStarted) -> None:
        if not self._started:
            raise _broken(event, "the stream has not started")
        state = self._choices.setdefault(event.choice, _ChoiceState())
        if state.ended or state.block != _NO_BLOCK:
            raise _broken(event, "the choice has ended or has an open block")
        state.block, state.kind = event.block, event.kind
        state.call_id, state.call_name = event.call_id or "", event.call_name or ""
        state.pieces.clear()
        state.data.clear()

    def _close_block(self, event: BlockEnded) -> BlockEnded:
        state = self._choices.get(event.choice)
        if state is None or state.block != event.block:
            raise _broken(event, "its block is not open")
        text = "".join(state.pieces)
        part: Text | Reasoning | ToolCall | Media
        match state.kind:
            case BlockKind.TEXT:
                part = Text(text=text)
            case BlockKind.REASONING:
                part = Reasoning(text=text)
            case BlockKind.TOOL_CALL:
                state.called_tool = True
                state.arguments = text
                part = ToolCall(call_id=state.call_id, name=state.call_name, arguments=text)
            case BlockKind.MEDIA:
                part = Media(kind=MediaKind.AUDIO, media_type="", data=b"".join(state.data))
        state.block = _NO_BLOCK
        return BlockEnded(choice=event.choice, block=event.block, part=part)

    def _end_choice(self, event: ChoiceEnded) -> ChoiceEnded:
        state = self._choices.setdefault(event.choice, _ChoiceState())
        if not self._started or state.ended or state.block != _NO_BLOCK:
            raise _broken(event, "the choice has ended or has an open block")
        state.ended = True
        ended_well = event.reason is FinishReason.STOP or (
            event.reason is FinishReason.STOP_SEQUENCE and _is_json(state.arguments)
        )
        if state.called_tool and ended_well:
            return ChoiceEnded(event.choice, FinishReason.TOOL_CALLS, event.stop_sequence)
        return event

    def _finish(self, event: Finished) -> None:
        if not self._started or any(not state.ended for state in self._choices.values()):
            raise _broken(event, "a choice has not ended")
        if self._expected is not None and len(self._choices) != self._expected:
            raise _broken(event, f"{len(self._choices)} of {self._expected} choices came")
        self.done = True


def _broken(event: Event, why: str) -> StreamRuleBroken:
    message = f"The worker sent {type(event).__name__} out of order: {why}."
    return StreamRuleBroken(
        message, hint="This is a bug in the backend; report it with the worker's log."
    )


@dataclass(slots=True)
class ChoiceAnswer:
    """One whole choice."""

    parts: list[Text | Reasoning | ToolCall | Media] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    reason: FinishReason = FinishReason.STOP
    stop_sequence: str | None = None

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(slots=True)
class Answer:
    """A whole answer, or the error that ended it."""

    choices: dict[int, ChoiceAnswer] = field(default_factory=dict)
    usage: Usage = Usage(0, 0)
    timings: Timings = Timings()
    prompt_logprobs: dict[int, tuple[TokenLogprob, ...]] = field(default_factory=dict)
    error: LocalAIError | None = None


class Fold:
    """Turns a checked stream into an Answer: a non-streaming reply is the fold of the stream."""

    def __init__(self) -> None:
        self.answer = Answer()

    def feed(self, event: Event) -> None:
        """Take one event of a stream that StreamRules has checked."""
        match event:
            case Delta():
                if event.logprobs:
                    self._choice(event.choice).logprobs.extend(event.logprobs)
            case BlockEnded():
                self._choice(event.choice).parts.append(event.part)
            case ChoiceEnded():
                choice = self._choice(event.choice)
                choice.reason, choice.stop_sequence = event.reason, event.stop_sequence
            case Started():
                self.answer.prompt_logprobs[event.prompt] = event.prompt_logprobs
            case Finished():
                self.answer.usage, self.answer.timings = event.usage, event.timings
            case Failed():
                self.answer.error = event.error
            case Progress() | BlockStarted():
                pass
            case _:
                assert_never(event)

    def _choice(self, index: int) -> ChoiceAnswer:
        return self.answer.choices.setdefault(index, ChoiceAnswer())


def fold(events: Iterable[Event]) -> Answer:
    """The whole answer of a finished, checked stream."""
    folding = Fold()
    for event in events:
        folding.feed(event)
    return folding.answer


def _is_json(arguments: str) -> bool:
    """Whether the arguments of a call are whole."""
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return True

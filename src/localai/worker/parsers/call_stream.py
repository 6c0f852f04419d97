"""Turns the calls in the text of a stream into tool calls of the stream."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from localai.domain.errors import EngineFailed, SpecInvalid
from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    FinishReason,
    TokenLogprob,
)
from localai.domain.parts import Text
from localai.regexp.steps import Steps, TooManySteps
from localai.wire.functions import MESSAGE, FunctionSettings
from localai.worker.parsers.call_forms import Reader
from localai.worker.parsers.pieces import ArgumentsGrown, CallEnded, CallStarted, Piece, Said
from localai.worker.parsers.text_filter import TextFilter

MOST_STEPS: Final = 400_000  # of all patterns on one answer; a second or so at worst
_UNUSED_PART = Text(text="")
_MESSAGE = re.compile(rf'\s*\{{\s*"{MESSAGE}"\s*:\s*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """What holds for the calls of one answer.

    `make_reader` gives a reader that shares a limit of steps. `is_required` when there must be a
    call; `reads_thoughts` when calls may stand in the reasoning; `answer_tool` is the pseudo tool
    whose message is the answer.
    """

    make_reader: Callable[[Steps], Reader]
    settings: FunctionSettings
    parallel: bool = True
    is_required: bool = False
    reads_thoughts: bool = False
    answer_tool: str | None = None


@dataclass(slots=True)
class _Choice:
    """One choice: what reads its text, and its own numbering of blocks."""

    steps: Steps
    reader: Reader
    filter: TextFilter
    thoughts: Reader | None
    arriving: BlockKind | None = None  # the block that is open in the stream that comes in
    open: BlockKind | None = None  # the one that is open in the stream that goes out
    block: int = -1
    calls: int = 0
    has_captured: bool = False
    is_left_out: bool = False  # whether the call under way is one too many
    message: _Message | None = None  # the call under way, when its message is the answer
    engine_calls: bool = False
    logprobs: list[TokenLogprob] = field(default_factory=list)


class CallStream:
    """Reads a stream; calls that the engine finds itself pass, and end the search."""

    def __init__(self, rules: CallRules) -> None:
        self._rules = rules
        self._choices: dict[int, _Choice] = {}

    def feed(self, event: Event) -> list[Event]:
        """The events to pass on for `event`. Raises SpecInvalid, EngineFailed."""
        if not isinstance(event, BlockStarted | Delta | BlockEnded | ChoiceEnded):
            return [event]
        choice = self._choices.get(event.choice)
        if choice is None:
            choice = self._choices[event.choice] = self._new_choice()
        try:
            return self._feed(event, choice)
        except TooManySteps:
            problem = "The patterns of its `function:` section take too long on this answer."
            raise SpecInvalid(
                f"The model file is not usable with tools: {problem}",
                problems=(problem,),
                hint="Begin them with a fixed text, such as <tool_call>, or make them shorter.",
            ) from None

    def _new_choice(self) -> _Choice:
        rules, steps = self._rules, Steps(MOST_STEPS)
        found = rules.settings
        return _Choice(
            steps=steps,
            reader=rules.make_reader(steps),
            filter=TextFilter(found.replace_llm_results, found.capture_llm_results, steps),
            thoughts=rules.make_reader(steps) if rules.reads_thoughts else None,
        )

    def _feed(
        self, event: BlockStarted | Delta | BlockEnded | ChoiceEnded, choice: _Choice
    ) -> list[Event]:
        match event:
            case BlockStarted():
                choice.arriving = event.kind
                choice.engine_calls |= event.kind is BlockKind.TOOL_CALL
                if event.kind in {BlockKind.TEXT, BlockKind.REASONING}:
                    return []  # opened when there is something to put into it
                choice.calls += event.kind is BlockKind.TOOL_CALL
                return self._open(event.choice, choice, event.kind, event.call_id, event.call_name)
            case Delta(kind=BlockKind.TEXT):
                choice.logprobs.extend(event.logprobs)
                return self._text(event.choice, choice, event.text)
            case Delta(kind=BlockKind.REASONING):
                return self._thought(event, choice)
            case Delta():
                return [replace(event, block=choice.block)]
            case BlockEnded():
                return self._end_block(event.choice, choice)
            case ChoiceEnded():
                return self._end(event, choice)

    # --- what comes in

    def _text(self, index: int, choice: _Choice, text: str) -> list[Event]:
        if choice.engine_calls:
            return self._say(index, choice, text)
        return self._spell(index, choice, choice.reader.feed(choice.filter.feed(text)))

    def _thought(self, event: Delta, choice: _Choice) -> list[Event]:
        if choice.thoughts is None or choice.engine_calls:
            out = self._open_for(event.choice, choice, BlockKind.REASONING)
            return [*out, replace(event, block=choice.block)]
        pieces = choice.thoughts.feed(event.text)
        return self._spell(event.choice, choice, pieces, BlockKind.REASONING)

    def _end_block(self, index: int, choice: _Choice) -> list[Event]:
        kind, choice.arriving = choice.arriving, None
        out: list[Event] = []
        if kind is BlockKind.TEXT and not choice.engine_calls:
            pieces = choice.reader.feed(choice.filter.end()) + choice.reader.end()
            out = self._spell(index, choice, pieces)
            choice.reader = self._rules.make_reader(choice.steps)
        elif kind is BlockKind.REASONING and choice.thoughts is not None:
            out = self._spell(index, choice, choice.thoughts.end(), BlockKind.REASONING)
            choice.thoughts = self._rules.make_reader(choice.steps)
        return out + self._close(index, choice)

    def _end(self, event: ChoiceEnded, choice: _Choice) -> list[Event]:
        out: list[Event] = []
        if choice.arriving is not None:
            out = self._end_block(event.choice, choice)
        out += self._close(event.choice, choice)
        is_cut = event.reason is FinishReason.LENGTH
        if self._rules.is_required and not choice.calls and not is_cut:
            message = "The model was to call a tool, but its answer ended before the call."
            raise EngineFailed(message, hint="Try again, or use another model.")
        if choice.calls and event.reason is FinishReason.STOP:
            return [*out, ChoiceEnded(event.choice, FinishReason.TOOL_CALLS)]
        return [*out, event]

    # --- what goes out

    def _spell(
        self,
        index: int,
        choice: _Choice,
        pieces: list[Piece],
        kind: BlockKind = BlockKind.TEXT,
    ) -> list[Event]:
        out: list[Event] = []
        for piece in pieces:
            match piece:
                case Said():
                    out += self._say(index, choice, piece.text, kind)
                case CallStarted():
                    out += self._call(index, choice, piece.name)
                case ArgumentsGrown():
                    out += self._grow(index, choice, piece.text)
                case CallEnded():
                    out += self._finish_call(index, choice)
        return out

    def _say(
        self, index: int, choice: _Choice, text: str, kind: BlockKind = BlockKind.TEXT
    ) -> list[Event]:
        if not text and not choice.logprobs:
            return []
        if not text and choice.open is not kind:
            return []
        out = self._open_for(index, choice, kind)
        logprobs, choice.logprobs = tuple(choice.logprobs), []
        out.append(Delta(index, choice.block, kind, text, b"", logprobs))
        return out

    def _call(self, index: int, choice: _Choice, name: str) -> list[Event]:
        if name == self._rules.answer_tool:
            choice.message = _Message()
            return []
        choice.is_left_out = bool(choice.calls) and not self._rules.parallel
        if choice.is_left_out:
            return []
        out: list[Event] = []
        if choice.filter.captured and not choice.has_captured:
            choice.has_captured = True
            out += self._say(index, choice, choice.filter.captured)
        choice.calls += 1
        call_id = f"call_{secrets.token_hex(12)}"
        return out + self._open(index, choice, BlockKind.TOOL_CALL, call_id, name)

    def _grow(self, index: int, choice: _Choice, text: str) -> list[Event]:
        if choice.message is not None:
            return self._say(index, choice, choice.message.feed(text))
        if choice.is_left_out:
            return []
        return [Delta(index, choice.block, BlockKind.TOOL_CALL, text)]

    def _finish_call(self, index: int, choice: _Choice) -> list[Event]:
        if choice.message is not None:
            text, choice.message = choice.message.end(), None
            return self._say(index, choice, text)
        if choice.is_left_out:
            choice.is_left_out = False
            return []
        return self._close(index, choice)

    def _open_for(self, index: int, choice: _Choice, kind: BlockKind) -> list[Event]:
        return [] if choice.open is kind else self._open(index, choice, kind)

    def _open(
        self,
        index: int,
        choice: _Choice,
        kind: BlockKind,
        call_id: str | None = None,
        name: str | None = None,
    ) -> list[Event]:
        out = self._close(index, choice)
        choice.block += 1
        choice.open = kind
        return [*out, BlockStarted(index, choice.block, kind, call_id, name)]

    def _close(self, index: int, choice: _Choice) -> list[Event]:
        if choice.open is None:
            return []
        choice.open = None
        return [BlockEnded(index, choice.block, _UNUSED_PART)]


class _Message:
    """The answer inside the pseudo tool's arguments, `{"message": "..."}`, as it comes."""

    def __init__(self) -> None:
        self._held = ""
        self._is_open = False
        self._has_ended = False

    def feed(self, text: str) -> str:
        """More of the arguments; what it adds to the answer."""
        self._held += text
        if not self._is_open:
            head = _MESSAGE.match(self._held)
            if head is None:
                return ""
            self._is_open = True
            self._held = self._held[head.end() :]
        if self._has_ended:
            return ""
        length, self._has_ended = _certain(self._held)
        sure, self._held = self._held[:length], self._held[length:]
        return _decoded(sure)

    def end(self) -> str:
        """The answer, when it was not where it belongs."""
        if self._is_open:
            return ""
        try:
            value = json.loads(self._held, strict=False)
        except (ValueError, RecursionError):
            return ""
        message = value.get(MESSAGE) if isinstance(value, dict) else None
        return message if isinstance(message, str) else ""


def _decoded(text: str) -> str:
    """What the inside of a JSON string stands for; half pairs of surrogates become U+FFFD."""
    try:
        value = str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return ""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _certain(text: str) -> tuple[int, bool]:
    """How much of the inside of a JSON string is whole characters, and whether it ends there."""
    position = 0
    while position < len(text):
        if text[position] == '"':
            return position, True
        step = 1
        if text[position] == "\\":
            step = 6 if text[position + 1 : position + 2] == "u" else 2
            if text[position + 1 : position + 4].lower() in {"ud8", "ud9", "uda", "udb"}:
                step = 12  # a pair of surrogates
        if position + step > len(text):
            return position, False
        position += step
    return position, False

"""The encoders of both endpoints: a stream of lines, and a whole answer.

Both endpoints spell one answer alike, except for where its text stands: a `Layout`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from localai.dialects.contract import Frame
from localai.dialects.ollama.errors import error_body
from localai.dialects.ollama.logprobs import spelled_logprobs
from localai.dialects.ollama.spelling import (
    DONE_REASONS,
    nanoseconds,
    on_one_line,
    rfc3339,
    to_json,
    to_line,
)
from localai.dialects.ollama.tools import arguments_object
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
    Usage,
)
from localai.domain.parts import Reasoning, ToolCall
from localai.domain.stream_rules import Answer, ChoiceAnswer


@dataclass(frozen=True, slots=True)
class Layout:
    """Where an endpoint puts what the model says: in a `message`, or beside the head."""

    text_key: str
    message_key: str | None = None

    def said(
        self, text: str, thinking: str = "", calls: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """The fields for a piece of an answer, or for all of it."""
        fields: dict[str, Any] = {self.text_key: text}
        if thinking:
            fields["thinking"] = thinking
        if calls:
            fields["tool_calls"] = calls
        if self.message_key is None:
            return fields
        return {self.message_key: {"role": "assistant", **fields}}


CHAT = Layout("content", "message")
GENERATE = Layout("response")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How the caller wants the answer written: nothing here reaches an engine."""

    layout: Layout
    created_unix_s: int

    def head(self, model: str) -> dict[str, Any]:
        """The fields that every line begins with."""
        return {"model": model, "created_at": rfc3339(self.created_unix_s)}


class AnswerStream:
    """Spells one checked stream as lines of JSON."""

    def __init__(self, spelled: Spelling, model: str) -> None:
        self._layout = spelled.layout
        self._head = spelled.head(model)
        self._before_text, self._after_text = self._around("\0", "")
        self._before_thinking, self._after_thinking = self._around("", "\0")
        self._calls = 0
        self._reason = FinishReason.STOP

    def feed(self, event: Event) -> Sequence[Frame]:
        """The frames for `event`, which may be none."""
        if type(event) is Delta and event.kind is BlockKind.TEXT and not event.logprobs:
            if not event.text:
                return ()
            spelled = on_one_line(to_json(event.text))  # the token path: one escape, one join
            return (Frame(self._before_text + spelled + self._after_text),)
        match event:
            case Delta():
                return self._delta(event)
            case BlockEnded(part=ToolCall() as call):
                number, self._calls = self._calls, self._calls + 1
                return (self._line(self._layout.said("", calls=[_call(call, number)])),)
            case ChoiceEnded():
                self._reason = event.reason
                return ()
            case Finished():
                return (self._last(event),)
            case Failed():
                return (Frame(error_body(event.error)),)
            case Progress() | Started() | BlockStarted() | BlockEnded():
                return ()
            case _:
                assert_never(event)

    def _delta(self, event: Delta) -> Sequence[Frame]:
        if event.kind is BlockKind.REASONING and event.text and not event.logprobs:
            spelled = on_one_line(to_json(event.text))
            return (Frame(self._before_thinking + spelled + self._after_thinking),)
        text = event.text if event.kind is BlockKind.TEXT else ""
        thinking = event.text if event.kind is BlockKind.REASONING else ""
        if not (text or thinking or event.logprobs):
            return ()  # calls come whole, when they end
        said = self._layout.said(text, thinking)
        if event.logprobs:
            said["logprobs"] = spelled_logprobs(event.logprobs)
        return (self._line(said),)

    def _line(self, said: Mapping[str, Any]) -> Frame:
        return Frame(to_line({**self._head, **said, "done": False}))

    def _last(self, event: Finished) -> Frame:
        end = _end(self._reason, event.usage, event.timings)
        return Frame(to_line({**self._head, **self._layout.said(""), **end}))

    def _around(self, text: str, thinking: str) -> tuple[bytes, bytes]:
        """What never changes of a line, before and after the text that does."""
        said = to_json({**self._layout.said(text, thinking), "done": False})
        before, _, after = said.partition(to_json("\0"))
        return on_one_line(to_json(self._head))[:-1] + b"," + before[1:], after


class AnswerWhole:
    """Spells one whole answer as an object."""

    def __init__(self, spelled: Spelling, model: str, *, has_logprobs: bool) -> None:
        self._layout = spelled.layout
        self._head = spelled.head(model)
        self._has_logprobs = has_logprobs

    def encode(self, answer: Answer) -> bytes:
        """The response body."""
        choice = answer.choices.get(0, ChoiceAnswer())
        thinking = "".join(part.text for part in choice.parts if isinstance(part, Reasoning))
        calls = _calls(part for part in choice.parts if isinstance(part, ToolCall))
        body = self._head | self._layout.said(choice.text, thinking, calls)
        body |= _end(choice.reason, answer.usage, answer.timings)
        if self._has_logprobs:
            body["logprobs"] = spelled_logprobs(choice.logprobs)
        return to_line(body)


def load_body(spelled: Spelling, model: str, reason: str) -> bytes:
    """Spell the answer to a call that only loads or unloads: one object, streamed or not."""
    said = spelled.layout.said("")
    return to_line({**spelled.head(model), **said, "done": True, "done_reason": reason})


def _calls(calls: Iterable[ToolCall]) -> list[dict[str, Any]]:
    return [_call(call, number) for number, call in enumerate(calls)]


def _call(call: ToolCall, number: int) -> dict[str, Any]:
    function = {"index": number, "name": call.name, "arguments": arguments_object(call.arguments)}
    return {"id": call.call_id, "function": function} if call.call_id else {"function": function}


def _end(reason: FinishReason, usage: Usage, timings: Timings) -> dict[str, Any]:
    """The fields of the last line. A duration that the engine does not say is left out."""
    durations = {
        "load_duration": timings.load_ms,
        "prompt_eval_duration": timings.prompt_ms,
        "eval_duration": timings.generation_ms,
    }
    known = {name: nanoseconds(ms) for name, ms in durations.items() if ms is not None}
    counts = {"prompt_eval_count": usage.prompt_tokens, "eval_count": usage.completion_tokens}
    fields = known | counts
    if known:
        fields["total_duration"] = sum(known.values())
    return {
        "done": True,
        "done_reason": DONE_REASONS[reason],
        **{name: fields[name] for name in _ORDER if name in fields},
    }


_ORDER = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)

"""Messages: the two encoders, for a stream and for a whole answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import msgspec

from localai.dialects.anthropic.errors import error_body
from localai.dialects.contract import Frame
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
from localai.domain.parts import Media, Reasoning, Text, ToolCall
from localai.domain.stream_rules import Answer, ChoiceAnswer

_to_json = msgspec.json.Encoder().encode

PING = Frame(b'{"type":"ping"}', "ping")
UNREADABLE_INPUT = "_raw"

_DELTA = "content_block_delta"
_SIGNATURE = ""  # nobody checks it: what comes back as thinking is believed
_STOP_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.FILTERED: "refusal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How the caller wants the answer written: nothing here reaches an engine.

    `stops` are the caller's own stop sequences: only they are named as the reason of an end.
    """

    answer_id: str
    stops: tuple[str, ...] = ()
    shows_thinking: bool = True
    with_timings: bool = False

    def message(self, model: str, usage: dict[str, Any]) -> dict[str, Any]:
        """A message without content and without an end."""
        return {
            "id": f"msg_{self.answer_id}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage | {"service_tier": "standard"},
        }

    def ending(self, reason: FinishReason, stop_sequence: str | None) -> dict[str, Any]:
        """Why the answer ended. A stop sequence of the model's own file is a natural end."""
        if reason is FinishReason.STOP_SEQUENCE:
            if stop_sequence in self.stops:
                return {"stop_reason": "stop_sequence", "stop_sequence": stop_sequence}
            reason = FinishReason.STOP
        return {"stop_reason": _STOP_REASONS[reason], "stop_sequence": None}

    def usage(self, usage: Usage, timings: Timings) -> dict[str, Any]:
        """Token counts; with the engine's times in milliseconds if the caller asked."""
        spelled = _prompt_usage(usage.prompt_tokens, usage.cached_tokens)
        spelled["output_tokens"] = usage.completion_tokens
        if usage.reasoning_tokens is not None:
            spelled["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
        if self.with_timings:
            spelled["timing_prompt_processing"] = timings.prompt_ms or 0.0
            spelled["timing_token_generation"] = timings.generation_ms or 0.0
        return spelled

    def call_id(self, call_id: str | None, index: int) -> str:
        """The id of a call; made up, and unique in the answer, where the engine left it out."""
        return call_id or f"toolu_{self.answer_id}_{index}"


def _prompt_usage(prompt_tokens: int, cached_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": max(0, prompt_tokens - cached_tokens),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached_tokens,
        "output_tokens": 0,
    }


class MessageStream:
    """Spells one checked stream. Requests have one choice, so events of others do not come."""

    def __init__(self, spelled: Spelling, model: str) -> None:
        self._spelled = spelled
        self._model = model
        self._index = -1
        self._before_text = b""  # a delta of the open block up to its text; empty: not shown
        self._ending = spelled.ending(FinishReason.STOP, None)

    def feed(self, event: Event) -> Sequence[Frame]:
        """The frames for `event`, which may be none."""
        if type(event) is Delta:  # the token path: one escape, one join
            if not event.text or not self._before_text:
                return ()
            return (Frame(self._before_text + _to_json(event.text) + b"}}", _DELTA),)
        match event:
            case Progress():
                return (PING,)
            case Started():
                return (self._message_start(event), PING)
            case BlockStarted():
                return self._block_start(event)
            case BlockEnded():
                return self._block_stop(event)
            case ChoiceEnded():
                self._ending = self._spelled.ending(event.reason, event.stop_sequence)
                return ()
            case Finished():
                return self._message_end(event)
            case Failed():
                return (Frame(error_body(event.error), "error"),)
            case Delta():
                return ()
            case _:
                assert_never(event)

    def _message_start(self, event: Started) -> Frame:
        usage = _prompt_usage(event.prompt_tokens, event.cached_tokens)
        return _frame("message_start", message=self._spelled.message(self._model, usage))

    def _block_start(self, event: BlockStarted) -> Sequence[Frame]:
        block: dict[str, Any]
        match event.kind:
            case BlockKind.TEXT:
                block, delta, key = {"type": "text", "text": ""}, "text_delta", "text"
            case BlockKind.REASONING:
                block = {"type": "thinking", "thinking": "", "signature": ""}
                delta, key = "thinking_delta", "thinking"
            case BlockKind.TOOL_CALL:
                call_id = self._spelled.call_id(event.call_id, self._index + 1)
                block = {"type": "tool_use", "id": call_id, "name": event.call_name or ""}
                block["input"] = {}
                delta, key = "input_json_delta", "partial_json"
            case BlockKind.MEDIA:
                self._before_text = b""
                return ()
            case _:
                assert_never(event.kind)
        self._index += 1
        is_hidden = event.kind is BlockKind.REASONING and not self._spelled.shows_thinking
        self._before_text = b"" if is_hidden else self._head(delta, key)
        return (_frame("content_block_start", index=self._index, content_block=block),)

    def _block_stop(self, event: BlockEnded) -> Sequence[Frame]:
        stop = _frame("content_block_stop", index=self._index)
        match event.part:
            case Text() | ToolCall():
                return (stop,)
            case Reasoning():
                delta = {"type": "signature_delta", "signature": _SIGNATURE}
                return (self._delta(delta), stop)
            case Media():
                return ()
            case _:
                assert_never(event.part)

    def _message_end(self, event: Finished) -> Sequence[Frame]:
        usage = self._spelled.usage(event.usage, event.timings)
        delta = _frame("message_delta", delta=self._ending, usage=usage)
        return (delta, _frame("message_stop"))

    def _head(self, kind: str, key: str) -> bytes:
        whole = self._delta({"type": kind, key: ""}).data
        return whole.removesuffix(b'""}}')

    def _delta(self, delta: dict[str, Any]) -> Frame:
        return _frame(_DELTA, index=self._index, delta=delta)


def _frame(event: str, **fields: Any) -> Frame:
    return Frame(_to_json({"type": event, **fields}), event)


class MessageWhole:
    """Spells one whole answer."""

    def __init__(self, spelled: Spelling, model: str) -> None:
        self._spelled = spelled
        self._model = model

    def encode(self, answer: Answer) -> bytes:
        """The response body."""
        choice = answer.choices.get(0, ChoiceAnswer())
        usage = self._spelled.usage(answer.usage, answer.timings)
        message = self._spelled.message(self._model, usage)
        message |= self._spelled.ending(choice.reason, choice.stop_sequence)
        parts = [part for part in choice.parts if not isinstance(part, Media)]
        message["content"] = [self._block(part, index) for index, part in enumerate(parts)]
        return _to_json(message)

    def _block(self, part: Text | Reasoning | ToolCall, index: int) -> dict[str, Any]:
        match part:
            case Text():
                return {"type": "text", "text": part.text}
            case Reasoning():
                thinking = part.text if self._spelled.shows_thinking else ""
                return {"type": "thinking", "thinking": thinking, "signature": _SIGNATURE}
            case ToolCall():
                call_id = self._spelled.call_id(part.call_id, index)
                called = _input(part.arguments)
                return {"type": "tool_use", "id": call_id, "name": part.name, "input": called}
            case _:
                assert_never(part)


def _input(arguments: str) -> Any:
    """A call's arguments as an object, numbers as they were written.

    What is not a JSON object, such as a call that was cut off, is kept under one key: a guess at
    the rest would look like a call that the model meant.
    """
    if not arguments.strip():
        return {}
    try:
        is_object = isinstance(msgspec.json.decode(arguments), dict)
    except (msgspec.DecodeError, RecursionError):
        is_object = False
    return msgspec.Raw(arguments.encode()) if is_object else {UNREADABLE_INPUT: arguments}

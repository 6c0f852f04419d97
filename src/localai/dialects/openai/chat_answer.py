"""Chat completions: the two encoders, for a stream and for a whole answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from localai.dialects.contract import Frame
from localai.dialects.openai.logprobs import chat_logprobs
from localai.dialects.openai.spelling import (
    FINISH_REASONS,
    ChunkPieces,
    Spelling,
    failed,
    to_json,
)
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
)
from localai.domain.parts import Reasoning, ToolCall
from localai.domain.stream_rules import Answer, ChoiceAnswer


class ChatStream:
    """Spells one checked stream as chat.completion.chunk objects."""

    def __init__(
        self, spelled: Spelling, model: str, choices: int, *, older_functions: bool
    ) -> None:
        self._pieces = ChunkPieces(spelled, "chat.completion.chunk", model)
        self._answer_id = spelled.answer_id
        self._older_functions = older_functions
        self._calls = [0] * choices
        self._before_text = [
            self._pieces.head + b'{"index":%d,"delta":{"content":' % choice
            for choice in range(choices)
        ]
        self._after_text = b'},"logprobs":null,"finish_reason":null}' + self._pieces.tail

    def feed(self, event: Event) -> Sequence[Frame]:
        """The frames for `event`, which may be none."""
        if type(event) is Delta and event.kind is BlockKind.TEXT and not event.logprobs:
            if not event.text:
                return ()
            text = to_json(event.text)  # the token path: one escape, one join
            return (Frame(self._before_text[event.choice] + text + self._after_text),)
        match event:
            case Started():
                return [self._role(choice) for choice in range(len(self._calls))]
            case Delta():
                return self._delta(event)
            case BlockStarted():
                return self._call(event)
            case ChoiceEnded():
                reason = _finish_reason(event.reason, older_functions=self._older_functions)
                return (self._frame(event.choice, {}, finish_reason=reason),)
            case Finished():
                return self._pieces.last(event.usage, event.timings)
            case Failed():
                return failed(event)
            case Progress() | BlockEnded():
                return ()
            case _:
                assert_never(event)

    def _role(self, choice: int) -> Frame:
        return self._frame(choice, {"role": "assistant", "content": ""})

    def _delta(self, event: Delta) -> Sequence[Frame]:
        logprobs = chat_logprobs(event.logprobs) if event.logprobs else None
        if not event.text and logprobs is None:
            return ()
        delta: dict[str, Any]
        match event.kind:
            case BlockKind.TEXT:
                delta = {"content": event.text}
            case BlockKind.REASONING:
                delta = {"reasoning_content": event.text, "reasoning": event.text}
            case BlockKind.TOOL_CALL:
                delta = self._arguments(event)
            case BlockKind.MEDIA:
                delta = {}
            case _:
                assert_never(event.kind)
        if not delta and logprobs is None:
            return ()
        return (self._frame(event.choice, delta, logprobs=logprobs),)

    def _arguments(self, event: Delta) -> dict[str, Any]:
        index = self._calls[event.choice] - 1
        if self._older_functions:
            return {"function_call": {"arguments": event.text}} if index == 0 else {}
        return {"tool_calls": [{"index": index, "function": {"arguments": event.text}}]}

    def _call(self, event: BlockStarted) -> Sequence[Frame]:
        if event.kind is not BlockKind.TOOL_CALL:
            return ()
        index = self._calls[event.choice]
        self._calls[event.choice] += 1
        function = {"name": event.call_name or "", "arguments": ""}
        if self._older_functions:  # that form has one call only
            return (self._frame(event.choice, {"function_call": function}),) if index == 0 else ()
        call = {
            "index": index,
            "id": event.call_id or _call_id(self._answer_id, event.choice, index),
            "type": "function",
            "function": function,
        }
        return (self._frame(event.choice, {"tool_calls": [call]}),)

    def _frame(
        self,
        choice: int,
        delta: dict[str, Any],
        *,
        logprobs: dict[str, Any] | None = None,
        finish_reason: str | None = None,
    ) -> Frame:
        spelled = {
            "index": choice,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        return self._pieces.frame(spelled)


class ChatWhole:
    """Spells one whole answer as a chat.completion object."""

    def __init__(
        self, spelled: Spelling, model: str, *, has_logprobs: bool, older_functions: bool
    ) -> None:
        self._spelled = spelled
        self._model = model
        self._has_logprobs = has_logprobs
        self._older_functions = older_functions

    def encode(self, answer: Answer) -> bytes:
        """The response body."""
        body = self._spelled.head("chat.completion", self._model)
        body["choices"] = [self._choice(*item) for item in sorted(answer.choices.items())]
        body["usage"] = self._spelled.usage(answer.usage, answer.timings)
        return to_json(body)

    def _choice(self, index: int, choice: ChoiceAnswer) -> dict[str, Any]:
        return {
            "index": index,
            "message": self._message(index, choice),
            "logprobs": chat_logprobs(choice.logprobs) if self._has_logprobs else None,
            "finish_reason": _finish_reason(choice.reason, older_functions=self._older_functions),
        }

    def _message(self, index: int, choice: ChoiceAnswer) -> dict[str, Any]:
        calls = [part for part in choice.parts if isinstance(part, ToolCall)]
        reasoning = "".join(part.text for part in choice.parts if isinstance(part, Reasoning))
        text = choice.text
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if calls and not text else text,
            "refusal": None,
        }
        if reasoning:
            message |= {"reasoning_content": reasoning, "reasoning": reasoning}
        if calls and self._older_functions:
            message["function_call"] = _function(calls[0])
        elif calls:
            message["tool_calls"] = [
                {
                    "id": call.call_id or _call_id(self._spelled.answer_id, index, number),
                    "type": "function",
                    "function": _function(call),
                }
                for number, call in enumerate(calls)
            ]
        return message


def _function(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments}


def _call_id(answer_id: str, choice: int, number: int) -> str:
    """An id for a call that the engine left without one; unique in the answer."""
    return f"call_{answer_id.partition('-')[2]}_{choice}_{number}"


def _finish_reason(reason: FinishReason, *, older_functions: bool) -> str:
    if older_functions and reason is FinishReason.TOOL_CALLS:
        return "function_call"
    return FINISH_REASONS[reason]

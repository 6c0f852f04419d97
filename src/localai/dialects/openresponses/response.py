"""The Response object and its output items."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from localai.dialects.contract import Origin
from localai.dialects.openresponses.generation import echoed_format
from localai.dialects.openresponses.items import Item, output_text
from localai.dialects.openresponses.requests import ResponsesBody
from localai.dialects.openresponses.thoughts import CONTENT, SUMMARY, Place
from localai.dialects.openresponses.tools import echoed_choice, echoed_tools
from localai.domain.events import FinishReason, Timings, TokenLogprob, Usage

to_json = msgspec.json.Encoder().encode

COMPLETED = "completed"
INCOMPLETE = "incomplete"
IN_PROGRESS = "in_progress"
QUEUED = "queued"

IMPOSSIBLE = -9999.0  # OpenAI's number for a token that cannot come; JSON has no infinity

INCOMPLETE_REASONS: Mapping[FinishReason, str] = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.FILTERED: "content_filter",
}


@dataclass(slots=True)
class Moment:
    """A moment that is the same whenever it is asked for after the first time."""

    clock: Callable[[], float]
    unix_s: int | None = None

    def get(self) -> int:
        """The moment, in seconds of Unix time."""
        if self.unix_s is None:
            self.unix_s = int(self.clock())
        return self.unix_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How the caller wants the answer written: nothing here reaches an engine."""

    answer_id: str
    created_unix_s: int
    completed: Moment = field(compare=False)
    echoed: Mapping[str, Any]
    with_timings: bool = False
    thoughts: Place = CONTENT

    @property
    def response_id(self) -> str:
        """The id of the response."""
        return f"resp_{self.answer_id}"

    def response(
        self,
        model: str,
        status: str,
        output: Sequence[Item] = (),
        **more: Any,
    ) -> dict[str, Any]:
        """The whole object; `more` are the fields that are null unless something happened."""
        head = {
            "id": self.response_id,
            "object": "response",
            "created_at": self.created_unix_s,
            "status": status,
            "completed_at": self.completed.get() if status == COMPLETED else None,
            "error": None,
            "incomplete_details": None,
            "model": model,
            "output": output,
            "usage": None,
        }
        return head | dict(self.echoed) | more

    def ended(
        self,
        model: str,
        reason: FinishReason,
        output: Sequence[Item],
        usage: Usage,
        timings: Timings,
    ) -> dict[str, Any]:
        """The object of an answer that came to its end, or to a limit."""
        counts = self._usage(usage, timings)
        why = INCOMPLETE_REASONS.get(reason)
        if why is None:
            return self.response(model, COMPLETED, output, usage=counts)
        details = {"reason": why}
        return self.response(model, INCOMPLETE, output, usage=counts, incomplete_details=details)

    def _usage(self, usage: Usage, timings: Timings) -> dict[str, Any]:
        counts: dict[str, Any] = {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": usage.cached_tokens,
                "cache_write_tokens": 0,
            },
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        }
        if self.with_timings:
            counts["timing_prompt_processing"] = timings.prompt_ms or 0.0
            counts["timing_token_generation"] = timings.generation_ms or 0.0
        return counts

    def message(self, place: int, content: Sequence[Item], status: str) -> Item:
        """A message of the model's."""
        return {
            "id": f"msg_{self.answer_id}_{place}",
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }

    def reasoning(self, place: int, parts: Sequence[Item], status: str) -> Item:
        """What the model thought, in the place where the caller looks for it."""
        item: Item = {
            "id": f"rs_{self.answer_id}_{place}",
            "type": "reasoning",
            "summary": [],
            "content": [],
            "status": status,
        }
        return item | {self.thoughts.field: parts}

    def call(self, place: int, call: tuple[str, str, str], status: str) -> Item:
        """A call of a function: its id (made up where the engine left it out), name, arguments."""
        call_id, name, arguments = call
        return {
            "id": f"fc_{self.answer_id}_{place}",
            "type": "function_call",
            "call_id": call_id or f"call_{self.answer_id}_{place}",
            "name": name,
            "arguments": arguments,
            "status": status,
        }


def spelling(body: ResponsesBody, origin: Origin, clock: Callable[[], float]) -> Spelling:
    """How the answer to `body` is written."""
    return Spelling(
        answer_id=origin.answer_id,
        created_unix_s=origin.created_unix_s,
        completed=Moment(clock),
        echoed=_echoed(body),
        with_timings=origin.with_timings,
        thoughts=SUMMARY if _summary(body) else CONTENT,
    )


def spelled_logprobs(tokens: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """The log probabilities of tokens."""
    return [
        _token(token) | {"top_logprobs": [_token(other) for other in token.top]} for token in tokens
    ]


def text_part(text: str, tokens: Iterable[TokenLogprob] = ()) -> Item:
    """A part of a message of the model's."""
    return output_text(text, spelled_logprobs(tokens))


def _token(token: TokenLogprob) -> dict[str, Any]:
    logprob = token.logprob if math.isfinite(token.logprob) else IMPOSSIBLE
    return {"token": token.text, "logprob": logprob, "bytes": list(token.data)}


def _echoed(body: ResponsesBody) -> dict[str, Any]:
    """What the response repeats of the request; defaults are OpenAI's."""
    reasoning, text = body.reasoning, body.text
    echoed: dict[str, Any] = {
        "instructions": body.instructions,
        "previous_response_id": body.previous_response_id or None,
        "tools": echoed_tools(body),
        "tool_choice": echoed_choice(body.tool_choice),
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "max_tool_calls": body.max_tool_calls,
        "max_output_tokens": body.max_output_tokens,
        "temperature": _or_default(body.temperature, 1.0),
        "top_p": _or_default(body.top_p, 1.0),
        "presence_penalty": _or_default(body.presence_penalty, 0.0),
        "frequency_penalty": _or_default(body.frequency_penalty, 0.0),
        "top_logprobs": body.top_logprobs or 0,
        "text": {
            "format": echoed_format(body),
            "verbosity": (text.verbosity if text else None) or "medium",
        },
        "reasoning": {
            "effort": reasoning.effort if reasoning else None,
            "summary": _summary(body),
        },
        "truncation": body.truncation or "disabled",
        "metadata": body.metadata or {},
        "store": body.store is not False,
        "background": bool(body.background),
        "service_tier": "default",
        "safety_identifier": body.safety_identifier,
        "prompt_cache_key": body.prompt_cache_key,
    }
    if body.user is not None:  # unlike the others it may not be null
        echoed["user"] = body.user
    if conversation_id := conversation_named(body):
        echoed["conversation"] = {"id": conversation_id}
    return echoed


def _summary(body: ResponsesBody) -> str | None:
    """The summary of its thoughts that was asked for, by its newer or its older name."""
    reasoning = body.reasoning
    return (reasoning.summary or reasoning.generate_summary or None) if reasoning else None


def conversation_named(body: ResponsesBody) -> str | None:
    """The id of the conversation of `body`."""
    named = body.conversation
    return (named if named is None or isinstance(named, str) else named.id) or None


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value

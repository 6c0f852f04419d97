"""What all answers share: the head with the id, the token counts, JSON pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from localai.dialects.contract import Frame, Origin
from localai.dialects.openai.errors import error_body
from localai.domain.events import Failed, FinishReason, Timings, Usage
from localai.version import __version__

to_json = msgspec.json.Encoder().encode

DONE = Frame(b"[DONE]")
FINGERPRINT = f"fp_localai_{__version__}"

FINISH_REASONS: Mapping[FinishReason, str] = {
    FinishReason.STOP: "stop",
    FinishReason.STOP_SEQUENCE: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.FILTERED: "content_filter",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How the caller wants the answer written: nothing here reaches an engine."""

    answer_id: str
    created_unix_s: int
    include_usage: bool = False
    with_timings: bool = False

    def head(self, object_name: str, model: str) -> dict[str, Any]:
        """The fields that every chunk and every whole answer begins with."""
        return {
            "id": self.answer_id,
            "object": object_name,
            "created": self.created_unix_s,
            "model": model,
            "system_fingerprint": FINGERPRINT,
        }

    def usage(self, usage: Usage, timings: Timings) -> dict[str, Any]:
        """Token counts; with the engine's times in milliseconds if the caller asked."""
        spelled: dict[str, Any] = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        }
        if usage.reasoning_tokens is not None:
            spelled["completion_tokens_details"] = {
                "reasoning_tokens": usage.reasoning_tokens,
                "audio_tokens": 0,
            }
        if self.with_timings:
            spelled["timing_prompt_processing"] = timings.prompt_ms or 0.0
            spelled["timing_token_generation"] = timings.generation_ms or 0.0
        return spelled


def spelling(prefix: str, origin: Origin, *, include_usage: bool = False) -> Spelling:
    """A spelling whose id begins with `prefix`."""
    return Spelling(
        answer_id=prefix + origin.answer_id,
        created_unix_s=origin.created_unix_s,
        include_usage=include_usage,
        with_timings=origin.with_timings,
    )


class ChunkPieces:
    """The parts of a stream's chunks that never change, as bytes.

    A chunk is `head + choice + tail`; the token path adds only the escaped text.
    """

    def __init__(self, spelled: Spelling, object_name: str, model: str) -> None:
        self._spelled = spelled
        opened = to_json(spelled.head(object_name, model))[:-1]
        self.head = opened + b',"choices":['
        self.tail = b'],"usage":null}' if spelled.include_usage else b"]}"

    def frame(self, choice: Mapping[str, Any]) -> Frame:
        """A chunk with one choice."""
        return Frame(self.head + to_json(choice) + self.tail)

    def last(self, usage: Usage, timings: Timings) -> tuple[Frame, ...]:
        """The end of a stream, with the token counts if the caller asked for them."""
        if not self._spelled.include_usage:
            return (DONE,)
        counts = to_json(self._spelled.usage(usage, timings))
        return (Frame(self.head + b'],"usage":' + counts + b"}"), DONE)


def failed(event: Failed) -> tuple[Frame, ...]:
    """The end of a stream that cannot go on."""
    return (Frame(error_body(event.error)), DONE)

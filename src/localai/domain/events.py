"""The one event stream that every answer is, and that every dialect only spells.

Order (checked by `stream_rules.StreamRules`): Progress and Started, then per choice blocks
(BlockStarted, Delta..., BlockEnded) that never overlap and one ChoiceEnded; choices may
interleave. Finished or Failed is the last event. Failed may come at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localai.domain.errors import LocalAIError
    from localai.domain.parts import Media, Reasoning, Text, ToolCall


class BlockKind(StrEnum):
    """What a block holds."""

    TEXT = "text"
    REASONING = "reasoning"
    TOOL_CALL = "tool_call"
    MEDIA = "media"


class FinishReason(StrEnum):
    """Why a choice ended, as the engine reports it."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    FILTERED = "filtered"


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token and its natural-log probability before sampling.

    `text` may hold U+FFFD where a token is part of a character; `data` has the exact bytes.
    """

    token_id: int
    text: str
    data: bytes
    logprob: float
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of a whole answer; `completion_tokens` adds up all choices."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """Engine times in milliseconds; None where the engine does not say."""

    prompt_ms: float | None = None
    generation_ms: float | None = None
    load_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Something is under way before the first token: `done` of `total` units of `stage`."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Started:
    """The engine accepted a prompt.

    `prompt_tokens` and `cached_tokens` are 0 where they are not known yet; Finished has them.
    `prompt_logprobs` has one entry per prompt token when asked for; the first token has no
    probability, so its `logprob` is NaN. `prompt` counts the prompts of a call that holds several:
    prompt p makes the choices p*n .. p*n + n-1.
    """

    prompt_tokens: int
    cached_tokens: int = 0
    prompt_logprobs: tuple[TokenLogprob, ...] = ()
    prompt: int = 0


@dataclass(frozen=True, slots=True)
class BlockStarted:
    """A block of one choice begins; calls carry their id and name here."""

    choice: int
    block: int
    kind: BlockKind
    call_id: str | None = None
    call_name: str | None = None


@dataclass(slots=True)
class Delta:
    """An increment of the open block: text (or call arguments), or media bytes.

    Not to be changed, though not frozen: there is one for each token, and freezing triples what
    it costs to make one.
    """

    choice: int
    block: int
    kind: BlockKind
    text: str = ""
    data: bytes = b""
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockEnded:
    """A block is whole; `part` holds all of it."""

    choice: int
    block: int
    part: Text | Reasoning | ToolCall | Media


@dataclass(frozen=True, slots=True)
class ChoiceEnded:
    """One choice is complete."""

    choice: int
    reason: FinishReason
    stop_sequence: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete."""

    usage: Usage
    timings: Timings = Timings()


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer cannot be completed; `error` says why."""

    error: LocalAIError


Event = Progress | Started | BlockStarted | Delta | BlockEnded | ChoiceEnded | Finished | Failed

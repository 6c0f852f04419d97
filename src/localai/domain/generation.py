"""A request to generate text.

Unset is `None`; `0` is a value. How a request was spelled (streaming, ids, echo) is not here:
the dialect's encoder keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from localai.domain.parts import Media, Message

CONTEXT_OPTION: Final = "num_ctx"  # in engine_options: the context that a call needs, in tokens
METADATA_OPTION: Final = "metadata"  # in engine_options: what a request says of itself, as JSON
MEDIA_MARKER: Final = "<__media__>"
"""Stands for one image or sound in a rendered conversation, until the engine says what it wants there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A conversation; the engine renders it with the model's own template."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Raw text, or token ids, to go on from; with `suffix`, the gap before it is filled.

    `is_chat`: the text is a conversation that is rendered already, so the answer is one of an
    assistant, in which thinking and calls are found. `media` are its images and sounds, in the
    order of the places that MEDIA_MARKER holds for them.
    """

    text: str | None = None
    token_ids: tuple[int, ...] | None = None
    suffix: str | None = None
    is_chat: bool = False
    media: tuple[Media, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An instruction and the text it is about; the model's edit template joins them."""

    instruction: str
    text: str


Prompt = Chat | Completion | Edit


@dataclass(slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen. Names and ranges are llama.cpp's and OpenAI's.

    `logit_bias` maps a token id to a number added to its logit. `seed` makes an answer
    repeatable; choice k of a request uses `seed + k`. Not to be changed, though not frozen: freezing
    quadruples what it costs to make one, and every request makes some.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    top_n_sigma: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repeat_penalty: float | None = None
    repeat_last_n: int | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    seed: int | None = None
    logit_bias: Mapping[int, float] | None = None
    ignore_eos: bool | None = None
    n_keep: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool the model may call. `parameters` is a JSON Schema as JSON text.

    `param` is where that stands in the request; errors name it.
    """

    name: str
    description: str = ""
    parameters: str = "{}"
    strict: bool = False
    param: str = ""


class ToolMode(StrEnum):
    """How free the model is to call tools."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPolicy:
    """Which calls are allowed; `name` is set when the mode is NAMED."""

    mode: ToolMode = ToolMode.AUTO
    name: str | None = None
    parallel: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainText:
    """The answer is free text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonValue:
    """The answer is one JSON value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSchema:
    """The answer is JSON that obeys `schema` (JSON text); `param` is where the request has it."""

    schema: str
    name: str = ""
    param: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """The answer obeys a GBNF grammar; `param` is where the request has it.

    `with_thinking`: it says itself how the model may think first, as grammars of calls do.
    """

    gbnf: str
    param: str = ""
    with_thinking: bool = False


OutputFormat = PlainText | JsonValue | JsonSchema | Grammar


@dataclass(slots=True, kw_only=True)
class GenerationRequest:
    """Everything that decides what a model generates.

    `max_tokens` None means until the model ends or the context is full. `logprobs` None means
    none; k means the chosen token and the k most likely ones. `prompt_logprobs` asks for those of
    the prompt too. `counts_prompt_first`: Started shall tell the tokens of the prompt, which some
    engines know only in the end, or have to be asked for. `client` names who asks, for fair queueing;
    it holds no secret. Not to be changed, as `Sampling` is not.
    """

    model: str
    prompt: Prompt
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    tool_policy: ToolPolicy = field(default_factory=ToolPolicy)
    output: OutputFormat = field(default_factory=PlainText)
    reasoning_effort: str | None = None
    choices: int = 1
    logprobs: int | None = None
    prompt_logprobs: bool = False
    counts_prompt_first: bool = False
    backend: str | None = None
    client: str = ""
    engine_options: Mapping[str, str] = field(default_factory=dict)

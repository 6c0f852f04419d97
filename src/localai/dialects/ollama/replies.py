"""The answers, as the OpenAPI description shows them; tests hold what the encoders send against it.

A field that may be missing has the default UNSET. Durations are nanoseconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class LikelyToken(msgspec.Struct, kw_only=True):
    """A token that could have come, and its natural logarithm of probability."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(LikelyToken, kw_only=True):
    """A token that came, and the likeliest ones at its place."""

    top_logprobs: list[LikelyToken]


class FunctionCall(msgspec.Struct, kw_only=True):
    """The number of a call, a function's name, and its arguments."""

    index: int
    name: str
    arguments: dict[str, Any]


class ToolCall(msgspec.Struct, kw_only=True):
    """A call of a tool."""

    function: FunctionCall
    id: str | UnsetType = UNSET


class Line(msgspec.Struct, kw_only=True):
    """What every line of a stream has, and a whole answer; the last line tells how it ended."""

    model: str
    created_at: Time
    done: bool
    done_reason: Literal["stop", "length", "content_filter", "load", "unload"] | UnsetType = UNSET
    total_duration: int | UnsetType = UNSET
    load_duration: int | UnsetType = UNSET
    prompt_eval_count: int | UnsetType = UNSET
    prompt_eval_duration: int | UnsetType = UNSET
    eval_count: int | UnsetType = UNSET
    eval_duration: int | UnsetType = UNSET
    logprobs: list[TokenLogprob] | UnsetType = UNSET


class AnswerMessage(msgspec.Struct, kw_only=True):
    """What the model answers, or a piece of it."""

    role: Literal["assistant"]
    content: str
    thinking: str | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET


class ChatLine(Line, kw_only=True):
    """A piece of an answer to a conversation, or the whole."""

    message: AnswerMessage


class GenerateLine(Line, kw_only=True):
    """A piece of an answer to a prompt, or the whole."""

    response: str
    thinking: str | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET


class Vectors(msgspec.Struct, kw_only=True):
    """The vectors, in the order of the texts."""

    model: str
    embeddings: list[list[float]]
    prompt_eval_count: int


class Vector(msgspec.Struct, kw_only=True):
    """One vector, in the older form."""

    embedding: list[float]


class ModelDetails(msgspec.Struct, kw_only=True):
    """What kind of model it is; empty texts are unknown."""

    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class ListedModel(msgspec.Struct, kw_only=True):
    """A model that can be asked."""

    name: str
    model: str
    modified_at: Time
    size: Annotated[int, Meta(description="Bytes of its file")]
    digest: str
    details: ModelDetails
    capabilities: list[str]


class ModelList(msgspec.Struct, kw_only=True):
    """All models, by name."""

    models: list[ListedModel]


class LoadedModel(msgspec.Struct, kw_only=True):
    """A model in memory."""

    name: str
    model: str
    size: Annotated[int, Meta(description="Bytes of memory")]
    digest: str
    details: ModelDetails
    expires_at: Time
    size_vram: int
    context_length: int


class LoadedModelList(msgspec.Struct, kw_only=True):
    """The models in memory."""

    models: list[LoadedModel]


class PresetMessage(msgspec.Struct, kw_only=True):
    """A message that every conversation begins with."""

    role: str
    content: str


class ShownModel(msgspec.Struct, kw_only=True):
    """Everything about a model."""

    modelfile: str
    parameters: str
    template: str
    details: ModelDetails
    model_info: dict[str, Any]
    capabilities: list[str]
    modified_at: Time
    system: str | UnsetType = UNSET
    license: str | UnsetType = UNSET
    messages: list[PresetMessage] | UnsetType = UNSET


class Version(msgspec.Struct, kw_only=True):
    """The release of Ollama whose API is spoken."""

    version: str


class PullLine(msgspec.Struct, kw_only=True):
    """How far a pull is, in bytes; or the error that ended it."""

    status: str | msgspec.UnsetType = msgspec.UNSET
    digest: str | msgspec.UnsetType = msgspec.UNSET
    total: int | msgspec.UnsetType = msgspec.UNSET
    completed: int | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET


class Error(msgspec.Struct, kw_only=True):
    """An error, as a body or as a line of a stream."""

    error: str

"""The request bodies: every field, what it does and its limits.

The limits in `limits(...)` are what `fields.check_limits` enforces, and what the OpenAPI
schema and docs/reference/ollama.md show. A field that is not here is accepted and ignored.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from localai.dialects.fields import INT32_MAX, JsonObject, limits, no_json, words

MOST_STOPS = 16
MOST_TOP_LOGPROBS = 20

Role = Annotated[str, words("system", "developer", "user", "assistant", "tool")]
Some = Annotated[str, Meta(extra_json_schema={"minLength": 1})]
Effort = Annotated[str, words("none", "minimal", "low", "medium", "high", "xhigh", "max", "")]


class Options(msgspec.Struct, kw_only=True):
    """How the next token is chosen, and how far. Ollama has many more; they have no effect."""

    temperature: Annotated[float | None, limits("0: always the likeliest token", 0, 2)] = None
    top_p: Annotated[
        float | None, limits("Keep the likeliest tokens that add up to this probability", 0, 1)
    ] = None
    top_k: Annotated[
        int | None, limits("Keep this many of the likeliest tokens; 0, -1: all", -1, INT32_MAX)
    ] = None
    min_p: Annotated[
        float | None,
        limits("Drop tokens less likely than this share of the likeliest one", 0, 1),
    ] = None
    typical_p: Annotated[float | None, limits("Locally typical sampling; 1: off", 0, 1)] = None
    num_predict: Annotated[
        int | None,
        limits("Most tokens to generate; 0, -1, -2: until the context is full", -2, INT32_MAX),
    ] = None
    num_ctx: Annotated[
        int | None,
        limits(
            "Tokens of context that the call needs; the model is loaded anew for more", 1, INT32_MAX
        ),
    ] = None
    num_keep: Annotated[
        int | None,
        limits(
            "Tokens of the prompt that stay when the context is shifted; -1: all", -1, INT32_MAX
        ),
    ] = None
    repeat_penalty: Annotated[
        float | None,
        limits("Divide the logit of tokens that came already; 1: off", above=0, most=100),
    ] = None
    repeat_last_n: Annotated[
        int | None,
        limits("Tokens the penalties look back; 0: none, -1: the whole context", -1, INT32_MAX),
    ] = None
    presence_penalty: Annotated[
        float | None, limits("Lower the logit of tokens that came already", -2, 2)
    ] = None
    frequency_penalty: Annotated[
        float | None, limits("Lower the logit of tokens by how often they came", -2, 2)
    ] = None
    mirostat: Annotated[int | None, limits("Mirostat sampling, version 1 or 2; 0: off", 0, 2)] = (
        None
    )
    mirostat_tau: Annotated[float | None, limits("Mirostat's target entropy", 0, 100)] = None
    mirostat_eta: Annotated[float | None, limits("Mirostat's learning rate", 0, 1)] = None
    seed: Annotated[
        int | None,
        limits("Makes an answer repeatable; -1: a random one", -(2**63), 2**64 - 1),
    ] = None
    stop: Annotated[
        str | list[str] | None,
        Meta(description="Texts that end the answer; at most 16, empty ones are left out"),
    ] = None


class FunctionSpec(msgspec.Struct, kw_only=True):
    """A function the model may call; `parameters` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: JsonObject = msgspec.field(default_factory=no_json)


class Tool(msgspec.Struct, kw_only=True):
    """A tool the model may call."""

    type: Annotated[str, words("function", "")] | None = "function"
    function: FunctionSpec | None = None


class CalledFunction(msgspec.Struct, kw_only=True):
    """A call in the history; `arguments` is an object, or the JSON text of one."""

    name: str | None = None
    arguments: Raw = msgspec.field(default_factory=no_json)


class MessageToolCall(msgspec.Struct, kw_only=True):
    """A call of a tool in the history."""

    id: str | None = None
    function: CalledFunction | None = None


class ChatMessage(msgspec.Struct, kw_only=True):
    """One message of a conversation; `images` are base64 texts."""

    role: Annotated[Role, Meta(description="system, developer, user, assistant or tool")]
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[MessageToolCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class ModelBody(msgspec.Struct, kw_only=True):
    """What all bodies share."""

    model: Annotated[
        str | None,
        Meta(description="Name of the model, with or without `:latest`; absent: the default model"),
    ] = None
    keep_alive: Annotated[
        str | float | None,
        Meta(description='How long the model stays loaded: "5m", seconds, 0: unload, -1: forever'),
    ] = None


class GenerationBody(ModelBody, kw_only=True):
    """What the bodies of /api/chat and /api/generate share."""

    stream: Annotated[
        bool | None, Meta(description="Answer as lines of JSON; on unless it is false")
    ] = None
    format: Annotated[
        Raw, Meta(description='"json", or a JSON Schema that the answer obeys; "": free text')
    ] = msgspec.field(default_factory=no_json)
    options: Annotated[Options | None, Meta(description="See [Options](#options)")] = None
    think: Annotated[
        bool | Effort | None,
        Meta(description="Whether to think, or how much: none to max; absent: as the model does"),
    ] = None
    logprobs: Annotated[bool | None, Meta(description="Return log probabilities")] = None
    top_logprobs: Annotated[
        int | None, limits("Likeliest tokens to return at each place", 0, MOST_TOP_LOGPROBS)
    ] = None


class ChatBody(GenerationBody, kw_only=True):
    """POST /api/chat."""

    messages: Annotated[
        list[ChatMessage] | None,
        Meta(description="The conversation: see [Messages](#messages); empty: only load the model"),
    ] = None
    tools: Annotated[list[Tool] | None, Meta(description="Functions the model may call")] = None


class GenerateBody(GenerationBody, kw_only=True):
    """POST /api/generate."""

    prompt: Annotated[
        str | None, Meta(description="What to answer; empty: only load the model")
    ] = None
    system: Annotated[str | None, Meta(description="Stands before the prompt")] = None
    suffix: Annotated[
        str | None, Meta(description="Text after the gap that is to be filled; needs no template")
    ] = None
    images: Annotated[list[str] | None, Meta(description="Images as base64 texts")] = None
    raw: Annotated[
        bool | None, Meta(description="Go on from the prompt as it is, without a template")
    ] = None
    template: Annotated[str | None, Meta(description="Not supported")] = None


class EmbedBody(ModelBody, kw_only=True):
    """POST /api/embed and /api/embeddings; `prompt` is the older name of `input`."""

    input: Annotated[str | list[Some] | None, Meta(description="A text or several")] = None
    prompt: Annotated[str | list[Some] | None, Meta(description="Older name of input")] = None
    truncate: Annotated[
        bool | None, Meta(description="false refuses texts that are too long; else they are cut")
    ] = None
    dimensions: Annotated[
        int | None, limits("Keep this many numbers of each vector, at length 1", 1, INT32_MAX)
    ] = None


class ShowBody(msgspec.Struct, kw_only=True):
    """POST /api/show; `name` is the older name of `model`."""

    model: Annotated[str | None, Meta(description="Name of the model")] = None
    name: Annotated[str | None, Meta(description="Older name of model")] = None
    verbose: Annotated[
        bool | None, Meta(description="Send long lists of the model's metadata too")
    ] = None

"""The body of POST /v1/responses: every field, what it does and its limits.

The limits in `limits(...)` are what `fields.check_limits` enforces, and what the OpenAPI
schema and docs/reference/responses.md show. A field that is not here is accepted and ignored.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from localai.dialects.fields import INT32_MAX, JsonObject, limits, no_json, words
from localai.dialects.openresponses.items import InputItem

MOST_TOP_LOGPROBS = 20
MOST_STOPS = 16

Function = Annotated[str, words("function")]
Choice = Annotated[str, words("auto", "none", "required")]
Form = Annotated[str, words("text", "json_object", "json_schema")]
Effort = Annotated[str, words("none", "minimal", "low", "medium", "high", "xhigh", "max")]
Summary = Annotated[str, words("auto", "concise", "detailed")]
Verbosity = Annotated[str, words("low", "medium", "high")]
Truncation = Annotated[str, words("auto", "disabled")]
StopText = Annotated[str, Meta(extra_json_schema={"minLength": 1})]


class Tool(msgspec.Struct, kw_only=True):
    """A function the model may call; `parameters` is a JSON Schema."""

    type: Function = "function"
    name: str | None = None
    description: str | None = None
    parameters: JsonObject = msgspec.field(default_factory=no_json)
    strict: bool | None = None


class AllowedTool(msgspec.Struct, kw_only=True):
    """One of the tools that may be called."""

    type: Function = "function"
    name: str | None = None


class ToolChoice(msgspec.Struct, kw_only=True):
    """The tool to call, or the tools that may be called."""

    type: Annotated[str, words("function", "allowed_tools")]
    name: str | None = None
    mode: Choice = "auto"
    tools: list[AllowedTool] | None = None


class JsonSchemaFormat(msgspec.Struct, kw_only=True):
    """The schema, where a client nests it as in chat completions."""

    name: str | None = None
    description: str | None = None
    schema: JsonObject = msgspec.field(default_factory=no_json)
    strict: bool | None = None


class TextFormat(msgspec.Struct, kw_only=True):
    """The form of the answer: text, json_object, or json_schema with its schema."""

    type: Annotated[Form, Meta(description="text, json_object or json_schema")]
    name: str | None = None
    description: str | None = None
    schema: JsonObject = msgspec.field(default_factory=no_json)
    strict: bool | None = None
    json_schema: JsonSchemaFormat | None = None


class TextOptions(msgspec.Struct, kw_only=True):
    """What the text of the answer should be like."""

    format: TextFormat | None = None
    verbosity: Verbosity | None = None


class ReasoningOptions(msgspec.Struct, kw_only=True):
    """How much to think."""

    effort: Effort | None = None
    summary: Summary | None = None
    generate_summary: str | None = None


class StreamOptions(msgspec.Struct, kw_only=True):
    """Options of a stream."""

    include_obfuscation: bool | None = None


class ConversationName(msgspec.Struct, kw_only=True):
    """The conversation that the response belongs to."""

    id: str


class ResponsesBody(msgspec.Struct, kw_only=True):
    """POST /v1/responses."""

    model: Annotated[
        str | None, Meta(description="Name of the model; absent: the default model")
    ] = None
    input: Annotated[
        str | list[InputItem] | None, Meta(description="A text, or a list of items")
    ] = None
    instructions: Annotated[
        str | None, Meta(description="System message of this turn; not inherited by the next")
    ] = None
    previous_response_id: Annotated[
        str | None, Meta(description="The stored response that this one goes on from")
    ] = None
    conversation: Annotated[
        str | ConversationName | None,
        Meta(description="The conversation to go on with and to add to: its id, or {id}"),
    ] = None
    store: Annotated[bool | None, Meta(description="Keep the response, which is the default")] = (
        None
    )
    background: Annotated[
        bool | None, Meta(description="Answer at once, and generate without the client")
    ] = None
    stream: Annotated[bool | None, Meta(description="Answer as server-sent events")] = None
    stream_options: Annotated[StreamOptions | None, Meta(description="No effect")] = None
    include: Annotated[
        list[str] | None,
        Meta(description="`message.output_text.logprobs`; the others are accepted, without effect"),
    ] = None
    max_output_tokens: Annotated[
        int | None, limits("Most tokens to generate, reasoning included", 1, INT32_MAX)
    ] = None
    temperature: Annotated[float | None, limits("0: always the likeliest token", 0, 2)] = None
    top_p: Annotated[
        float | None, limits("Keep the likeliest tokens that add up to this probability", 0, 1)
    ] = None
    top_k: Annotated[
        int | None, limits("Keep this many of the likeliest tokens; 0, -1: all", -1, INT32_MAX)
    ] = None
    min_p: Annotated[
        float | None, limits("Drop tokens less likely than this share of the likeliest one", 0, 1)
    ] = None
    top_logprobs: Annotated[
        int | None, limits("Likeliest tokens to return at each place", 0, MOST_TOP_LOGPROBS)
    ] = None
    presence_penalty: Annotated[
        float | None, limits("Lower the logit of tokens that came already", -2, 2)
    ] = None
    frequency_penalty: Annotated[
        float | None, limits("Lower the logit of tokens by how often they came", -2, 2)
    ] = None
    repeat_penalty: Annotated[
        float | None,
        limits("Divide the logit of tokens that came already; 1: off", above=0, most=100),
    ] = None
    logit_bias: Annotated[
        dict[str, float] | None,
        Meta(description="Token id to a number from -100 to 100 that is added to its logit"),
    ] = None
    seed: Annotated[
        int | None, limits("Makes an answer repeatable; -1: a random one", -(2**63), 2**64 - 1)
    ] = None
    stop: Annotated[
        StopText
        | Annotated[list[StopText], Meta(extra_json_schema={"maxItems": MOST_STOPS})]
        | None,
        Meta(description="Texts that end the answer; at most 16"),
    ] = None
    tools: Annotated[list[Tool] | None, Meta(description="Functions the model may call")] = None
    tool_choice: Annotated[
        Choice | ToolChoice | None,
        Meta(description="auto, none, required, the function to call, or the allowed ones"),
    ] = None
    parallel_tool_calls: Annotated[
        bool | None, Meta(description="Allow several calls in one answer")
    ] = None
    max_tool_calls: Annotated[
        int | None, limits("Limits calls of hosted tools, of which there are none", 1, INT32_MAX)
    ] = None
    text: Annotated[
        TextOptions | None, Meta(description="`format`: the form of the answer; `verbosity`")
    ] = None
    text_format: Annotated[
        Form | TextFormat | None, Meta(description="LocalAI's place for `text.format`")
    ] = None
    reasoning: Annotated[
        ReasoningOptions | None,
        Meta(description="`effort`: none to max; `summary`: show the thoughts as a summary"),
    ] = None
    truncation: Annotated[
        Truncation | None,
        Meta(description="auto or disabled; a prompt that does not fit is refused"),
    ] = None
    metadata: Annotated[
        dict[str, str] | None, Meta(description="Up to 16 pairs, returned with the response")
    ] = None
    service_tier: Annotated[str | None, Meta(description="No effect")] = None
    safety_identifier: Annotated[str | None, Meta(description="Returned with the response")] = None
    prompt_cache_key: Annotated[str | None, Meta(description="Returned with the response")] = None
    user: Annotated[str | None, Meta(description="Returned with the response")] = None
    backend: Annotated[str | None, Meta(description="Engine to use instead of the model's own")] = (
        None
    )
    prompt: Annotated[Raw, Meta(description="Prompt templates are not supported")] = msgspec.field(
        default_factory=no_json
    )

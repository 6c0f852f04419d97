"""The request bodies: every field, what it does and its limits.

The limits in `limits(...)` are what `fields.check_limits` enforces, and what the OpenAPI
schema and docs/reference/openai.md show. A field that is not here is accepted and ignored.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from localai.dialects.fields import INT32_MAX, JsonObject, limits, no_json, words

MOST_CHOICES = 128
MOST_STOPS = 16
MOST_TOP_LOGPROBS = 20

Function = Annotated[str, words("function")]
Choice = Annotated[str, words("auto", "none", "required")]
Form = Annotated[str, words("text", "json_object", "json_schema")]
Effort = Annotated[str, words("none", "minimal", "low", "medium", "high", "xhigh", "max")]
Role = Annotated[str, words("system", "developer", "user", "assistant", "tool", "function")]
PartType = Annotated[
    str,
    words(
        *("text", "refusal", "input_audio"),
        *("image_url", "image", "audio_url", "video_url", "video"),
    ),
]
StopText = Annotated[str, Meta(extra_json_schema={"minLength": 1})]


class StreamOptions(msgspec.Struct, kw_only=True):
    """Options of a stream."""

    include_usage: Annotated[
        bool | None, Meta(description="Send the token counts in a last chunk")
    ] = None
    include_obfuscation: Annotated[bool | None, Meta(description="No effect")] = None


class JsonSchemaFormat(msgspec.Struct, kw_only=True):
    """A JSON Schema that the answer obeys."""

    name: str | None = None
    description: str | None = None
    schema: JsonObject = msgspec.field(default_factory=no_json)
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, kw_only=True):
    """The form of the answer; `schema` beside `json_object` is llama.cpp's spelling."""

    type: Annotated[Form, Meta(description="text, json_object or json_schema")]
    json_schema: JsonSchemaFormat | None = None
    schema: JsonObject = msgspec.field(default_factory=no_json)


class FunctionSpec(msgspec.Struct, kw_only=True):
    """A function the model may call; `parameters` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: JsonObject = msgspec.field(default_factory=no_json)
    strict: bool | None = None


class Tool(msgspec.Struct, kw_only=True):
    """A tool the model may call."""

    type: Function = "function"
    function: FunctionSpec | None = None


class NamedFunction(msgspec.Struct, kw_only=True):
    """The name of a function."""

    name: str


class AllowedTool(msgspec.Struct, kw_only=True):
    """One tool out of `tools`."""

    type: Function = "function"
    function: NamedFunction | None = None


class AllowedTools(msgspec.Struct, kw_only=True):
    """A choice among some of `tools`."""

    mode: Choice = "auto"
    tools: list[AllowedTool]


class ToolChoice(msgspec.Struct, kw_only=True):
    """Which tool to call: `function.name`, or `name` beside `type`."""

    type: Annotated[str, words("function", "allowed_tools")] = "function"
    function: NamedFunction | None = None
    name: str | None = None
    allowed_tools: AllowedTools | None = None


class CalledFunction(msgspec.Struct, kw_only=True):
    """A call in the history; `arguments` is JSON text."""

    name: str | None = None
    arguments: str | None = None


class MessageToolCall(msgspec.Struct, kw_only=True):
    """A call of a tool in the history."""

    id: str | None = None
    type: str | None = None
    function: CalledFunction | None = None


class MediaAddress(msgspec.Struct, kw_only=True):
    """An address, or a data URI; `detail` has no effect."""

    url: str
    detail: str | None = None


class SoundData(msgspec.Struct, kw_only=True):
    """Sound as base64; its format is told by its own bytes."""

    data: str
    format: str | None = None


class FileData(msgspec.Struct, kw_only=True):
    """A document: an uploaded file, or its own bytes as base64 or a data URI."""

    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None


class ContentPart(msgspec.Struct, kw_only=True):
    """A piece of a message: text, a document, or an image or sound for models that take it."""

    type: PartType
    text: str | None = None
    refusal: str | None = None
    image_url: MediaAddress | str | None = None
    image: MediaAddress | str | None = None
    audio_url: MediaAddress | str | None = None
    video_url: MediaAddress | str | None = None
    video: MediaAddress | str | None = None
    input_audio: SoundData | None = None
    file: FileData | None = None

    def address(self, kind: str) -> str | None:
        """The address in the field named like `kind`."""
        given: MediaAddress | str | None = getattr(self, kind)
        return given.url if isinstance(given, MediaAddress) else given


class ChatMessage(msgspec.Struct, kw_only=True):
    """One message of a conversation."""

    role: Annotated[Role, Meta(description="system, developer, user, assistant, tool or function")]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[MessageToolCall] | None = None
    function_call: CalledFunction | None = None
    tool_call_id: str | None = None


class GenerationBody(msgspec.Struct, kw_only=True):
    """What all bodies share."""

    model: Annotated[
        str | None, Meta(description="Name of the model; absent: the default model")
    ] = None
    n: Annotated[int | None, limits("Number of answers", 1, MOST_CHOICES)] = None
    max_tokens: Annotated[
        int | None, limits("Most tokens to generate; -1: no limit", -1, INT32_MAX)
    ] = None
    stop: Annotated[
        StopText
        | Annotated[list[StopText], Meta(extra_json_schema={"maxItems": MOST_STOPS})]
        | None,
        Meta(description="Texts that end the answer; at most 16"),
    ] = None
    stream: Annotated[bool | None, Meta(description="Answer as server-sent events")] = None
    stream_options: StreamOptions | None = None
    seed: Annotated[
        int | None,
        limits("Makes an answer repeatable; -1: a random one", -(2**63), 2**64 - 1),
    ] = None
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
    typ_p: Annotated[float | None, limits("Another name of typical_p", 0, 1)] = None
    top_n_sigma: Annotated[
        float | None,
        limits("Keep logits within so many standard deviations of the highest; -1: off", -1, 100),
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
    repeat_last_n: Annotated[
        int | None,
        limits("Tokens the penalties look back; 0: none, -1: the whole context", -1, INT32_MAX),
    ] = None
    mirostat: Annotated[int | None, limits("Mirostat sampling, version 1 or 2; 0: off", 0, 2)] = (
        None
    )
    mirostat_tau: Annotated[float | None, limits("Mirostat's target entropy", 0, 100)] = None
    mirostat_eta: Annotated[float | None, limits("Mirostat's learning rate", 0, 1)] = None
    dry_multiplier: Annotated[
        float | None, limits("Strength of the DRY repetition penalty; 0: off", 0, 100)
    ] = None
    dry_base: Annotated[float | None, limits("Base of the DRY penalty", 0, 100)] = None
    dry_allowed_length: Annotated[
        int | None, limits("Longest repetition that DRY leaves alone", 0, INT32_MAX)
    ] = None
    dry_penalty_last_n: Annotated[
        int | None, limits("Tokens DRY looks back; -1: the whole context", -1, INT32_MAX)
    ] = None
    xtc_probability: Annotated[
        float | None, limits("How often XTC drops the likeliest tokens; 0: never", 0, 1)
    ] = None
    xtc_threshold: Annotated[
        float | None, limits("Least probability of a token that XTC drops", 0, 1)
    ] = None
    logit_bias: Annotated[
        dict[str, float] | None,
        Meta(description="Token id to a number from -100 to 100 that is added to its logit"),
    ] = None
    ignore_eos: Annotated[
        bool | None,
        Meta(description="Go on after the model ends its answer; not with a form or tools"),
    ] = None
    n_keep: Annotated[
        int | None,
        limits(
            "Tokens of the prompt that stay when the context is shifted; -1: all", -1, INT32_MAX
        ),
    ] = None
    response_format: Annotated[
        Form | ResponseFormat | None, Meta(description="text, json_object, json_schema")
    ] = None
    grammar: Annotated[str | None, Meta(description="GBNF grammar that the answer obeys")] = None
    grammar_json_functions: Annotated[
        JsonObject, Meta(description="JSON Schema that the answer obeys")
    ] = msgspec.field(default_factory=no_json)
    backend: Annotated[str | None, Meta(description="Engine to use instead of the model's own")] = (
        None
    )


class ChatBody(GenerationBody, kw_only=True):
    """POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Meta(extra_json_schema={"minItems": 1})]
    max_completion_tokens: Annotated[
        int | None, limits("Newer name of max_tokens; wins over it", -1, INT32_MAX)
    ] = None
    logprobs: Annotated[
        bool | int | None, Meta(description="Return log probabilities; k: and the k likeliest")
    ] = None
    top_logprobs: Annotated[
        int | None,
        limits("Likeliest tokens to return at each place", 0, MOST_TOP_LOGPROBS),
    ] = None
    tools: Annotated[list[Tool] | None, Meta(description="Tools the model may call")] = None
    tool_choice: Annotated[
        Choice | ToolChoice | None, Meta(description="auto, none, required, or the tool to call")
    ] = None
    parallel_tool_calls: Annotated[
        bool | None, Meta(description="Allow several calls in one answer")
    ] = None
    functions: Annotated[list[FunctionSpec] | None, Meta(description="Older form of tools")] = None
    function_call: Annotated[
        Choice | NamedFunction | None, Meta(description="Older form of tool_choice")
    ] = None
    reasoning_effort: Annotated[
        Effort | None, Meta(description="How much to think: none to max")
    ] = None
    chat_template_kwargs: Annotated[
        JsonObject, Meta(description="Values for the model's chat template")
    ] = msgspec.field(default_factory=no_json)
    enable_thinking: Annotated[
        bool | None, Meta(description="The same as in `chat_template_kwargs`")
    ] = None
    metadata: Annotated[
        dict[str, str | bool | int | float | None] | None,
        Meta(
            description="Texts for model files' templates; `enable_thinking`, `preserve_thinking`"
            " and `reasoning_effort` count as if they were fields (LocalAI)"
        ),
    ] = None
    modalities: Annotated[
        list[Annotated[str, words("text")]] | None, Meta(description="Only text")
    ] = None
    audio: Annotated[Raw, Meta(description="Not supported")] = msgspec.field(
        default_factory=no_json
    )
    prediction: Annotated[Raw, Meta(description="Not supported")] = msgspec.field(
        default_factory=no_json
    )
    web_search_options: Annotated[Raw, Meta(description="Not supported")] = msgspec.field(
        default_factory=no_json
    )


class CompletionBody(GenerationBody, kw_only=True):
    """POST /v1/completions."""

    prompt: str | list[str | int | list[int]]
    suffix: Annotated[str | None, Meta(description="Text after the gap that is to be filled")] = (
        None
    )
    echo: Annotated[bool | None, Meta(description="Repeat the prompt before the answer")] = None
    best_of: Annotated[int | None, limits("Must equal n", 1, MOST_CHOICES)] = None
    logprobs: Annotated[
        bool | int | None,
        Meta(description="Return log probabilities, and the k likeliest tokens"),
    ] = None


class EditBody(GenerationBody, kw_only=True):
    """POST /v1/edits."""

    instruction: Annotated[str, Meta(description="What to do with the input")]
    input: Annotated[
        str | list[str] | None, Meta(description="The text to edit; several texts: one answer each")
    ] = None

"""The request bodies: every field, what it does and its limits.

Bounds are msgspec's own, so the decoder checks them and the OpenAPI schema and
docs/reference/anthropic.md show them. A field that is not here is accepted and ignored, such as
`cache_control`: engines find repeated beginnings of prompts by themselves.
Source: the types of Anthropic's Python client 2.11, and its API reference, "Create a Message".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Raw

from localai.dialects.fields import INT32_MAX, JsonObject, no_json, words

MOST_STOPS = 64  # every token is compared with each of them
LEAST_THINKING_TOKENS = 1024  # Anthropic's

Role = Annotated[str, words("user", "assistant", "system")]
Choice = Annotated[str, words("auto", "any", "tool", "none")]
ThinkingType = Annotated[str, words("enabled", "disabled", "adaptive", "between_tools")]
Effort = Annotated[str, words("low", "medium", "high", "xhigh", "max")]
Display = Annotated[str, words("summarized", "omitted")]
StopText = Annotated[str, Meta(extra_json_schema={"minLength": 1})]
Share = Annotated[float, Meta(ge=0, le=1)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Count = Annotated[int, Meta(ge=0, le=INT32_MAX)]
AnswerTokens = Annotated[int, Meta(ge=1, le=INT32_MAX)]
ThinkingTokens = Annotated[int, Meta(ge=LEAST_THINKING_TOKENS, le=INT32_MAX)]


class Base64Source(msgspec.Struct, tag="base64", kw_only=True):
    """Bytes, written in the body itself."""

    media_type: str
    data: bytes


class TextSource(msgspec.Struct, tag="text", kw_only=True):
    """Plain text, written in the body itself."""

    data: str
    media_type: str | None = None


class ContentSource(msgspec.Struct, tag="content", kw_only=True):
    """Texts and images, written in the body itself."""

    content: str | list[TextBlock | ImageBlock]


class UrlSource(msgspec.Struct, tag="url", kw_only=True):
    """Something that has to be fetched first."""

    url: str


class FileSource(msgspec.Struct, tag="file", kw_only=True):
    """Something that was uploaded before."""

    file_id: str


class TextBlock(msgspec.Struct, tag="text", kw_only=True):
    """A text."""

    text: str


class ImageBlock(msgspec.Struct, tag="image", kw_only=True):
    """An image."""

    source: ImageSource


class DocumentBlock(msgspec.Struct, tag="document", kw_only=True):
    """A document; the model reads it as text."""

    source: DocumentSource
    title: str | None = None
    context: str | None = None


class SearchResultBlock(msgspec.Struct, tag="search_result", kw_only=True):
    """What a search found; the model reads it as text."""

    source: str
    title: str
    content: list[TextBlock]


class ThinkingBlock(msgspec.Struct, tag="thinking", kw_only=True):
    """What the model thought; its `signature` is ignored."""

    thinking: str


class RedactedThinkingBlock(msgspec.Struct, tag="redacted_thinking", kw_only=True):
    """What one of Anthropic's models thought; nobody else can read it."""


class ToolUseBlock(msgspec.Struct, tag="tool_use", kw_only=True):
    """A call of a tool by the model."""

    id: str
    name: str
    input: JsonObject = msgspec.field(default_factory=no_json)


class ToolResultBlock(msgspec.Struct, tag="tool_result", kw_only=True):
    """What a tool answered to the call `tool_use_id`."""

    tool_use_id: str
    content: str | list[ShownBlock] | None = None
    is_error: bool | None = None


ImageSource = Base64Source | UrlSource | FileSource
DocumentSource = Base64Source | TextSource | ContentSource | UrlSource | FileSource
ShownBlock = TextBlock | ImageBlock | DocumentBlock | SearchResultBlock
ContentBlock = ShownBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ToolResultBlock

# What may stand in a block or a source of each type: Anthropic's blocks nest only so deep.
INSIDE: Mapping[str, Any] = {
    "image": ImageSource,
    "document": DocumentSource,
    "search_result": TextBlock,
    "tool_result": ShownBlock,
    "content": TextBlock | ImageBlock,
}


def type_words(union: Any) -> tuple[str, ...]:
    """The values of `type` in a union of structs."""
    structs = get_args(union) or (union,)
    return tuple(str(struct.__struct_config__.tag) for struct in structs)


# What Anthropic's API knows besides, and this server does not.
FOREIGN_BLOCKS: Mapping[str, str] = {
    "bash_code_execution_tool_result": "code run on Anthropic's servers",
    "browser_state": "Anthropic's browser tools",
    "code_execution_tool_result": "code run on Anthropic's servers",
    "compaction": "conversations that Anthropic's servers shortened",
    "container_upload": "code run on Anthropic's servers",
    "mcp_tool_result": "MCP servers that the API calls",
    "mcp_tool_use": "MCP servers that the API calls",
    "server_tool_use": "tools that run on Anthropic's servers",
    "text_editor_code_execution_tool_result": "code run on Anthropic's servers",
    "tool_reference": "Anthropic's tool search",
    "tool_search_tool_result": "Anthropic's tool search",
    "web_fetch_tool_result": "Anthropic's web fetch",
    "web_search_tool_result": "Anthropic's web search",
}


class Turn(msgspec.Struct, kw_only=True):
    """One turn of a conversation."""

    role: Annotated[Role, Meta(description="user, assistant or system")]
    content: str | list[ContentBlock]


class Tool(msgspec.Struct, kw_only=True):
    """A tool the model may call; `input_schema` is a JSON Schema."""

    name: str | None = None
    type: Annotated[
        Annotated[str, words("custom")] | None, Meta(description="custom, or left out")
    ] = None
    description: str | None = None
    input_schema: JsonObject = msgspec.field(default_factory=no_json)
    strict: bool | None = None


class ToolChoice(msgspec.Struct, kw_only=True):
    """Which tools may be called; `name` goes with the type `tool`."""

    type: Annotated[Choice, Meta(description="auto, any, tool or none")]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct, kw_only=True):
    """Whether to think before the answer."""

    type: Annotated[ThinkingType, Meta(description="enabled, disabled, adaptive or between_tools")]
    budget_tokens: ThinkingTokens | None = None
    display: Annotated[Display | None, Meta(description="summarized, or omitted")] = None


class OutputFormat(msgspec.Struct, kw_only=True):
    """The form of the answer: JSON that obeys `schema`."""

    type: Annotated[str, words("json_schema"), Meta(description="json_schema")]
    schema: JsonObject = msgspec.field(default_factory=no_json)


class OutputConfig(msgspec.Struct, kw_only=True):
    """How the answer is made."""

    effort: Annotated[Effort | None, Meta(description="low, medium, high, xhigh or max")] = None
    format: OutputFormat | None = None


class PromptBody(msgspec.Struct, kw_only=True):
    """What decides the prompt; POST /v1/messages/count_tokens."""

    model: Annotated[
        str | None, Meta(description="Name of the model; absent: the default model")
    ] = None
    messages: Annotated[
        list[Turn], Meta(description="The conversation", extra_json_schema={"minItems": 1})
    ]
    system: Annotated[
        str | list[TextBlock] | None, Meta(description="What the model is told first")
    ] = None
    tools: Annotated[list[Tool] | None, Meta(description="Tools the model may call")] = None
    tool_choice: Annotated[
        Choice | ToolChoice | None, Meta(description="auto, any, none, or the tool to call")
    ] = None
    thinking: Annotated[Thinking | None, Meta(description="Whether to think before the answer")] = (
        None
    )
    output_config: Annotated[
        OutputConfig | None,
        Meta(description="`effort`: how much to think; `format`: a schema that the answer obeys"),
    ] = None
    output_format: Annotated[
        OutputFormat | None, Meta(description="Older place of `output_config.format`")
    ] = None
    mcp_servers: Annotated[list[Raw] | None, Meta(description="Not supported")] = None


class MessagesBody(PromptBody, kw_only=True):
    """POST /v1/messages."""

    max_tokens: Annotated[AnswerTokens, Meta(description="Most tokens to generate")]
    stop_sequences: Annotated[
        Annotated[list[StopText], Meta(extra_json_schema={"maxItems": MOST_STOPS})] | None,
        Meta(description=f"Texts that end the answer; at most {MOST_STOPS}, none of them empty"),
    ] = None
    temperature: Annotated[
        Temperature | None, Meta(description="0: always the likeliest token")
    ] = None
    top_p: Annotated[
        Share | None,
        Meta(description="Keep the likeliest tokens that add up to this probability"),
    ] = None
    top_k: Annotated[
        Count | None, Meta(description="Keep this many of the likeliest tokens; 0: all")
    ] = None
    stream: Annotated[bool | None, Meta(description="Answer as server-sent events")] = None
    container: Annotated[Raw, Meta(description="Not supported")] = msgspec.field(
        default_factory=no_json
    )

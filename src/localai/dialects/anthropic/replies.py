"""The answers, as the OpenAPI description shows them; tests hold what the encoders send against it.

A field that may be missing has the default UNSET.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType


class OutputTokensDetails(msgspec.Struct, kw_only=True):
    """What is known of the generated tokens."""

    thinking_tokens: int


class Usage(msgspec.Struct, kw_only=True):
    """Token counts; the times in milliseconds come with the header `Extra-Usage`."""

    input_tokens: Annotated[int, Meta(description="Tokens that were not in memory any more")]
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: OutputTokensDetails | UnsetType = UNSET
    timing_prompt_processing: float | UnsetType = UNSET
    timing_token_generation: float | UnsetType = UNSET


class MessageUsage(Usage, kw_only=True):
    """Token counts of a message."""

    service_tier: Literal["standard"]


class TextContent(msgspec.Struct, tag="text", kw_only=True):
    """What the model says."""

    text: str


class ThinkingContent(msgspec.Struct, tag="thinking", kw_only=True):
    """What the model thinks; nobody checks the signature."""

    thinking: str
    signature: str


class ToolUseContent(msgspec.Struct, tag="tool_use", kw_only=True):
    """A call of a tool; `_raw` holds arguments that are no JSON object."""

    id: str
    name: str
    input: dict[str, Any]


Content = TextContent | ThinkingContent | ToolUseContent
StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]


class Message(msgspec.Struct, kw_only=True):
    """A whole answer."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Content]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: MessageUsage


class MessageStart(msgspec.Struct, tag="message_start", kw_only=True):
    """The message, still without content."""

    message: Message


class BlockStart(msgspec.Struct, tag="content_block_start", kw_only=True):
    """A block of content begins, still empty."""

    index: int
    content_block: Content


class TextDelta(msgspec.Struct, tag="text_delta", kw_only=True):
    """More text."""

    text: str


class ThinkingDelta(msgspec.Struct, tag="thinking_delta", kw_only=True):
    """More thoughts."""

    thinking: str


class SignatureDelta(msgspec.Struct, tag="signature_delta", kw_only=True):
    """The end of thoughts."""

    signature: str


class InputDelta(msgspec.Struct, tag="input_json_delta", kw_only=True):
    """More of a call's arguments, as JSON text."""

    partial_json: str


class BlockDelta(msgspec.Struct, tag="content_block_delta", kw_only=True):
    """More of a block."""

    index: int
    delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta


class BlockStop(msgspec.Struct, tag="content_block_stop", kw_only=True):
    """A block ends."""

    index: int


class Ending(msgspec.Struct, kw_only=True):
    """Why the message ends."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(msgspec.Struct, tag="message_delta", kw_only=True):
    """The message ends."""

    delta: Ending
    usage: Usage


class MessageStop(msgspec.Struct, tag="message_stop", kw_only=True):
    """Nothing comes after this."""


class Ping(msgspec.Struct, tag="ping", kw_only=True):
    """A sign of life."""


class ErrorDetails(msgspec.Struct, kw_only=True):
    """What is wrong, and what to do about it."""

    type: str
    message: str


class Error(msgspec.Struct, tag="error", kw_only=True):
    """An error, as a body or in the middle of a stream."""

    error: ErrorDetails
    request_id: None


StreamEvent = (
    MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | Ping | Error
)


class TokenCount(msgspec.Struct, kw_only=True):
    """How many tokens a conversation has."""

    input_tokens: int


class Model(msgspec.Struct, kw_only=True):
    """A model that can be asked; what is null is not known."""

    type: Literal["model"]
    id: str
    display_name: str
    created_at: str
    lifecycle: str
    deprecated_at: None
    retires_at: None
    line: None
    capabilities: None
    max_input_tokens: None
    max_tokens: None


class ModelList(msgspec.Struct, kw_only=True):
    """All models, by name."""

    data: list[Model]
    has_more: bool
    first_id: str | None
    last_id: str | None


class File(msgspec.Struct, kw_only=True):
    """An uploaded file."""

    id: str
    type: Literal["file"]
    filename: str
    mime_type: str
    size_bytes: int
    created_at: str
    expires_at: str | None
    downloadable: bool


class FileList(msgspec.Struct, kw_only=True):
    """A page of files."""

    data: list[File]
    next_page: str | None
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedFile(msgspec.Struct, kw_only=True):
    """A file is no more."""

    id: str
    type: Literal["file_deleted"]

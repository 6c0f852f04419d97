"""The answers, as the OpenAPI description shows them. UNSET is the default of what may be missing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

ItemStatus = Literal["in_progress", "completed", "incomplete"]
UnixTime = Annotated[int, Meta(description="Unix time in seconds")]


class LikelyToken(msgspec.Struct, kw_only=True):
    """A token that could have come, and its natural logarithm of probability."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(LikelyToken, kw_only=True):
    """A token that came, and the likeliest ones at its place."""

    top_logprobs: list[LikelyToken]


class OutputText(msgspec.Struct, tag="output_text", kw_only=True):
    """A text that the model wrote."""

    text: str
    annotations: list[Any]
    logprobs: list[TokenLogprob]


class Refusal(msgspec.Struct, tag="refusal", kw_only=True):
    """Why the model did not answer, in a turn that was sent to it."""

    refusal: str


class InputText(msgspec.Struct, tag="input_text", kw_only=True):
    """A text that the model was told."""

    text: str


class InputImage(msgspec.Struct, tag="input_image", kw_only=True):
    """An image that the model was shown: its address, or an uploaded file."""

    image_url: str | None
    detail: str
    file_id: str | None


class InputFile(msgspec.Struct, tag="input_file", kw_only=True):
    """A document that the model was given: uploaded, in the request itself, or at an address."""

    file_id: str | UnsetType = UNSET
    file_data: str | UnsetType = UNSET
    file_url: str | UnsetType = UNSET
    filename: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class SoundData(msgspec.Struct, kw_only=True):
    """Sound as base64."""

    data: str
    format: str | None


class InputSound(msgspec.Struct, tag="input_audio", kw_only=True):
    """A sound that the model was played."""

    input_audio: SoundData


class ReasoningText(msgspec.Struct, tag="reasoning_text", kw_only=True):
    """What the model thought."""

    text: str


class SummaryText(msgspec.Struct, tag="summary_text", kw_only=True):
    """What the model thought, in short."""

    text: str


Part = OutputText | Refusal | InputText | InputImage | InputSound | InputFile


class MessageItem(msgspec.Struct, tag="message", kw_only=True):
    """A message."""

    id: str
    status: ItemStatus
    role: Literal["user", "assistant", "system", "developer"]
    content: list[Part]


class ReasoningItem(msgspec.Struct, tag="reasoning", kw_only=True):
    """What the model thought."""

    id: str
    status: ItemStatus
    summary: list[SummaryText]
    content: list[ReasoningText]
    encrypted_content: str | UnsetType = UNSET


class CallItem(msgspec.Struct, tag="function_call", kw_only=True):
    """A call of a function; `arguments` is JSON text."""

    id: str
    status: ItemStatus
    call_id: str
    name: str
    arguments: str


class ResultItem(msgspec.Struct, tag="function_call_output", kw_only=True):
    """What a function gave."""

    id: str
    status: ItemStatus
    call_id: str
    output: str | list[InputText]


ShownItem = MessageItem | ReasoningItem | CallItem | ResultItem


class InputTokensDetails(msgspec.Struct, kw_only=True):
    """What is known of the prompt's tokens."""

    cached_tokens: Annotated[int, Meta(description="Tokens that were still in memory")]
    cache_write_tokens: int


class OutputTokensDetails(msgspec.Struct, kw_only=True):
    """What is known of the generated tokens."""

    reasoning_tokens: int


class Usage(msgspec.Struct, kw_only=True):
    """Token counts; the times in milliseconds come with the header `Extra-Usage`."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int
    timing_prompt_processing: float | UnsetType = UNSET
    timing_token_generation: float | UnsetType = UNSET


class Failure(msgspec.Struct, kw_only=True):
    """Why a response failed."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class IncompleteDetails(msgspec.Struct, kw_only=True):
    """Why a response is not complete."""

    reason: Literal["max_output_tokens", "content_filter"]


class ShownTool(msgspec.Struct, kw_only=True):
    """A function the model may call."""

    type: Literal["function"]
    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool


class NamedTool(msgspec.Struct, tag="function", kw_only=True):
    """The function to call."""

    name: str


class AllowedTools(msgspec.Struct, tag="allowed_tools", kw_only=True):
    """The functions that may be called."""

    mode: Literal["auto", "none", "required"]
    tools: list[NamedTool]


class ShownFormat(msgspec.Struct, kw_only=True):
    """The form of the answer; a schema has a name."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    schema: dict[str, Any] | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


class ShownText(msgspec.Struct, kw_only=True):
    """What the text of the answer should be like."""

    format: ShownFormat
    verbosity: Literal["low", "medium", "high"]


class ShownReasoning(msgspec.Struct, kw_only=True):
    """How much to think."""

    effort: str | None
    summary: str | None


class ShownConversation(msgspec.Struct, kw_only=True):
    """The conversation that the response belongs to."""

    id: str


class Response(msgspec.Struct, kw_only=True):
    """A response: how far it is, what came of it, and what was asked for."""

    id: str
    object: Literal["response"]
    created_at: UnixTime
    completed_at: UnixTime | None
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    error: Failure | None
    incomplete_details: IncompleteDetails | None
    model: str
    output: list[ShownItem]
    usage: Usage | None
    instructions: str | None
    previous_response_id: str | None
    tools: list[ShownTool]
    tool_choice: Literal["auto", "none", "required"] | NamedTool | AllowedTools
    parallel_tool_calls: bool
    max_tool_calls: int | None
    max_output_tokens: int | None
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    text: ShownText
    reasoning: ShownReasoning
    truncation: Literal["auto", "disabled"]
    metadata: dict[str, str]
    store: bool
    background: bool
    service_tier: Literal["default"]
    safety_identifier: str | None
    prompt_cache_key: str | None
    user: str | UnsetType = UNSET
    conversation: ShownConversation | UnsetType = UNSET


class Event(msgspec.Struct, kw_only=True):
    """What all events have."""

    sequence_number: int


class StateEvent(Event, kw_only=True):
    """The response as it is now."""

    response: Response


class Created(StateEvent, tag="response.created", kw_only=True):
    """The response exists."""


class Queued(StateEvent, tag="response.queued", kw_only=True):
    """The response waits in the background."""


class InProgress(StateEvent, tag="response.in_progress", kw_only=True):
    """The model answers."""


class Completed(StateEvent, tag="response.completed", kw_only=True):
    """The answer is complete."""


class Incomplete(StateEvent, tag="response.incomplete", kw_only=True):
    """The answer met a limit, or was cancelled."""


class Failed(StateEvent, tag="response.failed", kw_only=True):
    """The answer cannot go on."""


class ItemEvent(Event, kw_only=True):
    """An item of the output."""

    output_index: int
    item: ShownItem


class ItemAdded(ItemEvent, tag="response.output_item.added", kw_only=True):
    """An item begins."""


class ItemDone(ItemEvent, tag="response.output_item.done", kw_only=True):
    """An item is finished."""


class InItem(Event, kw_only=True):
    """Where in the output something is."""

    item_id: str
    output_index: int


class InPart(InItem, kw_only=True):
    """Where in an item something is."""

    content_index: int


class PartEvent(InPart, kw_only=True):
    """A part of an item."""

    part: OutputText | ReasoningText


class PartAdded(PartEvent, tag="response.content_part.added", kw_only=True):
    """A part begins."""


class PartDone(PartEvent, tag="response.content_part.done", kw_only=True):
    """A part is finished."""


class TextDelta(InPart, tag="response.output_text.delta", kw_only=True):
    """More text."""

    delta: str
    logprobs: list[TokenLogprob]


class TextDone(InPart, tag="response.output_text.done", kw_only=True):
    """The whole text."""

    text: str
    logprobs: list[TokenLogprob]


class ReasoningDelta(InPart, tag="response.reasoning_text.delta", kw_only=True):
    """More thoughts."""

    delta: str


class ReasoningDone(InPart, tag="response.reasoning_text.done", kw_only=True):
    """The whole thoughts."""

    text: str


class InSummary(InItem, kw_only=True):
    """Where in the summary of thoughts something is."""

    summary_index: int


class SummaryPartAdded(InSummary, tag="response.reasoning_summary_part.added", kw_only=True):
    """A part of the summary begins."""

    part: SummaryText


class SummaryPartDone(InSummary, tag="response.reasoning_summary_part.done", kw_only=True):
    """A part of the summary is finished."""

    part: SummaryText


class SummaryDelta(InSummary, tag="response.reasoning_summary_text.delta", kw_only=True):
    """More of the summary."""

    delta: str


class SummaryDone(InSummary, tag="response.reasoning_summary_text.done", kw_only=True):
    """A whole part of the summary."""

    text: str


class ArgumentsDelta(InItem, tag="response.function_call_arguments.delta", kw_only=True):
    """More of a call's arguments."""

    delta: str


class ArgumentsDone(InItem, tag="response.function_call_arguments.done", kw_only=True):
    """The whole arguments of a call."""

    name: str
    arguments: str


class ErrorDetails(msgspec.Struct, kw_only=True):
    """What is wrong, and what to do about it; `param` is the field, `code` the kind."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEvent(Event, tag="error", kw_only=True):
    """An error in the middle; `error` says the same again."""

    message: str
    param: str | None
    code: str | None
    error: ErrorDetails


StreamEvent = (
    Created
    | Queued
    | InProgress
    | Completed
    | Incomplete
    | Failed
    | ItemAdded
    | ItemDone
    | PartAdded
    | PartDone
    | TextDelta
    | TextDone
    | ReasoningDelta
    | ReasoningDone
    | SummaryPartAdded
    | SummaryPartDone
    | SummaryDelta
    | SummaryDone
    | ArgumentsDelta
    | ArgumentsDone
    | ErrorEvent
)


class InputTokens(msgspec.Struct, kw_only=True):
    """How many tokens a response would be made from."""

    object: Literal["response.input_tokens"]
    input_tokens: int


class DeletedResponse(msgspec.Struct, kw_only=True):
    """A response is no more."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class ItemList(msgspec.Struct, kw_only=True):
    """A page of items; the ids are empty when there are none."""

    object: Literal["list"]
    data: list[ShownItem]
    first_id: str
    last_id: str
    has_more: bool


class Conversation(msgspec.Struct, kw_only=True):
    """A conversation, without its items."""

    id: str
    object: Literal["conversation"]
    created_at: UnixTime
    metadata: dict[str, str]


class DeletedConversation(msgspec.Struct, kw_only=True):
    """A conversation is no more."""

    id: str
    object: Literal["conversation.deleted"]
    deleted: Literal[True]


class Error(msgspec.Struct, kw_only=True):
    """An error, as a body."""

    error: ErrorDetails

"""The answers, as the OpenAPI description shows them; tests hold what the encoders send against it.

A field that may be missing has the default UNSET.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType


class PromptTokensDetails(msgspec.Struct, kw_only=True):
    """What is known of the prompt's tokens."""

    cached_tokens: Annotated[int, Meta(description="Tokens that were still in memory")]
    audio_tokens: int


class CompletionTokensDetails(msgspec.Struct, kw_only=True):
    """What is known of the generated tokens."""

    reasoning_tokens: int
    audio_tokens: int


class Usage(msgspec.Struct, kw_only=True):
    """Token counts; the times in milliseconds come with the header `Extra-Usage`."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails | UnsetType = UNSET
    timing_prompt_processing: float | UnsetType = UNSET
    timing_token_generation: float | UnsetType = UNSET


class LikelyToken(msgspec.Struct, kw_only=True):
    """A token that could have come, and its natural logarithm of probability."""

    token: str
    bytes: list[int]
    logprob: float


class TokenLogprob(LikelyToken, kw_only=True):
    """A token that came, and the likeliest ones at its place."""

    top_logprobs: list[LikelyToken]


class ChatLogprobs(msgspec.Struct, kw_only=True):
    """The tokens of a message."""

    content: list[TokenLogprob]
    refusal: None


class FunctionCall(msgspec.Struct, kw_only=True):
    """A function's name, and its arguments as JSON text."""

    name: str
    arguments: str


class ToolCall(msgspec.Struct, kw_only=True):
    """A call of a tool."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class AnswerMessage(msgspec.Struct, kw_only=True):
    """What the model answered; `reasoning` and `reasoning_content` are the same."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET
    function_call: FunctionCall | UnsetType = UNSET


ChatEnd = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class ChatChoice(msgspec.Struct, kw_only=True):
    """One of `n` answers."""

    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: ChatEnd


class Head(msgspec.Struct, kw_only=True):
    """What all answers begin with."""

    id: str
    created: Annotated[int, Meta(description="Unix time in seconds")]
    model: str
    system_fingerprint: str


class ChatCompletion(Head, kw_only=True):
    """A whole answer to a conversation."""

    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    usage: Usage


class FunctionPiece(msgspec.Struct, kw_only=True):
    """A piece of a call: the name comes first and once, the arguments piece by piece."""

    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class ToolCallPiece(msgspec.Struct, kw_only=True):
    """A piece of the call at `index`; only the first has its id."""

    index: int
    function: FunctionPiece
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET


class MessagePiece(msgspec.Struct, kw_only=True):
    """A piece of a message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    tool_calls: list[ToolCallPiece] | UnsetType = UNSET
    function_call: FunctionPiece | UnsetType = UNSET


class ChatChoicePiece(msgspec.Struct, kw_only=True):
    """A piece of one of `n` answers."""

    index: int
    delta: MessagePiece
    logprobs: ChatLogprobs | None
    finish_reason: ChatEnd | None


class ChatPiece(Head, kw_only=True):
    """A piece of an answer; the last one has the usage if it was asked for, and no choices."""

    object: Literal["chat.completion.chunk"]
    choices: list[ChatChoicePiece]
    usage: Usage | UnsetType | None = UNSET


class CompletionLogprobs(msgspec.Struct, kw_only=True):
    """The tokens of a text, and where they begin in it. The first of a prompt has no probability."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


CompletionEnd = Literal["stop", "length", "content_filter"]


class CompletionChoice(msgspec.Struct, kw_only=True):
    """One of the texts."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: CompletionEnd


class CompletionChoicePiece(msgspec.Struct, kw_only=True):
    """A piece of one of the texts."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: CompletionEnd | None


class Completion(Head, kw_only=True):
    """The texts that go on from the prompts."""

    object: Literal["text_completion"]
    choices: list[CompletionChoice]
    usage: Usage


class CompletionPiece(Head, kw_only=True):
    """A piece of them; the last one has the usage if it was asked for, and no choices."""

    object: Literal["text_completion"]
    choices: list[CompletionChoicePiece]
    usage: Usage | UnsetType | None = UNSET


class EditChoice(msgspec.Struct, kw_only=True):
    """One of the changed texts."""

    index: int
    text: str


class Edit(Head, kw_only=True):
    """The changed texts."""

    object: Literal["edit"]
    choices: list[EditChoice]
    usage: Usage


class Embedding(msgspec.Struct, kw_only=True):
    """The vector of the text at `index`: numbers, or base64 of 32-bit floats."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(msgspec.Struct, kw_only=True):
    """Token counts."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, kw_only=True):
    """The vectors, in the order of the texts."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


class Model(msgspec.Struct, kw_only=True):
    """A model that can be asked."""

    id: str
    object: Literal["model"]
    created: Annotated[int, Meta(description="Unix time in seconds")]
    owned_by: str


class ModelList(msgspec.Struct, kw_only=True):
    """All models, by name."""

    object: Literal["list"]
    data: list[Model]


class ErrorDetails(msgspec.Struct, kw_only=True):
    """What is wrong, and what to do about it; `param` is the field, `code` the kind."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(msgspec.Struct, kw_only=True):
    """An error, as a body or in the middle of a stream."""

    error: ErrorDetails


class File(msgspec.Struct, kw_only=True):
    """An uploaded file."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: Annotated[int, Meta(description="Unix time in seconds")]
    expires_at: Annotated[
        int | UnsetType, Meta(description="Unix time in seconds; not there: never")
    ] = UNSET
    filename: str
    purpose: str
    status: Literal["processed"]


class FileList(msgspec.Struct, kw_only=True):
    """A page of files."""

    object: Literal["list"]
    data: list[File]
    first_id: str
    last_id: str
    has_more: bool


class DeletedFile(msgspec.Struct, kw_only=True):
    """A file is no more."""

    id: str
    object: Literal["file"]
    deleted: Literal[True]


class SpokenWord(msgspec.Struct, kw_only=True):
    """A word and when it was said, in seconds; `word` and `text` are the same."""

    word: str
    text: str
    start: float
    end: float


class SpokenSegment(msgspec.Struct, kw_only=True):
    """A stretch of speech and when it was, in seconds; an engine may leave numbers out."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float | UnsetType = UNSET
    avg_logprob: float | UnsetType = UNSET
    compression_ratio: float
    no_speech_prob: float | UnsetType = UNSET
    words: list[SpokenWord] | UnsetType = UNSET


class Duration(msgspec.Struct, kw_only=True):
    """How long the sound is."""

    type: Literal["duration"]
    seconds: int


class BriefTranscript(msgspec.Struct, kw_only=True):
    """What is said: response_format json."""

    text: str
    usage: Duration


class Transcript(msgspec.Struct, kw_only=True):
    """What is said, and when: response_format verbose_json."""

    task: Literal["transcribe", "translate"]
    language: str
    duration: float
    text: str
    usage: Duration
    segments: list[SpokenSegment] | UnsetType = UNSET
    words: list[SpokenWord] | UnsetType = UNSET


class TranscriptDelta(msgspec.Struct, tag="transcript.text.delta", kw_only=True):
    """More of what is said."""

    delta: str


class TranscriptDone(msgspec.Struct, tag="transcript.text.done", kw_only=True):
    """All that is said."""

    text: str
    language: str
    duration: float
    segments: list[SpokenSegment]
    usage: Duration
    words: list[SpokenWord] | UnsetType = UNSET


class SoundError(msgspec.Struct, tag="error", kw_only=True):
    """An error in the middle."""

    error: ErrorDetails


TranscriptEvent = TranscriptDelta | TranscriptDone | SoundError


class SpeechDelta(msgspec.Struct, tag="speech.audio.delta", kw_only=True):
    """More sound, as base64."""

    audio: str


class SpeechTokens(msgspec.Struct, kw_only=True):
    """Token counts, which local models do not have."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class SpeechDone(msgspec.Struct, tag="speech.audio.done", kw_only=True):
    """All was said."""

    usage: SpeechTokens


SpeechEvent = SpeechDelta | SpeechDone | SoundError


class ListedVoice(msgspec.Struct, kw_only=True):
    """A voice of a model."""

    id: str
    name: str
    language: str


class VoiceList(msgspec.Struct, kw_only=True):
    """All voices of a model."""

    voices: list[ListedVoice]

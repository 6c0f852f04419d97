"""Where we go beyond the published descriptions, or know better: each place with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_WHOLE = {"type": "integer"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_TIMES = {"timing_prompt_processing": _NUMBER, "timing_token_generation": _NUMBER}
_THOUGHT = {"reasoning_content": _TEXT, "reasoning": _TEXT}
_OR_NULL = {"type": "null"}

# Anthropic's reference, "Streaming messages": any number of these may come. Its client drops them.
PING: Mapping[str, Any] = {
    "type": "object",
    "properties": {"type": {"const": "ping"}},
    "required": ["type"],
}


# Anthropic's reference, "List Models" and "List Files"; its client reads both kinds of cursors.
_PAGE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "has_more": {"type": "boolean"},
        "first_id": _TEXT_OR_NULL,
        "last_id": _TEXT_OR_NULL,
        "next_page": _TEXT_OR_NULL,
    },
    "required": ["data", "has_more", "first_id", "last_id"],
}


def page_of(item: str) -> dict[str, Any]:
    """Give the schema of a list of Anthropic's."""
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{item}"}}
    return {**_PAGE, "properties": {"data": items, **_PAGE["properties"]}}


@dataclass(frozen=True, kw_only=True)
class Extension:
    """One place of a description, and what is put there.

    `path` leads from the named schema to a schema inside it. `fields` are added to its
    properties; `also` is allowed beside what it says; `instead` replaces some of its keywords.
    """

    spec: str
    schema: str
    reason: str
    path: tuple[str | int, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    also: Mapping[str, Any] = field(default_factory=dict)
    instead: Mapping[str, Any] = field(default_factory=dict)

    def add_to(self, schemas: dict[str, Any]) -> None:
        """Change the schemas of the API."""
        place = schemas[self.schema]
        for step in self.path:
            place = place[step]
        if self.fields:
            place.setdefault("properties", {}).update(self.fields)
        if self.also:
            before = dict(place)
            place.clear()
            place["anyOf"] = [before, self.also]
        place.update(self.instead)


_LOGPROBS = {"logprobs": {"type": "array", "items": {"$ref": "#/components/schemas/Logprob"}}}
_TOOL_CALLS = {"tool_calls": {"type": "array", "items": {"$ref": "#/components/schemas/ToolCall"}}}
_LAST_LINE = {
    "done_reason": _TEXT,
    "total_duration": _WHOLE,
    "load_duration": _WHOLE,
    "prompt_eval_count": _WHOLE,
    "prompt_eval_duration": _WHOLE,
    "eval_count": _WHOLE,
    "eval_duration": _WHOLE,
}
_WORDS = {"type": "array", "items": {"$ref": "#/components/schemas/TranscriptionWord"}}
_DURATION = {"$ref": "#/components/schemas/TranscriptTextUsageDuration"}
_CHOICE = ("properties", "choices", "items", "properties")

EXTENSIONS: tuple[Extension, ...] = (
    Extension(
        spec="openai",
        schema="ChatCompletionResponseMessage",
        fields=_THOUGHT,
        reason="OpenAI hides what a model thinks; these are the two names that clients look for.",
    ),
    Extension(
        spec="openai",
        schema="ChatCompletionStreamResponseDelta",
        fields=_THOUGHT,
        reason="The same in a stream.",
    ),
    Extension(
        spec="openai",
        schema="CompletionUsage",
        fields=_TIMES,
        reason="LocalAI's times, for a caller who sends the header Extra-Usage.",
    ),
    Extension(
        spec="openai",
        schema="ResponseUsage",
        fields=_TIMES,
        reason="LocalAI's times, for a caller who sends the header Extra-Usage.",
    ),
    Extension(
        spec="openai",
        schema="CreateCompletionResponse",
        path=(*_CHOICE, "finish_reason"),
        also=_OR_NULL,
        reason="A piece of a stream has none yet; the description knows whole answers only.",
    ),
    Extension(
        spec="openai",
        schema="CreateCompletionResponse",
        path=("properties", "usage"),
        also=_OR_NULL,
        reason="As in the stream of a chat: null until the last piece, if usage was asked for.",
    ),
    Extension(
        spec="openai",
        schema="CreateCompletionResponse",
        path=(*_CHOICE, "logprobs", "anyOf", 0, "properties", "token_logprobs", "items"),
        also=_OR_NULL,
        reason="Nothing stands before the first token of an echoed prompt, so it has none.",
    ),
    Extension(
        spec="openai",
        schema="CreateCompletionResponse",
        path=(*_CHOICE, "logprobs", "anyOf", 0, "properties", "top_logprobs", "items"),
        also=_OR_NULL,
        reason="Nothing stands before the first token of an echoed prompt, so it has none.",
    ),
    Extension(
        spec="openai",
        schema="Response",
        path=("allOf", 2, "properties", "usage"),
        also=_OR_NULL,
        reason="Open Responses wants the field in every response, null until it is known.",
    ),
    Extension(
        spec="openai",
        schema="Response",
        fields={
            "presence_penalty": _NUMBER,
            "frequency_penalty": _NUMBER,
            "store": {"type": "boolean"},
        },
        path=("allOf", 2),
        reason="Open Responses requires them.",
    ),
    *(
        Extension(
            spec="openai",
            schema="ResponseLogProb",
            path=path,
            fields={"bytes": {"type": "array", "items": _WHOLE}},
            reason="Open Responses requires it, and OpenAI has it in whole answers.",
        )
        for path in ((), ("properties", "top_logprobs", "items"))
    ),
    Extension(
        spec="openai",
        schema="ResponseErrorEvent",
        fields={"error": {"$ref": "#/components/schemas/Error"}},
        reason="Open Responses has the fields here, and OpenAI's servers send them here.",
    ),
    Extension(
        spec="openai",
        schema="Embedding",
        path=("properties", "embedding"),
        also=_TEXT,
        reason="With encoding_format base64, which OpenAI has too, it is text.",
    ),
    Extension(
        spec="openai",
        schema="ErrorResponse",
        fields={"type": {"const": "error"}},
        reason="Every event of a stream of sound or speech has a type; no error is described.",
    ),
    Extension(
        spec="openai",
        schema="OpenAIFile",
        path=("properties", "purpose"),
        also={"const": "evals"},
        reason="Uploads may have it, so that the object of such a file must.",
    ),
    Extension(
        spec="openai",
        schema="TranscriptionSegment",
        fields={"words": _WORDS},
        instead={"required": ["id", "seek", "start", "end", "text", "tokens"]},
        reason="What an engine does not know is left out, not made up; words as LocalAI has them.",
    ),
    Extension(
        spec="openai",
        schema="TranscriptionWord",
        fields={"text": _TEXT},
        reason="LocalAI's name for it.",
    ),
    Extension(
        spec="openai",
        schema="CreateTranscriptionResponseVerboseJson",
        fields={"task": {"enum": ["transcribe"]}},
        reason="OpenAI sends it.",
    ),
    Extension(
        spec="openai",
        schema="CreateTranslationResponseVerboseJson",
        fields={"task": {"enum": ["translate"]}, "usage": _DURATION, "words": _WORDS},
        reason="As in transcriptions.",
    ),
    Extension(
        spec="openai",
        schema="TranscriptTextDoneEvent",
        fields={
            "language": _TEXT,
            "duration": _NUMBER,
            "words": _WORDS,
            "segments": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/TranscriptionSegment"},
            },
        },
        reason="LocalAI ends a stream with everything that verbose_json has.",
    ),
    Extension(
        spec="openai",
        schema="TranscriptTextDoneEvent",
        path=("properties", "usage"),
        also=_DURATION,
        reason="As in whole answers: models that are not counted in tokens tell seconds.",
    ),
    Extension(
        spec="openresponses",
        schema="ErrorStreamingEvent",
        fields={
            "code": {"type": ["string", "null"]},
            "message": _TEXT,
            "param": {"type": ["string", "null"]},
        },
        reason="OpenAI's reference has the fields here.",
    ),
    Extension(
        spec="openresponses",
        schema="ResponseResource",
        fields={"user": _TEXT, "conversation": {"type": "object", "properties": {"id": _TEXT}}},
        reason="OpenAI has them, for a caller who sends them.",
    ),
    Extension(
        spec="openresponses",
        schema="Usage",
        fields=_TIMES,
        reason="LocalAI's times, for a caller who sends the header Extra-Usage.",
    ),
    Extension(
        spec="openresponses",
        schema="InputTokensDetails",
        fields={"cache_write_tokens": _WHOLE},
        reason="OpenAI requires it.",
    ),
    Extension(
        spec="openresponses",
        schema="ReasoningBody",
        fields={"status": {"enum": ["in_progress", "completed", "incomplete"]}},
        reason="The specification's text wants it in every item, and OpenAI has it.",
    ),
    Extension(
        spec="openresponses",
        schema="ResponseFunctionCallArgumentsDoneStreamingEvent",
        fields={"name": _TEXT},
        reason="OpenAI requires it.",
    ),
    Extension(
        spec="openresponses",
        schema="JsonSchemaResponseFormat",
        path=("properties", "schema"),
        instead={"anyOf": [{"type": "object"}, {"type": "null"}]},
        reason="The description allows nothing but null, which cannot be meant.",
    ),
    Extension(
        spec="openresponses",
        schema="ReasoningEffortEnum",
        instead={"enum": ["none", "minimal", "low", "medium", "high", "xhigh", "max"]},
        reason="OpenAI has more words.",
    ),
    *(
        Extension(
            spec="openresponses",
            schema=f"ResponseReasoning{step.capitalize()}StreamingEvent",
            path=("properties", "type"),
            instead={"enum": [f"response.reasoning_text.{step}"]},
            reason="The specification's text names events after the part, which is reasoning_text;"
            " so do OpenAI and all clients.",
        )
        for step in ("delta", "done")
    ),
    *(
        Extension(
            spec="anthropic",
            schema=schema,
            fields=_TIMES,
            reason="LocalAI's times, for a caller who sends the header Extra-Usage.",
        )
        for schema in ("Usage", "MessageDeltaUsage")
    ),
    Extension(
        spec="anthropic",
        schema="ErrorResponse",
        path=("properties", "error"),
        also={
            "type": "object",
            "properties": {"type": {"const": "request_too_large"}, "message": _TEXT},
            "required": ["type", "message"],
        },
        reason="Anthropic's reference has it for status 413; its client's types have not.",
    ),
    Extension(
        spec="ollama",
        schema="ChatStreamEvent",
        fields=_LAST_LINE | _LOGPROBS,
        reason="The description says this of whole answers only; Ollama's lines have it too.",
    ),
    Extension(
        spec="ollama",
        schema="GenerateStreamEvent",
        fields=_LOGPROBS | _TOOL_CALLS,
        reason="Ollama sends them; the description has not got them.",
    ),
    Extension(
        spec="ollama",
        schema="GenerateResponse",
        fields=_TOOL_CALLS,
        reason="Ollama sends them; the description has not got them.",
    ),
    Extension(
        spec="ollama",
        schema="ToolCall",
        fields={"id": _TEXT},
        reason="Ollama sends it, and its clients send it back; the description has not got it.",
    ),
    Extension(
        spec="ollama",
        schema="ToolCall",
        path=("properties", "function"),
        fields={"index": _WHOLE},
        reason="Ollama sends it; the description has not got it.",
    ),
    Extension(
        spec="ollama",
        schema="ModelSummary",
        fields={"capabilities": {"type": "array", "items": _TEXT}},
        reason="Ollama sends it; the description has not got it.",
    ),
    Extension(
        spec="ollama",
        schema="ModelSummary",
        path=("properties", "details"),
        fields={"parent_model": _TEXT},
        reason="Ollama sends it; the description has not got it.",
    ),
    Extension(
        spec="ollama",
        schema="ShowResponse",
        fields={
            "modelfile": _TEXT,
            "system": _TEXT,
            "messages": {
                "type": "array",
                "items": {"type": "object", "properties": {"role": _TEXT, "content": _TEXT}},
            },
        },
        reason="Ollama sends it; the description has not got it.",
    ),
)

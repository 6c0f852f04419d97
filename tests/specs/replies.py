"""Which published schema each of our answers has to obey, and the check of whole HTTP answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.specs.books import judge

BY_TYPE = "the schema for its type"


class Answer(NamedTuple):
    """A description, its schema of a whole answer, and that of the pieces of a stream."""

    spec: str
    whole: str
    piece: str = ""


_RESPONSE = (
    Answer("openai", "Response", BY_TYPE),
    Answer("openresponses", "ResponseResource", BY_TYPE),
)
_ITEMS = (Answer("openai", "ConversationItemList"),)
_CONVERSATION = (Answer("openai", "ConversationResource"),)

# Paths are written as in /openapi.json.
ANSWERS: Mapping[str, tuple[Answer, ...]] = {
    "POST /v1/chat/completions": (
        Answer("openai", "CreateChatCompletionResponse", "CreateChatCompletionStreamResponse"),
    ),
    "POST /v1/completions": (
        Answer("openai", "CreateCompletionResponse", "CreateCompletionResponse"),
    ),
    "POST /v1/embeddings": (Answer("openai", "CreateEmbeddingResponse"),),
    "GET /v1/models": (Answer("openai", "ListModelsResponse"),),
    "GET /v1/models/{model}": (Answer("openai", "Model"),),
    "POST /v1/messages": (Answer("anthropic", "Message", BY_TYPE),),
    "POST /v1/messages/count_tokens": (Answer("anthropic", "MessageTokensCount"),),
    "POST /v1/responses": _RESPONSE,
    "GET /v1/responses/{response_id}": _RESPONSE,
    "POST /v1/responses/{response_id}/cancel": _RESPONSE,
    "GET /v1/responses/{response_id}/input_items": (Answer("openai", "ResponseItemList"),),
    "POST /v1/conversations": _CONVERSATION,
    "GET /v1/conversations/{conversation_id}": _CONVERSATION,
    "POST /v1/conversations/{conversation_id}": _CONVERSATION,
    "DELETE /v1/conversations/{conversation_id}": (
        Answer("openai", "DeletedConversationResource"),
    ),
    "GET /v1/conversations/{conversation_id}/items": _ITEMS,
    "POST /v1/conversations/{conversation_id}/items": _ITEMS,
    "GET /v1/conversations/{conversation_id}/items/{item_id}": (
        Answer("openai", "ConversationItem"),
    ),
    "DELETE /v1/conversations/{conversation_id}/items/{item_id}": _CONVERSATION,
    "POST /api/chat": (Answer("ollama", "ChatResponse", "ChatStreamEvent"),),
    "POST /api/generate": (Answer("ollama", "GenerateResponse", "GenerateStreamEvent"),),
    "POST /api/embed": (Answer("ollama", "EmbedResponse"),),
    "POST /api/show": (Answer("ollama", "ShowResponse"),),
    "GET /api/tags": (Answer("ollama", "ListResponse"),),
    "GET /api/ps": (Answer("ollama", "PsResponse"),),
    "GET /api/version": (Answer("ollama", "VersionResponse"),),
}

# Paths for which nobody publishes a description that we could use, and why.
UNPUBLISHED: Mapping[str, str] = {
    "POST /v1/edits": "OpenAI took it back, and its description with it",
    "DELETE /v1/responses/{response_id}": "OpenAI's description has no schema for it",
    "POST /api/embeddings": "Ollama's description has only the newer form",
    "POST /v1/rerank": "Jina publishes no description under a free license",
    "POST /v2/rerank": "Cohere publishes no description under a free license",
    "POST /v1/tokenize": "LocalAI's own",
    "POST /v1/detokenize": "LocalAI's own",
    "GET /readyz": "our own",
    "GET /version": "our own",
    "GET /openapi.json": "our own",
}


def _pattern(path: str) -> re.Pattern[str]:
    """The addresses of a path: also without /v1, also below an engine."""
    given = re.sub(r"\{\w+\}", r"[^/]+", path).replace("/models/[^/]+", "/models/.+")
    return re.compile(given.replace("/v1/", r"/(?:v1/)?(?:engines/.+/)?", 1) + "/?")


_PATTERNS = {key: _pattern(key.partition(" ")[2]) for key in ANSWERS}


def answers_of(method: str, path: str) -> tuple[Answer, ...]:
    """What the answer to a request has to be; nothing for what is not published."""
    for key, pattern in _PATTERNS.items():
        if key.startswith(f"{method} ") and pattern.fullmatch(path):
            return ANSWERS[key]
    return ()


def check_reply(method: str, path: str, status: int, content_type: str, body: bytes) -> None:
    """Raise AssertionError unless the answer is what the description of its API says."""
    path = path.partition("?")[0]
    if path == "/readyz":  # says why not in a form of its own
        return
    kind = content_type.partition(";")[0]
    answers = answers_of(method, path)
    if status >= 400:
        if body:  # none to HEAD, and none with --opaque-errors
            assert kind == "application/json", f"an error is {kind}"
            error = json.loads(body)
            for spec in {answer.spec for answer in answers if answer.spec != "openresponses"} or {
                _speller(path)
            }:
                judge(spec).check("ErrorResponse", error)
        return
    for answer in answers:
        if kind == "application/json":
            judge(answer.spec).check(answer.whole, json.loads(body))
            continue
        assert answer.piece, f"{path} does not stream"
        lines = kind == "application/x-ndjson"
        assert lines == (answer.spec == "ollama"), f"a stream is {kind}"
        for piece in ndjson_pieces(body) if lines else sse_pieces(body):
            check_piece(answer, piece)


def check_piece(answer: Answer, piece: Any) -> None:
    """Raise AssertionError unless a piece of a stream is what its description says."""
    judge(answer.spec).check(schema_of(answer, piece), piece)


def schema_of(answer: Answer, piece: Any) -> str:
    """The name of the schema that a piece of a stream has to obey."""
    if answer.piece == BY_TYPE:
        return judge(answer.spec).event(piece["type"])
    return "ErrorResponse" if "error" in piece else answer.piece


def ndjson_pieces(body: bytes) -> Iterator[Any]:
    """The lines of a stream that came whole."""
    *lines, _ = body.split(b"\n")
    yield from (json.loads(line) for line in lines)


def sse_pieces(body: bytes) -> Iterator[Any]:
    """The events of a stream that came whole, but for comments and the mark of the end."""
    *frames, _ = body.split(b"\n\n")
    for frame in frames:
        name, data = b"", b""
        for line in frame.split(b"\n"):
            key, _, value = line.partition(b":")
            assert key in {b"event", b"data", b""}, f"not a field of an event: {line[:100]!r}"
            value = value.removeprefix(b" ")
            name = value if key == b"event" else name
            data = value if key == b"data" else data
        if data and data != b"[DONE]":
            piece = json.loads(data)
            assert not name or name.decode() == piece["type"]
            yield piece


def _speller(path: str) -> str:
    if path.startswith("/api/"):
        return "ollama"
    return "anthropic" if re.match(r"/(v1/)?messages", path) else "openai"

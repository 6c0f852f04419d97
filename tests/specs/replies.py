"""Which published schema each of our answers has to obey, and the check of whole HTTP answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from localai.http.answers import NDJSON, SSE
from tests.specs.books import judge
from tests.specs.own import description
from tests.specs.pieces import ndjson_pieces, sse_pieces

LEAST_ERROR = 400
BY_TYPE = "the schema for its type"


class Answer(NamedTuple):
    """A description, its schema of a whole answer, and that of the pieces of a stream.

    Where a path has several answers, `has` and `lacks` are fields that tell which one it is.
    """

    spec: str
    whole: str
    piece: str = ""
    has: str = ""
    lacks: str = ""


_RESPONSE = (
    Answer("openai", "Response", BY_TYPE),
    Answer("openresponses", "ResponseResource", BY_TYPE),
)
_ITEMS = (Answer("openai", "ConversationItemList"),)
_FILE = (
    Answer("openai", "OpenAIFile", has="object"),
    Answer("anthropic", "FileMetadata", lacks="object"),
)
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
    "GET /v1/models": (
        Answer("openai", "ListModelsResponse", has="object"),
        Answer("anthropic", "ModelPage", lacks="object"),
    ),
    "GET /v1/models/{model}": (
        Answer("openai", "Model", has="object"),
        Answer("anthropic", "ModelInfo", lacks="object"),
    ),
    "POST /v1/files": _FILE,
    "GET /v1/files": (
        Answer("openai", "ListFilesResponse", has="object"),
        Answer("anthropic", "FilePage", lacks="object"),
    ),
    "GET /v1/files/{file_id}": _FILE,
    "DELETE /v1/files/{file_id}": (
        Answer("openai", "DeleteFileResponse", has="object"),
        Answer("anthropic", "DeletedFile", lacks="object"),
    ),
    "POST /v1/audio/transcriptions": (
        Answer("openai", "CreateTranscriptionResponseJson", lacks="task"),
        Answer("openai", "CreateTranscriptionResponseVerboseJson", BY_TYPE, has="task"),
    ),
    "POST /v1/audio/translations": (
        Answer("openai", "CreateTranscriptionResponseJson", lacks="task"),
        Answer("openai", "CreateTranslationResponseVerboseJson", BY_TYPE, has="task"),
    ),
    "POST /v1/audio/speech": (Answer("openai", "", BY_TYPE),),
    "POST /v1/responses/input_tokens": (Answer("openai", "TokenCountsResource"),),
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
    "POST /api/pull": "what we keep of Ollama's description leaves its downloads out",
    "POST /api/create": "the same",
    "POST /api/push": "it is refused",
    "POST /tts": "LocalAI's own",
    "POST /v1/vad": "LocalAI's own",
    "GET /v1/audio/voices": "nobody's in particular",
    "POST /v1/rerank": "Jina publishes no description under a free license",
    "POST /v2/rerank": "Cohere publishes no description under a free license",
}


OURS = {"Tokens", "Backends", "Galleries", "Models", "System", "ElevenLabs"}
"""Tags of operations that are LocalAI's or our own, and of an API that has no free description."""


WITHOUT = {"ElevenLabs", "System"}
"""Tags of operations whose errors have a form that nobody else describes."""


class Reply(NamedTuple):
    """An answer as it is sent. `kind` is its media type; the body may be only begun."""

    method: str
    path: str
    status: int
    kind: str
    body: bytes


class Sent(NamedTuple):
    """A value that we send, and the schema of a description that it has to obey."""

    spec: str
    schema: str
    value: Any


def check_reply(reply: Reply) -> None:
    """Raise AssertionError unless an answer is what its API's description and our own say."""
    description().check(*reply)
    for spec, schema, value in published(reply):
        judge(spec).check(schema, value)


def published(reply: Reply) -> Iterator[Sent]:
    """What an answer holds that somebody else describes."""
    operation = description().find(reply.method, reply.path)
    if reply.status < LEAST_ERROR:
        for answer in ANSWERS.get(operation.name, ()) if operation else ():
            yield from _values(answer, reply)
    elif reply.body and not (operation and operation.described["tags"][0] in WITHOUT):
        assert reply.kind == "application/json", f"an error is {reply.kind}"
        error = json.loads(reply.body)
        yield Sent(_speller(reply.path, error), "ErrorResponse", error)


def _values(answer: Answer, reply: Reply) -> Iterator[Sent]:
    if reply.kind == "application/json":
        value = json.loads(reply.body)
        if (not answer.has or answer.has in value) and answer.lacks not in value:
            yield Sent(answer.spec, answer.whole, value)
        return
    if reply.kind not in {SSE, NDJSON} or not answer.piece:
        return
    pieces = ndjson_pieces(reply.body) if reply.kind == NDJSON else sse_pieces(reply.body)
    for piece in pieces:
        yield Sent(answer.spec, _schema_of(answer, piece, reply.path), piece)


def _schema_of(answer: Answer, piece: Any, path: str) -> str:
    """The name of the schema that a piece of a stream has to obey."""
    is_sound = "/audio/" in path  # whose streams have no described error
    if answer.piece == BY_TYPE and not (is_sound and piece["type"] == "error"):
        return judge(answer.spec).event(piece["type"])
    return "ErrorResponse" if "error" in piece else answer.piece


def _speller(path: str, error: Any) -> str:
    if path.startswith("/api/"):
        return "ollama"
    if re.match(r"/(v1/)?messages", path):
        return "anthropic"
    is_shared = re.match(r"/(v1/)?(files|models)", path)
    return "anthropic" if is_shared and "type" in error else "openai"

"""What every route answers: the types of its answers, its errors, what may stand behind `?`.

`/openapi.json` shows it, and tests hold every answer that they get against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from localai.dialects import anthropic, ollama, openai, openresponses
from localai.dialects.anthropic import replies as of_anthropic
from localai.dialects.native import replies as of_native
from localai.dialects.ollama import replies as of_ollama
from localai.dialects.openai import replies as of_openai
from localai.dialects.openresponses import MOST_LISTED
from localai.dialects.openresponses import replies as of_openresponses
from localai.dialects.rerank import replies as of_rerank
from localai.domain.error_fields import error_from_fields

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"

_NOBODY = frozenset({"not_authorized"})
_READS = frozenset({"invalid_request", "body_too_large", "body_incomplete"})
_RUNS = frozenset(
    {
        *("model_not_found", "model_disabled", "unsupported", "context_too_long", "fetch_failed"),
        *("queue_full", "cooling_down", "out_of_memory", "timed_out", "shutting_down"),
        *("start_failed", "crashed", "engine_failed", "backend_not_installed", "spec_invalid"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One field of an address, behind `?`. `schema` is its JSON Schema."""

    name: str
    schema: Mapping[str, Any]
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The types of what a route sends: a whole answer, each piece of a stream, an error.

    `fails` are the kinds of errors, besides those that every route has. `spell` is the dialect's
    function from an error to its reply. `others` are answers that have a status of their own.
    """

    whole: Any
    piece: Any = None
    error: Any = of_openai.Error
    spell: Any = field(default=openai.error_reply, repr=False)
    stream_type: str = SSE
    query: tuple[Query, ...] = ()
    fails: frozenset[str] = frozenset()
    others: Mapping[int, tuple[str, Any]] = field(default_factory=dict)

    def statuses(self, method: str) -> Mapping[int, list[str]]:
        """The kinds of errors by their status."""
        kinds = self.fails | _NOBODY | ({"cross_site"} if method != "GET" else set())
        found: dict[int, list[str]] = {}
        for kind in sorted(kinds):
            status = self.spell(error_from_fields(kind, "", "", {})).status
            found.setdefault(status, []).append(kind)
        return dict(sorted(found.items()))


_FILTER = Query(
    name="filter",
    schema={"type": "string", "maxLength": 200},
    description="A regular expression, in Go's syntax, that names of models match",
)
_STREAM = (
    Query(name="stream", schema={"type": "boolean"}, description="Show it as its events"),
    Query(
        name="starting_after",
        schema={"type": "integer"},
        description="Begin after the event of this number",
    ),
)
_PAGE = (
    Query(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": 20},
        description="How many",
    ),
    Query(
        name="order",
        schema={"enum": ["asc", "desc"], "default": "desc"},
        description="Oldest or newest first",
    ),
    Query(name="after", schema={"type": "string"}, description="Only those behind this item"),
)

_asked = Answers(whole=None, fails=_READS | _RUNS)
_anthropic = replace(_asked, error=of_anthropic.Error, spell=anthropic.error_reply)
_ollama = replace(_asked, error=of_ollama.Error, spell=ollama.error_reply, stream_type=NDJSON)
_response = Answers(
    whole=of_openresponses.Response,
    piece=of_openresponses.StreamEvent,
    error=of_openresponses.Error,
    spell=openresponses.error_reply,
    fails=_READS | _RUNS | {"not_stored"},
)
_kept = replace(_response, piece=None, fails=frozenset({"not_stored"}))
_page = replace(
    _kept,
    whole=of_openresponses.ItemList,
    query=_PAGE,
    fails=frozenset({"not_stored", "invalid_request"}),
)
_talk = replace(_kept, whole=of_openresponses.Conversation)
_told = _kept.fails | _READS

_ONE, _TALK = "/v1/responses/{response_id}", "/v1/conversations/{conversation_id}"

ANSWERS: Mapping[str, Answers] = {
    "POST /v1/chat/completions": replace(
        _asked, whole=of_openai.ChatCompletion, piece=of_openai.ChatPiece
    ),
    "POST /v1/completions": replace(
        _asked, whole=of_openai.Completion, piece=of_openai.CompletionPiece
    ),
    "POST /v1/edits": replace(_asked, whole=of_openai.Edit),
    "POST /v1/embeddings": replace(_asked, whole=of_openai.EmbeddingList),
    "GET /v1/models": Answers(
        whole=of_openai.ModelList, query=(_FILTER,), fails=frozenset({"invalid_request"})
    ),
    "GET /v1/models/{model}": Answers(whole=of_openai.Model, fails=frozenset({"model_not_found"})),
    "POST /v1/messages": replace(
        _anthropic, whole=of_anthropic.Message, piece=of_anthropic.StreamEvent
    ),
    "POST /v1/messages/count_tokens": replace(_anthropic, whole=of_anthropic.TokenCount),
    "POST /v1/responses": _response,
    f"GET {_ONE}": replace(
        _response,
        query=_STREAM,
        fails=frozenset({"not_stored", "events_dropped", "invalid_request"}),
    ),
    f"DELETE {_ONE}": replace(_kept, whole=of_openresponses.DeletedResponse),
    f"POST {_ONE}/cancel": replace(_kept, fails=frozenset({"not_stored", "invalid_request"})),
    f"GET {_ONE}/input_items": _page,
    "POST /v1/conversations": replace(_talk, fails=_READS),
    f"GET {_TALK}": _talk,
    f"POST {_TALK}": replace(_talk, fails=_told),
    f"DELETE {_TALK}": replace(_kept, whole=of_openresponses.DeletedConversation),
    f"GET {_TALK}/items": _page,
    f"POST {_TALK}/items": replace(_page, query=(), fails=_told),
    f"GET {_TALK}/items/{{item_id}}": replace(_kept, whole=of_openresponses.ShownItem),
    f"DELETE {_TALK}/items/{{item_id}}": _talk,
    "POST /api/chat": replace(_ollama, whole=of_ollama.ChatLine, piece=of_ollama.ChatLine),
    "POST /api/generate": replace(
        _ollama, whole=of_ollama.GenerateLine, piece=of_ollama.GenerateLine
    ),
    "POST /api/embed": replace(_ollama, whole=of_ollama.Vectors),
    "POST /api/embeddings": replace(_ollama, whole=of_ollama.Vector),
    "POST /api/show": replace(
        _ollama, whole=of_ollama.ShownModel, fails=_READS | {"model_not_found"}
    ),
    "GET /api/tags": replace(_ollama, whole=of_ollama.ModelList, fails=frozenset()),
    "GET /api/ps": replace(_ollama, whole=of_ollama.LoadedModelList, fails=frozenset()),
    "GET /api/version": replace(_ollama, whole=of_ollama.Version, fails=frozenset()),
    "POST /v1/rerank": replace(_asked, whole=of_rerank.JinaRanking),
    "POST /v2/rerank": replace(_asked, whole=of_rerank.CohereRanking),
    "POST /v1/tokenize": replace(_asked, whole=of_native.TokenIds),
    "POST /v1/detokenize": replace(_asked, whole=of_native.PlainText),
    "GET /": replace(_ollama, whole=str, fails=frozenset()),
    "GET /version": Answers(whole=of_native.Version),
    "GET /healthz": Answers(whole=str),
    "GET /readyz": Answers(whole=str, others={503: ("Not yet", of_native.NotReady)}),
    "GET /openapi.json": Answers(whole=dict[str, Any]),
    "GET /docs": Answers(whole=str),
    "GET /metrics": Answers(whole=str),
}

"""What every route answers: the types of its answers, its errors, what may stand behind `?`.

`/openapi.json` shows it, and tests hold every answer that they get against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from localai.dialects import anthropic, elevenlabs, ollama, openai, openresponses
from localai.dialects.anthropic import replies as of_anthropic
from localai.dialects.elevenlabs import DEFAULT_FORMAT, OUTPUT_FORMATS
from localai.dialects.elevenlabs import replies as of_elevenlabs
from localai.dialects.native import management_replies as of_management
from localai.dialects.native import replies as of_native
from localai.dialects.ollama import replies as of_ollama
from localai.dialects.openai import replies as of_openai
from localai.dialects.openresponses import MOST_LISTED
from localai.dialects.openresponses import replies as of_openresponses
from localai.dialects.rerank import replies as of_rerank
from localai.domain.error_fields import error_from_fields
from localai.http.backends import spell_backend_error

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"

_NOBODY = frozenset({"not_authorized"})
_READS = frozenset({"invalid_request", "body_too_large", "body_incomplete"})
_UPLOADS = _READS | {"file_too_large", "storage_full"}
_DOCUMENTS = frozenset({"not_stored", "document_unreadable", "file_too_large"})
_INSTALLS = frozenset(
    {
        *("source_not_found", "source_forbidden", "entry_not_found", "gallery_failed"),
        *("download_failed", "storage_full", "checksum_mismatch", "unsupported"),
    }
)
_RUNS = frozenset(
    {
        *("model_not_found", "model_disabled", "unsupported", "context_too_long", "fetch_failed"),
        *("queue_full", "cooling_down", "out_of_memory", "timed_out", "shutting_down"),
        *("download_failed", "source_forbidden", "storage_full", "checksum_mismatch"),  # autoload
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

    Of several types one is sent: two APIs can have one path. `kinds` are media types of answers
    that are no JSON.
    `fails` are the kinds of errors, besides those that every route has. `spell` is the dialect's
    function from an error to its reply. `others` are answers that have a status of their own.
    """

    whole: Any
    piece: Any = None
    error: Any = of_openai.Error
    kinds: tuple[str, ...] = ()
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


_SEARCH = Query(
    name="search",
    schema={"type": "string", "maxLength": 200},
    description="Words that the name, the tags or the description must have",
)
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

_VOICES_OF = Query(name="model", schema={"type": "string"}, description="Whose voices")
_OUTPUT_FORMAT = Query(
    name="output_format",
    schema={"enum": list(OUTPUT_FORMATS), "default": DEFAULT_FORMAT},
    description="Codec, samples a second, and kilobits a second",
)
_NO_VOICE = ("model_not_found, or there is no such voice", of_elevenlabs.Error)
_FILES = (
    Query(name="limit", schema={"type": "integer", "minimum": 1}, description="How many"),
    Query(
        name="order",
        schema={"enum": ["asc", "desc"], "default": "desc"},
        description="Oldest or newest first",
    ),
    Query(name="after", schema={"type": "string"}, description="Only those behind this file"),
    Query(name="purpose", schema={"type": "string"}, description="Only those of this purpose"),
)

_asked = Answers(whole=None, fails=_READS | _RUNS)
_with_documents = replace(_asked, fails=_asked.fails | _DOCUMENTS)
_anthropic = replace(_with_documents, error=of_anthropic.Error, spell=anthropic.error_reply)
_ollama = replace(_asked, error=of_ollama.Error, spell=ollama.error_reply, stream_type=NDJSON)
_both = (of_openai.Error, of_anthropic.Error)
_file = Answers(
    whole=(of_openai.File, of_anthropic.File), error=_both, fails=frozenset({"not_stored"})
)
_heard = replace(
    _asked,
    whole=(of_openai.BriefTranscript, of_openai.Transcript),
    piece=of_openai.TranscriptEvent,
    kinds=("text/plain", "text/vtt"),
    fails=_UPLOADS | _RUNS,
)
_elevenlabs = replace(_asked, error=of_elevenlabs.Error, spell=elevenlabs.error_reply)
_response = Answers(
    whole=of_openresponses.Response,
    piece=of_openresponses.StreamEvent,
    error=of_openresponses.Error,
    spell=openresponses.error_reply,
    fails=_READS | _RUNS | _DOCUMENTS,
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

_job = Answers(whole=of_management.JobStatus, fails=frozenset({"job_not_found"}))
_started = Answers(whole=of_management.JobStarted, fails=_READS | {"model_not_found"})
_changed = Answers(
    whole=of_management.Changed, fails=_READS | {"model_not_found", "spec_invalid", "storage_full"}
)
_engines = Answers(whole=None, spell=spell_backend_error)
_engine_job = replace(
    _engines,
    whole=of_management.JobStarted,
    fails=_READS | {"backend_not_installed", "install_busy", "install_failed", "unsupported"},
)

_ONE, _TALK = "/v1/responses/{response_id}", "/v1/conversations/{conversation_id}"

ANSWERS: Mapping[str, Answers] = {
    "POST /v1/chat/completions": replace(
        _with_documents, whole=of_openai.ChatCompletion, piece=of_openai.ChatPiece
    ),
    "POST /v1/completions": replace(
        _asked, whole=of_openai.Completion, piece=of_openai.CompletionPiece
    ),
    "POST /v1/edits": replace(_asked, whole=of_openai.Edit),
    "POST /v1/embeddings": replace(_asked, whole=of_openai.EmbeddingList),
    "GET /models/available": Answers(
        whole=list[of_native.AvailableModel], query=(_SEARCH,), fails=frozenset()
    ),
    "GET /models/galleries": Answers(whole=list[of_native.GalleryPlace]),
    "GET /v1/models": Answers(
        whole=(of_openai.ModelList, of_anthropic.ModelList),
        error=_both,
        query=(_FILTER,),
        fails=frozenset({"invalid_request"}),
    ),
    "GET /v1/models/{model}": Answers(
        whole=(of_openai.Model, of_anthropic.Model),
        error=_both,
        fails=frozenset({"model_not_found"}),
    ),
    "POST /v1/files": replace(_file, fails=_UPLOADS),
    "GET /v1/files": replace(
        _file,
        whole=(of_openai.FileList, of_anthropic.FileList),
        query=_FILES,
        fails=frozenset({"invalid_request", "not_stored"}),
    ),
    "GET /v1/files/{file_id}": _file,
    "GET /v1/files/{file_id}/content": replace(_file, whole=str),
    "DELETE /v1/files/{file_id}": replace(
        _file, whole=(of_openai.DeletedFile, of_anthropic.DeletedFile)
    ),
    "POST /v1/audio/transcriptions": _heard,
    "POST /v1/audio/translations": _heard,
    "POST /v1/audio/speech": replace(_asked, whole=str, piece=of_openai.SpeechEvent),
    "POST /tts": replace(_asked, whole=str, piece=of_openai.SpeechEvent),
    "GET /v1/audio/voices": replace(
        _asked, whole=of_openai.VoiceList, query=(_VOICES_OF,), fails=_RUNS
    ),
    "POST /v1/vad": replace(_asked, whole=of_native.SpeechSpans, fails=_UPLOADS | _RUNS),
    "POST /v1/text-to-speech/{voice_id}": replace(
        _elevenlabs, whole=str, query=(_OUTPUT_FORMAT,), others={404: _NO_VOICE}
    ),
    "POST /v1/text-to-speech/{voice_id}/stream": replace(
        _elevenlabs, whole=str, query=(_OUTPUT_FORMAT,), others={404: _NO_VOICE}
    ),
    "GET /v1/voices": replace(
        _elevenlabs, whole=of_elevenlabs.VoiceList, query=(_VOICES_OF,), fails=_RUNS
    ),
    "GET /v2/voices": replace(
        _elevenlabs, whole=of_elevenlabs.VoiceList, query=(_VOICES_OF,), fails=_RUNS
    ),
    "GET /v1/voices/{voice_id}": replace(
        _elevenlabs, whole=of_elevenlabs.Voice, query=(_VOICES_OF,), fails=_RUNS
    ),
    "POST /v1/messages": replace(
        _anthropic, whole=of_anthropic.Message, piece=of_anthropic.StreamEvent
    ),
    "POST /v1/messages/count_tokens": replace(_anthropic, whole=of_anthropic.TokenCount),
    "POST /v1/responses": _response,
    "POST /v1/responses/input_tokens": replace(
        _response, whole=of_openresponses.InputTokens, piece=None
    ),
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
    "GET /models/jobs": replace(_job, whole=dict[str, of_management.JobStatus], fails=frozenset()),
    "GET /models/jobs/{job_id}": _job,
    "POST /models/jobs/{job_id}/cancel": _job,
    "POST /models/jobs/{job_id}/pause": _job,
    "POST /models/jobs/{job_id}/resume": _job,
    "GET /models/edit/{name}": Answers(
        whole=str, fails=frozenset({"model_not_found", "invalid_request"})
    ),
    "POST /models/edit/{name}": _changed,
    "POST /models/import": _changed,
    "PUT /models/toggle-state/{name}/{action}": _changed,
    "PUT /models/toggle-pinned/{name}/{action}": _changed,
    "POST /models/apply": _started,
    "POST /models/import-uri": _started,
    "POST /models/delete/{name}": _started,
    "POST /models/reload": Answers(whole=of_management.Reloaded),
    "GET /api/aliases": Answers(whole=dict[str, str]),
    "GET /backends": replace(_engines, whole=list[of_management.InstalledBackend]),
    "GET /backends/available": replace(_engines, whole=list[of_management.Backend]),
    "GET /backends/known": replace(_engines, whole=list[of_management.Backend]),
    "GET /backends/galleries": replace(_engines, whole=list[of_management.BackendPlace]),
    "GET /backends/upgrades": replace(_engines, whole=dict[str, of_management.BackendUpgrade]),
    "POST /backends/upgrades/check": replace(
        _engines, whole=dict[str, of_management.BackendUpgrade]
    ),
    "GET /backends/jobs": replace(_engines, whole=dict[str, of_management.JobStatus]),
    "GET /backends/jobs/{job_id}": replace(_job, spell=spell_backend_error),
    "POST /backends/jobs/{job_id}/cancel": replace(_job, spell=spell_backend_error),
    "POST /backends/apply": _engine_job,
    "POST /backends/delete/{name}": _engine_job,
    "POST /backends/upgrade/{name}": _engine_job,
    "POST /api/chat": replace(_ollama, whole=of_ollama.ChatLine, piece=of_ollama.ChatLine),
    "POST /api/generate": replace(
        _ollama, whole=of_ollama.GenerateLine, piece=of_ollama.GenerateLine
    ),
    "POST /api/embed": replace(_ollama, whole=of_ollama.Vectors),
    "POST /api/embeddings": replace(_ollama, whole=of_ollama.Vector),
    "POST /api/pull": replace(
        _ollama, whole=of_ollama.PullLine, piece=of_ollama.PullLine, fails=_READS | _INSTALLS
    ),
    "POST /api/copy": replace(
        _ollama, whole=str, fails=_READS | {"model_not_found", "spec_invalid"}
    ),
    "POST /api/create": replace(
        _ollama,
        whole=of_ollama.PullLine,
        piece=of_ollama.PullLine,
        fails=_READS | _INSTALLS | {"model_not_found", "not_stored"},
    ),
    "POST /api/push": replace(_ollama, whole=of_ollama.PullLine, fails=frozenset({"unsupported"})),
    "HEAD /api/blobs/{digest}": replace(
        _ollama,
        whole=str,
        fails=frozenset({"invalid_request"}),
        others={404: ("It is not there", of_ollama.Error)},
    ),
    "POST /api/blobs/{digest}": replace(
        _ollama, whole=str, fails=_UPLOADS, others={201: ("It was taken", str)}
    ),
    "DELETE /api/delete": replace(_ollama, whole=str, fails=_READS | {"model_not_found"}),
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
    "GET /system": Answers(whole=of_native.SystemReport),
    "GET /version": Answers(whole=of_native.Version),
    "GET /healthz": Answers(whole=str),
    "GET /readyz": Answers(whole=str, others={503: ("Not yet", of_native.NotReady)}),
    "GET /openapi.json": Answers(whole=dict[str, Any]),
    "GET /docs": Answers(whole=str),
    "GET /metrics": Answers(whole=str),
}

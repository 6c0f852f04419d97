"""One table of everything this server answers: method, path, endpoint, documentation.

Starlette's routes and `/openapi.json` are both made from it. Every path under `/v1` exists
without the prefix too, as LocalAI's users expect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from starlette.routing import Route

from localai.dialects import anthropic, elevenlabs, native, ollama, openai, openresponses, rerank
from localai.dialects.anthropic.requests import MessagesBody, PromptBody
from localai.dialects.ollama.requests import ChatBody as OllamaChatBody
from localai.dialects.ollama.requests import EmbedBody as OllamaEmbedBody
from localai.dialects.ollama.requests import GenerateBody as OllamaGenerateBody
from localai.dialects.ollama.requests import ShowBody as OllamaShowBody
from localai.dialects.openai.embeddings import EmbeddingsBody, EmbeddingsEndpoint
from localai.dialects.openai.requests import ChatBody, CompletionBody, EditBody
from localai.dialects.openai.speech import SpeechBody
from localai.dialects.openai.transcriptions import TranscriptionForm
from localai.http.audio import HearingRoute, SpeakingRoute, VadRoute
from localai.http.files import Files
from localai.http.generation import GenerationRoute
from localai.http.management import backend_rows, gallery_rows, model_rows, ollama_rows
from localai.http.ollama import OllamaEmbedRoute, OllamaEndpoints, OllamaRoute
from localai.http.one_shot import CountRoute, OneShotRoute
from localai.http.responses import CountInputRoute, CreateRoute, GetRoute, Kept
from localai.http.rows import RouteRow
from localai.http.services import Services
from localai.http.system import SystemEndpoints
from localai.http.voices import VoiceEndpoints

_PREFIX = "/v1"
_JSON = "application/json"
_AUDIO = "audio/*"
_UNDER_ENGINES = frozenset({"/v1/completions", "/v1/embeddings"})


def table(services: Services) -> tuple[RouteRow, ...]:
    """Every operation, the aliases without `/v1` and below `/v1/engines/{model}` included."""
    listed = (
        *model_rows(services),
        *gallery_rows(services),  # before the models, whose names may be any word
        *_openai(services),
        *_anthropic(services),
        *_responses(services),
        *_files(services),
        *_ollama(services),
        *ollama_rows(services),
        *_audio(services),
        *_elevenlabs(services),
        *_ranking(services),
        *_tokens(services),
        *backend_rows(services),
        *_system(services),
    )
    return tuple(row for shown in listed for row in _with_aliases(shown))


def routes(rows: tuple[RouteRow, ...]) -> list[Route]:
    """The table as Starlette's routes; a GET answers HEAD as well."""
    return [
        Route(row.path, row.endpoint, methods=[row.method], name=row.name or None) for row in rows
    ]


def _openai(services: Services) -> Iterator[RouteRow]:
    system = SystemEndpoints(services)
    post = RouteRow(method="POST", path="", endpoint=None, summary="", tag="OpenAI")
    get = replace(post, method="GET")
    yield replace(
        post,
        path="/v1/chat/completions",
        endpoint=GenerationRoute(openai.ChatEndpoint(), services),
        summary="Answer a conversation",
        body=ChatBody,
    )
    yield replace(
        post,
        path="/v1/completions",
        endpoint=GenerationRoute(openai.CompletionEndpoint(), services),
        summary="Go on from a text",
        body=CompletionBody,
    )
    yield replace(
        post,
        path="/v1/edits",
        endpoint=GenerationRoute(openai.EditEndpoint(), services),
        summary="Change a text as an instruction says",
        body=EditBody,
    )
    yield replace(
        post,
        path="/v1/embeddings",
        endpoint=OneShotRoute(EmbeddingsEndpoint(), services),
        summary="Turn texts into vectors",
        body=EmbeddingsBody,
    )
    yield replace(get, path="/v1/models", endpoint=system.models, summary="List the models")
    yield replace(
        get, path="/v1/models/{model:path}", endpoint=system.model, summary="Show one model"
    )


def _anthropic(services: Services) -> Iterator[RouteRow]:
    row = RouteRow(
        method="POST",
        path="/v1/messages",
        endpoint=GenerationRoute(anthropic.MessagesEndpoint(), services),
        summary="Answer a conversation",
        tag="Anthropic",
        body=MessagesBody,
        spell_error=anthropic.error_reply,
    )
    yield row
    yield replace(
        row,
        path="/v1/messages/count_tokens",
        endpoint=CountRoute(anthropic.CountTokensEndpoint(), services),
        summary="Count the tokens of a conversation",
        body=PromptBody,
    )


def _responses(services: Services) -> Iterator[RouteRow]:
    kept = Kept(services)
    row = RouteRow(
        method="POST",
        path="/v1/responses",
        endpoint=CreateRoute(services),
        summary="Answer, and keep the answer for the next turn",
        tag="Responses",
        body=openresponses.ResponsesBody,
        spell_error=openresponses.error_reply,
    )
    yield row
    get = replace(row, method="GET", body=None)
    post, delete = (
        replace(get, method="POST"),
        replace(get, method="DELETE"),
    )
    one, talk = "/v1/responses/{response_id}", "/v1/conversations"
    yield replace(
        row,
        path="/v1/responses/input_tokens",
        endpoint=CountInputRoute(services),
        summary="Count the tokens of what a response would be made from",
    )
    yield replace(get, path=one, endpoint=GetRoute(services), summary="Show a stored response")
    yield replace(delete, path=one, endpoint=kept.route(kept.delete), summary="Forget a response")
    for method, path, handler, summary, body in (
        (post, f"{one}/cancel", kept.cancel, "Stop a response in the background", None),
        (get, f"{one}/input_items", kept.input_items, "List what a response was made from", None),
        (
            post,
            talk,
            kept.create_conversation,
            "Begin a conversation",
            openresponses.ConversationBody,
        ),
        (get, f"{talk}/{{conversation_id}}", kept.conversation, "Show a conversation", None),
        (
            post,
            f"{talk}/{{conversation_id}}",
            kept.update_conversation,
            "Change a conversation's metadata",
            openresponses.MetadataBody,
        ),
        (
            delete,
            f"{talk}/{{conversation_id}}",
            kept.delete_conversation,
            "Forget a conversation",
            None,
        ),
        (get, f"{talk}/{{conversation_id}}/items", kept.items, "List a conversation's items", None),
        (
            post,
            f"{talk}/{{conversation_id}}/items",
            kept.add_items,
            "Add items to a conversation",
            openresponses.ItemsBody,
        ),
        (get, f"{talk}/{{conversation_id}}/items/{{item_id}}", kept.item, "Show one item", None),
        (
            delete,
            f"{talk}/{{conversation_id}}/items/{{item_id}}",
            kept.delete_item,
            "Remove one item",
            None,
        ),
    ):
        yield replace(
            method,
            path=path,
            endpoint=kept.route(handler),
            summary=summary,
            body=body,
        )


def _files(services: Services) -> Iterator[RouteRow]:
    files = Files(services)
    one = "/v1/files/{file_id}"
    get = RouteRow(method="GET", path=one, endpoint=None, summary="", tag="Files")
    yield replace(
        get,
        method="POST",
        path="/v1/files",
        endpoint=files.route(files.create),
        summary="Upload a file",
        body=openai.UploadForm,
        body_media_type="multipart/form-data",
    )
    yield replace(
        get, path="/v1/files", endpoint=files.route(files.list), summary="List the uploaded files"
    )
    yield replace(get, endpoint=files.route(files.get), summary="Show one file")
    yield replace(
        get,
        path=f"{one}/content",
        endpoint=files.route(files.content),
        summary="Download a file",
        media_type="application/octet-stream",
    )
    yield replace(get, method="DELETE", endpoint=files.route(files.delete), summary="Forget a file")


def _ollama(services: Services) -> Iterator[RouteRow]:
    about = OllamaEndpoints(services)
    get = RouteRow(
        method="GET",
        path="",
        endpoint=None,
        summary="",
        tag="Ollama",
        spell_error=ollama.error_reply,
    )
    post = replace(get, method="POST")
    yield replace(
        post,
        path="/api/chat",
        endpoint=OllamaRoute(ollama.ChatEndpoint(), services),
        summary="Answer a conversation",
        body=OllamaChatBody,
    )
    yield replace(
        post,
        path="/api/generate",
        endpoint=OllamaRoute(ollama.GenerateEndpoint(), services),
        summary="Go on from a prompt",
        body=OllamaGenerateBody,
    )
    for path, is_older in (("/api/embed", False), ("/api/embeddings", True)):
        yield replace(
            post,
            path=path,
            endpoint=OllamaEmbedRoute(ollama.EmbedEndpoint(is_older=is_older), services),
            summary="Turn texts into vectors",
            body=OllamaEmbedBody,
        )
    yield replace(
        post,
        path="/api/show",
        endpoint=about.show,
        summary="Show one model",
        body=OllamaShowBody,
    )
    yield replace(get, path="/api/tags", endpoint=about.tags, summary="List the models")
    yield replace(get, path="/api/ps", endpoint=about.ps, summary="List the loaded models")
    yield replace(get, path="/api/version", endpoint=about.version, summary="The version spoken")
    yield replace(
        get, path="/", endpoint=about.root, summary="Say that it runs", media_type="text/plain"
    )


def _audio(services: Services) -> Iterator[RouteRow]:
    row = RouteRow(method="POST", path="", endpoint=None, summary="", tag="Audio")
    for path, heard, summary in (
        ("transcriptions", openai.TranscriptionEndpoint(), "Write down what is said"),
        ("translations", openai.TranslationEndpoint(), "Write down in English what is said"),
    ):
        yield replace(
            row,
            path=f"/v1/audio/{path}",
            endpoint=HearingRoute(heard, services),
            summary=summary,
            form=TranscriptionForm,
        )
    for path, spoken, summary in (
        ("/v1/audio/speech", openai.SpeechEndpoint(), "Speak a text"),
        ("/tts", openai.TtsEndpoint(), "Speak a text, as WAV when nothing else is asked for"),
    ):
        yield replace(
            row,
            path=path,
            endpoint=SpeakingRoute(spoken, services),
            summary=summary,
            body=SpeechBody,
            media_type=_AUDIO,
        )
    yield replace(
        row,
        method="GET",
        path="/v1/audio/voices",
        endpoint=VoiceEndpoints(services).listed,
        summary="List the voices of a model",
    )
    yield replace(
        row,
        path="/v1/vad",
        endpoint=VadRoute(native.VadEndpoint(services.spell_error), services),
        summary="Find speech",
        body=native.VadBody,
        form=native.VadForm,
    )


def _elevenlabs(services: Services) -> Iterator[RouteRow]:
    row = RouteRow(
        method="POST",
        path="/v1/text-to-speech/{voice_id}",
        endpoint=None,
        summary="Speak a text",
        tag="ElevenLabs",
        spell_error=elevenlabs.error_reply,
    )
    for path, is_stream in ((row.path, False), (f"{row.path}/stream", True)):
        yield replace(
            row,
            path=path,
            endpoint=SpeakingRoute(elevenlabs.SpeechEndpoint(is_stream=is_stream), services),
            body=elevenlabs.TextToSpeechBody,
            media_type=_AUDIO,
        )
    voices = VoiceEndpoints(services)
    for path, handler, summary in (
        ("/v1/voices", voices.as_elevenlabs, "List the voices of a model"),
        ("/v2/voices", voices.as_elevenlabs, "List the voices of a model"),
        ("/v1/voices/{voice_id}", voices.one_as_elevenlabs, "Show one voice"),
    ):
        yield replace(row, method="GET", path=path, endpoint=handler, summary=summary)


def _ranking(services: Services) -> Iterator[RouteRow]:
    for path, endpoint in (
        ("/v1/rerank", rerank.JinaRerank(services.spell_error)),
        ("/v2/rerank", rerank.CohereRerank(services.spell_error)),
    ):
        yield RouteRow(
            method="POST",
            path=path,
            endpoint=OneShotRoute(endpoint, services),
            summary="Put documents in order of how well they answer a query",
            tag="Ranking",
            body=rerank.RerankBody,
        )


def _tokens(services: Services) -> Iterator[RouteRow]:
    yield RouteRow(
        method="POST",
        path="/v1/tokenize",
        endpoint=OneShotRoute(native.TokenizeEndpoint(services.spell_error), services),
        summary="Cut a text into tokens",
        tag="Tokens",
        body=native.TokenizeBody,
    )
    yield RouteRow(
        method="POST",
        path="/v1/detokenize",
        endpoint=OneShotRoute(native.DetokenizeEndpoint(services.spell_error), services),
        summary="Turn token ids into text",
        tag="Tokens",
        body=native.DetokenizeBody,
    )


def _system(services: Services) -> Iterator[RouteRow]:
    system = SystemEndpoints(services)
    rows: list[tuple[str, Any, str, str]] = [
        ("/healthz", system.healthz, "Is the process alive", "text/plain"),
        (
            "/readyz",
            system.readyz,
            "Can it take requests; 503 with the reason until it can",
            "text/plain",
        ),
        ("/version", system.version, "The version", _JSON),
        ("/system", system.system, "What a report of a fault needs", _JSON),
        ("/openapi.json", system.openapi, "This description", _JSON),
        ("/docs", system.docs, "This description, to read and try", "text/html"),
    ]
    if not services.settings.disable_metrics_endpoint:
        rows.append(("/metrics", system.metrics, "Counters for Prometheus", "text/plain"))
    for path, endpoint, summary, media_type in rows:
        yield RouteRow(
            method="GET",
            path=path,
            endpoint=endpoint,
            summary=summary,
            tag="System",
            media_type=media_type,
        )


def _with_aliases(row: RouteRow) -> Iterator[RouteRow]:
    yield row
    if not row.path.startswith(f"{_PREFIX}/"):
        return
    short = row.path.removeprefix(_PREFIX)
    paths = [short]
    if row.path in _UNDER_ENGINES:
        paths.append(f"/v1/engines/{{model:path}}{short}")
    for path in paths:
        yield replace(row, path=path, is_alias=True)

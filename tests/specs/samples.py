"""Answers to look at: those of the golden files, and others that encoders make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from localai.dialects import anthropic, ollama, openai
from localai.dialects.contract import Endpoint, Frame
from localai.dialects.ollama import ModelDetailsCard, ModelFactsCard
from localai.dialects.openai.embeddings import EmbeddingsEndpoint
from localai.domain.audio import Segment, TranscriptEnded, Word
from localai.domain.errors import BodyTooLarge, EngineFailed
from localai.domain.events import Failed
from localai.domain.files import FilePage, StoredFile
from localai.domain.vectors import Embeddings
from localai.http.answers import NDJSON, SSE
from localai.http.framing import ndjson, sse
from tests.dialects.anthropic import golden as of_anthropic
from tests.dialects.golden_files import ORIGIN
from tests.dialects.ollama import golden as of_ollama
from tests.dialects.openai import golden as of_openai
from tests.dialects.openresponses import golden as of_openresponses
from tests.specs.replies import Reply

ENDPOINTS: dict[str, tuple[str, Endpoint]] = {
    "openai/chat": ("/v1/chat/completions", openai.ChatEndpoint()),
    "openai/completions": ("/v1/completions", openai.CompletionEndpoint()),
    "openai/edits": ("/v1/edits", openai.EditEndpoint()),
    "openresponses": ("/v1/responses", of_openresponses.ENDPOINT),
    "anthropic": ("/v1/messages", anthropic.MessagesEndpoint()),
    "ollama/chat": ("/api/chat", ollama.ChatEndpoint()),
    "ollama/generate": ("/api/generate", ollama.GenerateEndpoint()),
}
GOLDEN: dict[str, Any] = {
    "openai": of_openai,
    "openresponses": of_openresponses,
    "anthropic": of_anthropic,
    "ollama": of_ollama,
}


def golden_answers() -> Iterator[tuple[str, Path]]:
    """Give the endpoint and the file of each golden answer."""
    for dialect, golden in GOLDEN.items():
        for path in golden.ANSWERS:
            endpoint = json.loads(path.read_text()).get("endpoint")
            yield f"{dialect}/{endpoint}" if endpoint else dialect, path


def golden(name: str, path: Path) -> Iterator[Reply]:
    """Give a golden answer as it is sent."""
    made = GOLDEN[name.partition("/")[0]].spelled(json.loads(path.read_text()))
    yield from replies(name, made.frames, made.whole)


def replies(name: str, frames: Sequence[Frame], whole: bytes | None) -> Iterator[Reply]:
    """Give a stream and a whole answer of an endpoint as they are sent."""
    path, _ = ENDPOINTS[name]
    if frames and name.startswith("ollama"):
        yield Reply("POST", path, 200, NDJSON, ndjson(frames))
    elif frames:
        yield Reply("POST", path, 200, SSE, sse(frames))
    if whole is not None:
        yield json_reply("POST", path, whole)


def json_reply(method: str, path: str, body: bytes, status: int = 200) -> Reply:
    """Give an answer that does not stream."""
    return Reply(method, path, status, "application/json", body)


def others() -> Iterator[Reply]:
    """Give answers of which there are no golden files."""
    facts = ModelFactsCard(name="llama")
    details = ModelDetailsCard(facts=facts, system="Be short.")
    yield json_reply("GET", "/api/tags", ollama.encode_tags([facts]))
    yield json_reply("POST", "/api/show", ollama.encode_show(details))
    body = json.dumps({"input": "Hi", "encoding_format": "base64"}).encode()
    vectors = Embeddings(vectors=(b"abcd",), prompt_tokens=1)
    embedded = EmbeddingsEndpoint().decode(body, ORIGIN).encode(vectors, "llama")
    yield json_reply("POST", "/v1/embeddings", embedded)
    refused = anthropic.error_reply(BodyTooLarge(limit_bytes=5))
    yield json_reply("POST", "/v1/messages", refused.body, refused.status)
    asked = of_openresponses.LEAST | {"user": "me", "reasoning": {"effort": "max"}}
    yield json_reply("POST", "/v1/responses", of_openresponses.decode(asked).queued("llama"))
    yield from _of_sound()
    kept = StoredFile(
        file_id="file-1",
        filename="a.txt",
        media_type="text/plain",
        purpose="evals",
        size_bytes=1,
        created_unix_s=2,
    )
    page = FilePage(files=(kept,), has_more=False)
    yield json_reply("GET", "/v1/files", openai.FilesEndpoint().encode_page(page))


def _of_sound() -> Iterator[Reply]:
    """Give a transcript in each of its forms, and streams that end in an error."""
    word = Word(text="Hi", start_s=0.0, end_s=1.0)
    said = Segment(text=" Hi", start_s=0.0, end_s=1.0, words=(word,))
    events = [said, TranscriptEnded(duration_s=1.0, language="en")]
    broken = Failed(error=EngineFailed("It broke."))
    fields = {
        "model": ["m"],
        "response_format": ["verbose_json"],
        "timestamp_granularities[]": ["word", "segment"],
    }
    for path, endpoint in (
        ("/v1/audio/transcriptions", openai.TranscriptionEndpoint()),
        ("/v1/audio/translations", openai.TranslationEndpoint()),
    ):
        call = endpoint.decode(fields, ORIGIN)
        yield json_reply("POST", path, call.encode(events).body)
        for ends in (events, [said, broken]):
            encoder = call.stream_encoder()
            yield Reply("POST", path, 200, SSE, sse([f for e in ends for f in encoder.feed(e)]))

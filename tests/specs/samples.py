"""Answers to look at: those of the golden files, and others that encoders make."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from localai.dialects import anthropic, ollama, openai
from localai.dialects.contract import Endpoint
from localai.dialects.ollama import ModelDetailsCard, ModelFactsCard
from localai.dialects.openai.embeddings import EmbeddingsEndpoint
from localai.domain.errors import BodyTooLarge
from localai.domain.vectors import Embeddings
from tests.dialects.anthropic import golden as of_anthropic
from tests.dialects.golden_files import ORIGIN
from tests.dialects.ollama import golden as of_ollama
from tests.dialects.openai import golden as of_openai
from tests.dialects.openresponses import golden as of_openresponses
from tests.specs.replies import ANSWERS, Answer, schema_of

ENDPOINTS: dict[str, tuple[Endpoint, tuple[Answer, ...]]] = {
    "openai/chat": (openai.ChatEndpoint(), ANSWERS["POST /v1/chat/completions"]),
    "openai/completions": (openai.CompletionEndpoint(), ANSWERS["POST /v1/completions"]),
    "openresponses": (of_openresponses.ENDPOINT, ANSWERS["POST /v1/responses"]),
    "anthropic": (anthropic.MessagesEndpoint(), ANSWERS["POST /v1/messages"]),
    "ollama/chat": (ollama.ChatEndpoint(), ANSWERS["POST /api/chat"]),
    "ollama/generate": (ollama.GenerateEndpoint(), ANSWERS["POST /api/generate"]),
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
            name = f"{dialect}/{endpoint}" if endpoint else dialect
            if name in ENDPOINTS:  # nobody describes edits
                yield name, path


class Sent(NamedTuple):
    """A value that we send, and the schema of a description that it has to obey."""

    spec: str
    schema: str
    value: Any


def sent(answers: Iterable[Answer], frames: Iterable[bytes], whole: bytes | None) -> Iterator[Sent]:
    """Give what a stream and a whole answer hold."""
    pieces = [json.loads(data) for data in frames if data != b"[DONE]"]
    for answer in answers:
        for piece in pieces:
            yield Sent(answer.spec, schema_of(answer, piece), piece)
        if whole is not None:
            yield Sent(answer.spec, answer.whole, json.loads(whole))


def golden(name: str, path: Path) -> Iterator[Sent]:
    """Give what a golden answer holds."""
    made = GOLDEN[name.partition("/")[0]].spelled(json.loads(path.read_text()))
    yield from sent(ENDPOINTS[name][1], [frame.data for frame in made.frames], made.whole)


def others() -> Iterator[Sent]:
    """Give answers of which there are no golden files."""
    facts = ModelFactsCard(name="llama")
    details = ModelDetailsCard(facts=facts, system="Be short.")
    yield Sent("ollama", "ListResponse", json.loads(ollama.encode_tags([facts])))
    yield Sent("ollama", "ShowResponse", json.loads(ollama.encode_show(details)))
    body = json.dumps({"input": "Hi", "encoding_format": "base64"}).encode()
    vectors = Embeddings(vectors=(b"abcd",), prompt_tokens=1)
    embedded = EmbeddingsEndpoint().decode(body, ORIGIN).encode(vectors, "llama")
    yield Sent("openai", "CreateEmbeddingResponse", json.loads(embedded))
    refused = anthropic.error_reply(BodyTooLarge(limit_bytes=5))
    yield Sent("anthropic", "ErrorResponse", json.loads(refused.body))
    asked = of_openresponses.LEAST | {"user": "me", "reasoning": {"effort": "max"}}
    yield Sent(
        "openresponses",
        "ResponseResource",
        json.loads(of_openresponses.decode(asked).queued("llama")),
    )

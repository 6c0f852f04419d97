"""What a model can be asked to do: one row per task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from localai.domain.generation import GenerationRequest
from localai.domain.vectors import (
    DetokenizeRequest,
    Embeddings,
    EmbedRequest,
    PlainAnswer,
    Ranking,
    RerankRequest,
    TokenCount,
    TokenizeRequest,
    Tokens,
)


class Task(StrEnum):
    """A task; a backend's manifest entry lists the ones it serves."""

    GENERATE = "generate"
    COUNT = "count"
    EMBED = "embed"
    RERANK = "rerank"
    TOKENIZE = "tokenize"
    DETOKENIZE = "detokenize"


@dataclass(frozen=True, slots=True)
class OneShot:
    """A task with one result instead of a stream."""

    request: type
    result: type


ONE_SHOT: Mapping[Task, OneShot] = {
    Task.COUNT: OneShot(GenerationRequest, TokenCount),
    Task.EMBED: OneShot(EmbedRequest, Embeddings),
    Task.RERANK: OneShot(RerankRequest, Ranking),
    Task.TOKENIZE: OneShot(TokenizeRequest, Tokens),
    Task.DETOKENIZE: OneShot(DetokenizeRequest, PlainAnswer),
}

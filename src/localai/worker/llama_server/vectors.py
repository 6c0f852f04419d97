"""Embeddings, ranking and tokens of a llama-server."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from localai.domain.errors import ContextTooLong, EngineFailed
from localai.domain.vectors import (
    DetokenizeRequest,
    Embeddings,
    EmbedRequest,
    Input,
    PlainAnswer,
    Ranking,
    RerankRequest,
    TokenizeRequest,
    Tokens,
)

Post = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


class _Vector(msgspec.Struct):
    index: int
    embedding: str  # base64 of little-endian float32


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _EmbeddingReply(msgspec.Struct):
    data: list[_Vector]
    usage: _Usage = msgspec.field(default_factory=_Usage)


class _Score(msgspec.Struct):
    index: int
    relevance_score: float


class _RankingReply(msgspec.Struct):
    results: list[_Score]
    usage: _Usage = msgspec.field(default_factory=_Usage)


async def embed(post: Post, request: EmbedRequest) -> Embeddings:
    """Embed all inputs; what is too long is cut where the request says so."""
    try:
        return await _embed(post, request.inputs)
    except ContextTooLong as error:
        if not request.truncate:
            raise
        limit = int(error.fields["limit"])
    return await _embed(post, [await _cut(post, item, limit) for item in request.inputs])


async def _embed(post: Post, inputs: Sequence[Input]) -> Embeddings:
    """All inputs in one call; the engine batches them."""
    body = {"input": [_plain(item) for item in inputs], "encoding_format": "base64"}
    reply = msgspec.convert(await post("/v1/embeddings", body), _EmbeddingReply)
    if len(reply.data) != len(inputs):
        message = f"The engine made {len(reply.data)} vectors of {len(inputs)} inputs."
        raise EngineFailed(message)
    ordered = sorted(reply.data, key=lambda vector: vector.index)
    vectors = tuple(base64.b64decode(vector.embedding) for vector in ordered)
    return Embeddings(vectors=vectors, prompt_tokens=reply.usage.prompt_tokens)


async def _cut(post: Post, item: Input, limit: int) -> Input:
    """The input within `limit` tokens; its last one stays, for it may be the end mark."""
    token_ids = item
    if isinstance(item, str):
        request = TokenizeRequest(text=item, add_special=True)
        token_ids = (await tokenize(post, request)).token_ids
    if len(token_ids) <= limit:
        return item
    return (*token_ids[: limit - 1], *token_ids[-1:])


async def rerank(post: Post, request: RerankRequest) -> Ranking:
    """Score all documents in one call."""
    body = {"query": request.query, "documents": list(request.documents)}
    reply = msgspec.convert(await post("/rerank", body), _RankingReply)
    scores = [0.0] * len(request.documents)
    for score in reply.results:
        scores[score.index] = score.relevance_score
    return Ranking(scores=tuple(scores), prompt_tokens=reply.usage.prompt_tokens)


async def tokenize(post: Post, request: TokenizeRequest) -> Tokens:
    """The token ids of a text."""
    body = {"content": request.text, "add_special": request.add_special, "parse_special": True}
    reply = await post("/tokenize", body)
    return Tokens(token_ids=tuple(reply["tokens"]))


async def detokenize(post: Post, request: DetokenizeRequest) -> PlainAnswer:
    """The text of token ids."""
    reply = await post("/detokenize", {"tokens": list(request.token_ids)})
    return PlainAnswer(text=str(reply.get("content", "")))


def _plain(item: str | tuple[int, ...]) -> str | list[int]:
    return item if isinstance(item, str) else list(item)

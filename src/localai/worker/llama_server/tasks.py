"""The tasks of a llama-server as a backend offers them; a backend inherits them."""

from __future__ import annotations

from localai.domain.batches import Batches
from localai.domain.events import Event
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
from localai.worker.llama_server.client import LlamaServer


class LlamaServerTasks:
    """TextGenerator, TokenCounter, Embedder, Reranker and Tokenizer over one llama-server."""

    def __init__(self, client: LlamaServer) -> None:
        self._client = client

    def generate(self, request: GenerationRequest) -> Batches[Event]:
        """See `worker.interfaces.TextGenerator`."""
        return self._client.generate(request)

    async def count(self, request: GenerationRequest) -> TokenCount:
        """See `worker.interfaces.TokenCounter`."""
        return await self._client.count(request)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """See `worker.interfaces.Embedder`."""
        return await self._client.embed(request)

    async def rerank(self, request: RerankRequest) -> Ranking:
        """See `worker.interfaces.Reranker`."""
        return await self._client.rerank(request)

    async def tokenize(self, request: TokenizeRequest) -> Tokens:
        """See `worker.interfaces.Tokenizer`."""
        return await self._client.tokenize(request)

    async def detokenize(self, request: DetokenizeRequest) -> PlainAnswer:
        """See `worker.interfaces.Tokenizer`."""
        return await self._client.detokenize(request)

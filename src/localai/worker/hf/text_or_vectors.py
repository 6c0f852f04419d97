"""What the backends of models of the Hugging Face kind share: one that writes, or one that embeds."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import msgspec

from localai.domain.errors import Unsupported
from localai.worker.token_limits import text_limit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from localai.domain.events import Event
    from localai.domain.generation import GenerationRequest
    from localai.domain.vectors import (
        DetokenizeRequest,
        Embeddings,
        EmbedRequest,
        PlainAnswer,
        TokenCount,
        TokenizeRequest,
        Tokens,
    )
    from localai.wire.functions import FunctionSettings
    from localai.wire.messages import ModelFacts
    from localai.worker.hf.encoder import Encoder
    from localai.worker.hf.text_model import TextModel


class TextOrVectors:
    """A loaded model: `text` writes, or `encoder` embeds; a call of the other kind is refused.

    `to_write` and `to_embed` say what to put into the model file for the other kind.
    """

    to_write: ClassVar[str]
    to_embed: ClassVar[str]

    def __init__(
        self, facts: ModelFacts, *, text: TextModel | None = None, encoder: Encoder | None = None
    ) -> None:
        self._facts = facts
        self._text = text
        self._encoder = encoder

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        return self._facts

    async def close(self) -> None:
        """Free the weights, after what is being computed."""
        if self._encoder is not None:
            await self._encoder.close()
        self._text = self._encoder = None
        gc.collect()

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Sequence[Event], None]:
        """Answer as events."""
        return self._writer().generate(request)

    async def count(self, request: GenerationRequest) -> TokenCount:
        """The size of the prompt."""
        return await self._writer().count(request)

    async def tokenize(self, request: TokenizeRequest) -> Tokens:
        """The token ids of a text."""
        return await self._writer().tokenize(request)

    async def detokenize(self, request: DetokenizeRequest) -> PlainAnswer:
        """The text of token ids."""
        return await self._writer().detokenize(request)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """One L2-normalized vector per input, pooled as the model's files say, else the mean."""
        if self._encoder is None:
            raise Unsupported(
                "This model was loaded to generate text.", feature="embed", hint=self.to_embed
            )
        return await self._encoder.embed(request)

    def _writer(self) -> TextModel:
        if self._text is None:
            raise Unsupported(
                "This model was loaded for embeddings.", feature="generate", hint=self.to_write
            )
        return self._text


class Asked(Protocol):
    """What a model's file says of its size, in tokens; 0 leaves the context to the model."""

    @property
    def context_size(self) -> int:
        """The context."""
        ...

    @property
    def parallel(self) -> int:
        """How many answers are computed side by side."""
        ...

    @property
    def truncate(self) -> bool:
        """Whether texts to embed that are too long are cut."""
        ...


def writing(
    model: Any, tokenizer: Any, facts: ModelFacts, functions: FunctionSettings, asked: Asked
) -> tuple[ModelFacts, TextModel]:
    """A model that writes, and what is known of it."""
    from localai.worker.hf.text_model import TextModel, context_size_of

    size, slots = context_size_of(model.config, asked.context_size), asked.parallel
    known = msgspec.structs.replace(
        facts,
        context_size=size,
        slots=slots,
        has_chat_template=bool(getattr(tokenizer, "chat_template", None)),
    )
    text = TextModel(model, tokenizer, context_size=size, slots=slots, functions=functions)
    return known, text


def embedding(
    model: Any, tokenizer: Any, facts: ModelFacts, asked: Asked, *, pooling: str, batch_tokens: int
) -> tuple[ModelFacts, Encoder]:
    """A model that embeds, and what is known of it."""
    from localai.worker.hf.encoder import SLOTS, Encoder

    limit = text_limit(tokenizer, model.config, asked.context_size)
    encoder = Encoder(
        model,
        tokenizer,
        limit=limit,
        pooling=pooling,
        truncates=asked.truncate,
        batch_tokens=batch_tokens,
    )
    return msgspec.structs.replace(facts, context_size=limit, slots=SLOTS), encoder

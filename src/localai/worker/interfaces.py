"""What a backend offers: one small protocol per task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from localai.domain.tasks import Task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from localai.domain.audio import (
        AudioChunk,
        Segment,
        SpeechDetectionRequest,
        SpeechSpan,
        SynthesisRequest,
        TranscriptEnded,
        TranscriptionRequest,
    )
    from localai.domain.batches import Batches
    from localai.domain.events import Event, Progress
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
    from localai.wire.messages import LoadRequest, ModelFacts
    from localai.worker.audio import Sound


class Backend(Protocol):
    """The life of a loaded model. The class is found by the name `Backend` in its file."""

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load the model, which may take minutes.

        Raises SpecInvalid for settings that make no sense, StartFailed when the engine refuses.
        """
        ...

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model now that it is loaded."""
        ...

    async def close(self) -> None:
        """Free everything. Called once, when no call runs any more."""
        ...


@runtime_checkable
class TextGenerator(Protocol):
    """Generates text; also the reasoning, tool calls and media that come with it."""

    def generate(
        self, request: GenerationRequest
    ) -> AsyncGenerator[Sequence[Event], None] | Batches[Event]:
        """Answer as events, in batches of what is there at once, up to Finished.

        An asynchronous generator will do; closing it cancels. Raises RequestError for what this model cannot do and
        EngineFailed for the rest.
        """
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """Counts the tokens of a prompt, template included."""

    async def count(self, request: GenerationRequest) -> TokenCount:
        """The size of the prompt that `request` would make."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Embeds texts."""

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """One vector per input, in order. Raises ContextTooLong for an input over the limit."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Scores documents."""

    async def rerank(self, request: RerankRequest) -> Ranking:
        """One score per document, in order."""
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """Turns text into token ids and back."""

    async def tokenize(self, request: TokenizeRequest) -> Tokens:
        """The token ids of a text."""
        ...

    async def detokenize(self, request: DetokenizeRequest) -> PlainAnswer:
        """The text of token ids."""
        ...


@runtime_checkable
class Transcriber(Protocol):
    """Writes down what is said."""

    def transcribe(
        self, request: TranscriptionRequest, sound: Sound
    ) -> AsyncGenerator[Segment | Progress | TranscriptEnded, None]:
        """The segments as they become known, then the end. Closing the iterator cancels."""
        ...


@runtime_checkable
class Synthesizer(Protocol):
    """Speaks."""

    def synthesize(self, request: SynthesisRequest) -> AsyncGenerator[AudioChunk, None]:
        """The sound as it is made, a sentence or less at a time. Closing the iterator cancels.

        Raises InvalidRequest for a voice or a language that the model does not have, before
        anything is spoken. Encoding, rate and file are not its concern.
        """
        ...


@runtime_checkable
class SpeechDetector(Protocol):
    """Finds speech."""

    def detect_speech(
        self, request: SpeechDetectionRequest, sound: Sound
    ) -> AsyncGenerator[SpeechSpan | Progress, None]:
        """Where somebody speaks, in order, each span as soon as its end is known.

        Long silence shows as Progress. Closing the iterator cancels.
        """
        ...


# The protocol behind each task; its method has the task's name.
PROTOCOLS: Mapping[Task, type] = {
    Task.GENERATE: TextGenerator,
    Task.COUNT: TokenCounter,
    Task.EMBED: Embedder,
    Task.RERANK: Reranker,
    Task.TOKENIZE: Tokenizer,
    Task.DETOKENIZE: Tokenizer,
    Task.TRANSCRIBE: Transcriber,
    Task.SYNTHESIZE: Synthesizer,
    Task.DETECT_SPEECH: SpeechDetector,
}

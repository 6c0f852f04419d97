"""What a model can be asked to do: one row per task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from localai.domain.audio import (
    AudioRequest,
    SpeechDetectionRequest,
    SynthesisRequest,
    TranscriptionRequest,
)
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
    TRANSCRIBE = "transcribe"
    SYNTHESIZE = "synthesize"
    DETECT_SPEECH = "detect_speech"


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

# Tasks with sound: each answers with a stream of events, whose order `audio_rules` knows.
AUDIO: Mapping[Task, type[AudioRequest]] = {
    Task.TRANSCRIBE: TranscriptionRequest,
    Task.SYNTHESIZE: SynthesisRequest,
    Task.DETECT_SPEECH: SpeechDetectionRequest,
}


def audio_task(request: AudioRequest) -> Task:
    """The task that a request with sound is for."""
    return next(task for task, kind in AUDIO.items() if isinstance(request, kind))


# Those that are given an audio file beside their request.
LISTENING: frozenset[Task] = frozenset({Task.TRANSCRIBE, Task.DETECT_SPEECH})

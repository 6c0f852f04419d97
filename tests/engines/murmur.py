"""Murmur: says the last message again, very quietly. The example of a user's own backend."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Self

import murmur_engine

from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Finished,
    FinishReason,
    Started,
    Usage,
)
from localai.domain.generation import Chat, GenerationRequest
from localai.domain.parts import Text
from localai.wire.messages import LoadRequest, ModelFacts


class Backend:
    """Whispers; its capability list is the methods it has."""

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load the model: here there is none."""
        _ = request.settings  # the model file's keys would be here
        return cls()

    facts = ModelFacts(context_size=100, slots=2, device="CPU", has_chat_template=True)

    async def close(self) -> None:
        """Nothing to free."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Sequence[Event], None]:
        """Whisper the last message, one event a word."""
        prompt = request.prompt
        text = prompt.messages[-1].text if isinstance(prompt, Chat) else (prompt.text or "")
        words = murmur_engine.say(text).split()
        yield [Started(len(words)), BlockStarted(0, 0, BlockKind.TEXT)]
        for number, word in enumerate(words):
            yield [Delta(0, 0, BlockKind.TEXT, word if number == 0 else f" {word}")]
        yield [BlockEnded(0, 0, Text(text="")), ChoiceEnded(0, FinishReason.STOP, None)]
        yield [Finished(Usage(len(words), len(words)))]

"""What a backend offers: one small protocol per task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from localai.domain.events import Event
    from localai.domain.generation import GenerationRequest
    from localai.wire.messages import LoadRequest, ModelFacts


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

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Sequence[Event], None]:
        """Answer as events, in batches of what is there at once, up to Finished.

        Closing the iterator cancels. Raises RequestError for what this model cannot do and
        EngineFailed for the rest.
        """
        ...

"""What the responses use cases ask of a dialect. Any class with these methods will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Self

    from localai.catalog.spec import ModelSpec
    from localai.domain.batches import Batches
    from localai.domain.errors import LocalAIError
    from localai.domain.events import Event
    from localai.domain.generation import GenerationRequest
    from localai.domain.stream_rules import Answer


class Generate(Protocol):
    """Answers a request with a model: `generate.generate` with its library and pool."""

    def __call__(self, request: GenerationRequest, spec: ModelSpec, /) -> Batches[Event]:
        """A legal stream in batches; it ends with Failed instead of raising."""
        ...


class Reference(Protocol):
    """An item that stands for a stored one; `param` is where it stands."""

    @property
    def item_id(self) -> str:
        """The id of the stored item."""
        ...

    @property
    def param(self) -> str:
        """The path of the reference in the request."""
        ...


class StreamEncoder(Protocol):
    """Spells one checked stream as frames, which are numbered from 0."""

    @property
    def response(self) -> bytes:
        """The whole response, as the last event that shows it does."""
        ...

    def queued(self) -> Sequence[tuple[bytes, str]]:
        """The frames of a response that waits."""
        ...

    def feed(self, event: Event) -> Sequence[tuple[bytes, str]]:
        """The frames for `event`, which may be none."""
        ...

    def stop(self, error: LocalAIError | None) -> Sequence[tuple[bytes, str]]:
        """The end of an answer that failed, or was cancelled (None)."""
        ...


class WholeEncoder(Protocol):
    """Spells one whole answer."""

    def encode(self, answer: Answer) -> bytes:
        """The response body."""
        ...


class ResponsesCall(Protocol):
    """A decoded call. Items are pairs of an id and JSON."""

    @property
    def requests(self) -> tuple[GenerationRequest, ...]:
        """What to generate: one request."""
        ...

    @property
    def streams(self) -> bool:
        """Whether the caller wants a stream."""
        ...

    @property
    def store(self) -> bool:
        """Whether the response is kept."""
        ...

    @property
    def response_id(self) -> str:
        """The id of the response."""
        ...

    @property
    def created_unix_s(self) -> int:
        """When the call came."""
        ...

    @property
    def previous_response_id(self) -> str | None:
        """The response that this one goes on from."""
        ...

    @property
    def conversation_id(self) -> str | None:
        """The conversation that this response belongs to."""
        ...

    @property
    def references(self) -> Sequence[Reference]:
        """The items of the input that stand for stored ones."""
        ...

    @property
    def input_items(self) -> Sequence[tuple[str, bytes]]:
        """The items of the input."""
        ...

    def after(self, history: Sequence[bytes], referenced: Mapping[str, bytes]) -> Self:
        """The call as it goes on from `history`, with references replaced. Raises RequestError."""
        ...

    def queued(self, model: str) -> bytes:
        """The response while it waits."""
        ...

    def stream_encoder(self, model: str) -> StreamEncoder:
        """An encoder for a stream."""
        ...

    def whole_encoder(self, model: str) -> WholeEncoder:
        """An encoder for a whole answer."""
        ...


class Spelling(Protocol):
    """What has to be known of the form of a whole response."""

    def status_and_output(self, response: bytes) -> tuple[str, Sequence[tuple[str, bytes]]]:
        """Its status and its output items."""
        ...

    def cut_off(
        self, response: bytes, number: int, error: LocalAIError
    ) -> tuple[bytes, Sequence[tuple[bytes, str]]]:
        """The response as one that can only fail now, and the end of its stream from `number` on."""
        ...

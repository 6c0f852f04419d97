"""What a dialect endpoint gives the HTTP door: decode a body, then encode events or a whole answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localai.dialects.form_body import Form
    from localai.domain.audio import AudioEvent, AudioRequest
    from localai.domain.errors import LocalAIError
    from localai.domain.events import Event
    from localai.domain.files import FilePage, FileQuery, NewFile, StoredFile
    from localai.domain.generation import GenerationRequest
    from localai.domain.stream_rules import Answer
    from localai.domain.tasks import Task


class Frame(NamedTuple):
    """One message of a stream: its JSON, and the event name where the API has one."""

    data: bytes
    event: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a decoder may know beyond the body.

    `answer_id` is the unique tail of the answer's id; `client` names the caller for fair
    queueing; `with_timings` adds engine times to the usage (the `Extra-Usage` header).
    """

    answer_id: str
    created_unix_s: int
    client: str = ""
    with_timings: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply:
    """An error as this API spells it."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class StreamEncoder(Protocol):
    """Spells one checked stream."""

    def feed(self, event: Event) -> Sequence[Frame]:
        """The frames for `event`, which may be none."""
        ...


class WholeEncoder(Protocol):
    """Spells one whole answer."""

    def encode(self, answer: Answer) -> bytes:
        """The response body. `answer.error` is None."""
        ...


class Call(Protocol):
    """A decoded call: what to generate, and how to spell it once the model's name is known.

    Several requests make one answer whose choices are numbered through.
    """

    @property
    def requests(self) -> tuple[GenerationRequest, ...]:
        """What to generate, in order."""
        ...

    @property
    def streams(self) -> bool:
        """Whether the caller wants a stream."""
        ...

    def stream_encoder(self, model: str) -> StreamEncoder:
        """An encoder for a stream; `model` is the name to show."""
        ...

    def whole_encoder(self, model: str) -> WholeEncoder:
        """An encoder for a whole answer; `model` is the name to show."""
        ...


class OneShotCall(Protocol):
    """A decoded call of a task with one result (`domain.tasks.ONE_SHOT`)."""

    @property
    def task(self) -> Task:
        """What is asked for."""
        ...

    @property
    def model(self) -> str:
        """The model as named by the caller, perhaps empty."""
        ...

    @property
    def request(self) -> object:
        """The domain request of the task."""
        ...

    def encode(self, result: Any, model: str) -> bytes:
        """The response body; `model` is the name to show. Raises RequestError.

        The error is for what only the result shows, such as more dimensions than there are.
        """
        ...


class OneShotEndpoint(Protocol):
    """One operation of a dialect that gives one result."""

    def decode(self, body: bytes, origin: Origin) -> OneShotCall:
        """Read a request body. Raises RequestError with `param`."""
        ...

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        ...


class Endpoint(Protocol):
    """One operation of a dialect."""

    def decode(self, body: bytes, origin: Origin) -> Call:
        """Read a request body. Raises RequestError with `param`."""
        ...

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error that came before the first byte of the answer."""
        ...


class FilesEndpoint(Protocol):
    """The operations of a dialect on uploaded files."""

    def upload(self, fields: Mapping[str, str]) -> NewFile:
        """Read the fields beside the file. Raises InvalidRequest with `param`."""
        ...

    def query(self, params: Mapping[str, Sequence[str]]) -> FileQuery:
        """Read the query of a list. Raises InvalidRequest with `param`."""
        ...

    def encode(self, file: StoredFile) -> bytes:
        """Spell one file."""
        ...

    def encode_page(self, page: FilePage) -> bytes:
        """Spell a list."""
        ...

    def encode_deleted(self, file_id: str) -> bytes:
        """Spell that a file is no more."""
        ...

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        ...


class AudioStreamEncoder(Protocol):
    """Spells one checked stream of a task with sound."""

    def feed(self, event: AudioEvent) -> Sequence[Frame]:
        """The frames for `event`, which may be none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole answer: its bytes and what they are."""

    body: bytes
    media_type: str = "application/json"


class AudioCall(Protocol):
    """A decoded call of a task with sound."""

    @property
    def model(self) -> str:
        """The model as named by the caller, perhaps empty."""
        ...

    @property
    def backend(self) -> str:
        """The engine that a caller without a model asks for, perhaps empty."""
        ...

    @property
    def request(self) -> AudioRequest:
        """What to do."""
        ...

    @property
    def streams(self) -> bool:
        """Whether the caller wants events, not the whole answer or bare sound."""
        ...

    def stream_encoder(self) -> AudioStreamEncoder:
        """An encoder for events."""
        ...


class HearingCall(AudioCall, Protocol):
    """A call with a file."""

    def encode(self, events: Sequence[AudioEvent]) -> Whole:
        """Spell a finished, checked stream, which did not fail, as a whole answer."""
        ...


class HearingEndpoint(Protocol):
    """One operation of a dialect that is given a file."""

    def decode(self, form: Form, origin: Origin) -> HearingCall:
        """Read the fields beside the file. Raises RequestError with `param`."""
        ...

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        ...


class SpeakingEndpoint(Protocol):
    """One operation of a dialect that speaks."""

    def decode(
        self, body: bytes, origin: Origin, voice: str, query: Mapping[str, str]
    ) -> AudioCall:
        """Read a request; `voice` is what the path names. Raises RequestError with `param`."""
        ...

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        ...

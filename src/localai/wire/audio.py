"""The shapes and the codec of tasks with sound.

    POST /audio/NAME   one line: the request as JSON, then the bytes of the audio file, if the
                       task hears one -> one event a line, the last one an `ended` or `failed`

Fields are spelled as in `domain.audio`; `data` is base64. A shell can speak it:
`(echo '{}'; cat speech.mp3) | curl --unix-socket w.sock --data-binary @- http://w/audio/transcribe`
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from localai.domain import audio
from localai.domain.audio import AudioEvent, AudioRequest, Word
from localai.domain.events import Failed, Progress
from localai.domain.tasks import AUDIO, Task
from localai.wire import messages as w
from localai.wire.codec import error_from_wire, error_to_wire

MOST_REQUEST_BYTES: Final = 1 << 22
"""The longest first line. The door limits texts to much less."""


class WSegment(msgspec.Struct, frozen=True, tag_field="event", tag="segment", omit_defaults=True):
    """See domain.audio.Segment."""

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...] = ()
    token_ids: tuple[int, ...] = ()
    avg_logprob: float | None = None
    no_speech_probability: float | None = None
    temperature: float | None = None


class WTranscriptEnded(msgspec.Struct, frozen=True, tag_field="event", tag="transcript_ended"):
    """See domain.audio.TranscriptEnded."""

    duration_s: float
    language: str = ""


class WAudioStarted(msgspec.Struct, frozen=True, tag_field="event", tag="audio_started"):
    """See domain.audio.AudioStarted."""

    media_type: str
    rate_hz: int


class WAudioData(msgspec.Struct, frozen=True, tag_field="event", tag="audio"):
    """See domain.audio.AudioData."""

    data: bytes


class WAudioEnded(msgspec.Struct, frozen=True, tag_field="event", tag="audio_ended"):
    """See domain.audio.AudioEnded."""

    duration_s: float


class WSpeechSpan(msgspec.Struct, frozen=True, tag_field="event", tag="speech"):
    """See domain.audio.SpeechSpan."""

    start_s: float
    end_s: float


class WDetectionEnded(msgspec.Struct, frozen=True, tag_field="event", tag="detection_ended"):
    """See domain.audio.DetectionEnded."""

    duration_s: float


_Alike = (
    w.WProgress | WSegment | WTranscriptEnded | WAudioStarted | WAudioData | WAudioEnded
    | WSpeechSpan | WDetectionEnded
)  # fmt: skip
_TO_WIRE: Final[dict[type, type[_Alike]]] = {
    Progress: w.WProgress,
    audio.Segment: WSegment,
    audio.TranscriptEnded: WTranscriptEnded,
    audio.AudioStarted: WAudioStarted,
    audio.AudioData: WAudioData,
    audio.AudioEnded: WAudioEnded,
    audio.SpeechSpan: WSpeechSpan,
    audio.DetectionEnded: WDetectionEnded,
}
_FROM_WIRE: Final = {shape: event for event, shape in _TO_WIRE.items()}
_decoder = msgspec.json.Decoder(_Alike | w.WFailed)


def encode_audio_request(request: AudioRequest) -> bytes:
    """The request as one line, the newline included."""
    return msgspec.json.encode(request) + b"\n"


def decode_audio_request(task: Task, line: bytes) -> AudioRequest:
    """The request in the first line of a body. Raises msgspec.DecodeError."""
    return msgspec.json.decode(line, type=AUDIO[task])


def encode_audio_event(event: AudioEvent) -> bytes:
    """An event as one line, the newline included."""
    shape: msgspec.Struct
    if isinstance(event, Failed):
        shape = w.WFailed(error_to_wire(event.error))
    else:
        kind = _TO_WIRE[type(event)]
        shape = kind(*[getattr(event, name) for name in kind.__struct_fields__])
    return msgspec.json.encode(shape) + b"\n"


def decode_audio_event(line: bytes) -> AudioEvent:
    """The event of one line. Raises msgspec.DecodeError on anything else."""
    shape = _decoder.decode(line)
    if isinstance(shape, w.WFailed):
        return Failed(error_from_wire(shape.error))
    fields: dict[str, Any] = msgspec.structs.asdict(shape)
    event: AudioEvent = _FROM_WIRE[type(shape)](**fields)
    return event

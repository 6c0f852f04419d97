"""POST /v1/vad: where somebody speaks."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from localai.dialects.contract import ErrorReply, Frame, Origin, Whole
from localai.dialects.fields import check_limits, limits
from localai.dialects.form_body import Form, read_form
from localai.dialects.json_body import read_body
from localai.domain.audio import AudioEvent, SpeechDetectionRequest, SpeechSpan
from localai.domain.errors import InvalidRequest, LocalAIError

_RATE_HZ = 16_000
_LOUDEST = 2.0  # a little over 1 comes of resampling; 32767 of another scale
_FLOAT_BYTES = 4
_IEEE_FLOAT = 3  # WAVE_FORMAT_IEEE_FLOAT


class VadForm(msgspec.Struct, kw_only=True):
    """The fields beside the file."""

    model: Annotated[str | None, Meta(description="Name of the model")] = None
    threshold: Annotated[float | None, limits("Least probability of speech", 0, 1)] = None
    min_speech_duration_ms: Annotated[
        float | None, limits("Leave shorter speech out", 0, 60_000)
    ] = None
    min_silence_duration_ms: Annotated[
        float | None, limits("Silence that ends a span", 0, 60_000)
    ] = None
    speech_pad_ms: Annotated[float | None, limits("Widen each span by this", 0, 60_000)] = None


class VadBody(VadForm, kw_only=True):
    """The body of a call without a file."""

    audio: Annotated[list[float], Meta(description="Samples from -1 to 1, mono")]
    sample_rate: Annotated[int | None, limits("Samples a second", 1_000, 384_000)] = None


_decoder = msgspec.json.Decoder(VadBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class VadCall:
    """A decoded call."""

    model: str
    request: SpeechDetectionRequest
    streams: bool = False
    backend: str = ""

    def stream_encoder(self) -> _NoFrames:
        """There are no events."""
        return _NoFrames()

    def encode(self, events: Sequence[AudioEvent]) -> Whole:
        """Spell the spans, in seconds."""
        spans = [event for event in events if isinstance(event, SpeechSpan)]
        segments = [{"start": span.start_s, "end": span.end_s} for span in spans]
        return Whole(body=msgspec.json.encode({"segments": segments}))


class _NoFrames:
    def feed(self, event: AudioEvent) -> tuple[Frame, ...]:  # noqa: ARG002 - none are spelled
        return ()


class VadEndpoint:
    """Finding speech, in samples or in a file."""

    def __init__(self, spell_error: Callable[[LocalAIError], ErrorReply]) -> None:
        self.error = spell_error

    def decode(self, form: Form, origin: Origin) -> VadCall:  # noqa: ARG002 - nothing in it counts
        """Read the fields beside a file. Raises RequestError with `param`."""
        return _call(read_form(VadForm, form))

    def decode_samples(self, body: bytes, origin: Origin) -> tuple[VadCall, bytes]:  # noqa: ARG002 - nothing in it counts
        """Read a request body; the samples become a WAV file. Raises RequestError."""
        asked = read_body(_decoder, body)
        check_limits(asked)
        if not asked.audio:
            raise InvalidRequest("audio is empty; it must have samples.", param="audio")
        for position, sample in enumerate(asked.audio):
            if not -_LOUDEST <= sample <= _LOUDEST:
                message = f"audio[{position}] is {sample:g}; samples must be between -1 and 1."
                raise InvalidRequest(message, param=f"audio[{position}]")
        return _call(asked), _wav(asked.audio, asked.sample_rate or _RATE_HZ)


def _call(asked: VadForm) -> VadCall:
    return VadCall(
        model=(asked.model or "").strip(),
        request=SpeechDetectionRequest(
            threshold=asked.threshold,
            min_speech_s=_seconds(asked.min_speech_duration_ms),
            min_silence_s=_seconds(asked.min_silence_duration_ms),
            padding_s=_seconds(asked.speech_pad_ms),
        ),
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _wav(samples: list[float], rate_hz: int) -> bytes:
    """Samples as a mono WAV file of 32-bit floats."""
    numbers = array("f", samples)
    data = numbers.tobytes()
    form = struct.pack(
        "<IHHIIHH", 16, _IEEE_FLOAT, 1, rate_hz, rate_hz * _FLOAT_BYTES, _FLOAT_BYTES, 32
    )
    head = b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data

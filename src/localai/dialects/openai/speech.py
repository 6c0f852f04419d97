"""POST /v1/audio/speech, and LocalAI's POST /tts: the endpoints."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from localai.dialects.contract import ErrorReply, Frame, Origin
from localai.dialects.fields import check_limits, limits
from localai.dialects.json_body import read_body
from localai.dialects.openai.errors import error_body, error_reply
from localai.dialects.openai.spelling import to_json
from localai.dialects.speech import text_to_speak
from localai.domain.audio import (
    AudioData,
    AudioEncoding,
    AudioEnded,
    AudioEvent,
    SynthesisRequest,
    VoiceCard,
)
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.events import Failed

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
_STREAM_FORMATS = ("audio", "sse")
_NO_TOKENS = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}


class Voice(msgspec.Struct, kw_only=True):
    """A voice as an object."""

    id: str


class SpeechBody(msgspec.Struct, kw_only=True):
    """POST /v1/audio/speech and /tts."""

    input: Annotated[str, Meta(description="The text to speak, at most 50 000 characters")]
    model: Annotated[str | None, Meta(description="Name of the model")] = None
    backend: Annotated[
        str | None, Meta(description="The engine to speak with when no model is named")
    ] = None
    voice: Annotated[
        str | Voice | None, Meta(description="Name of a voice of the model; default its own")
    ] = None
    response_format: Annotated[
        str | None,
        Meta(description="mp3, opus, aac, flac, wav or pcm; default mp3, for /tts wav"),
    ] = None
    speed: Annotated[float | None, limits("2 is twice as fast", 0.25, 4)] = None
    language: Annotated[
        str | None, Meta(description="Language of the text, for models that speak several")
    ] = None
    instructions: Annotated[
        str | None, Meta(description="How to speak, for models that can be told")
    ] = None
    sample_rate: Annotated[int | None, limits("Samples a second", 8_000, 96_000)] = None
    stream: Annotated[
        bool | None, Meta(description="Send WAV and FLAC while they are made, without a length")
    ] = None
    stream_format: Annotated[
        str | None, Meta(description="audio, or sse for events with base64")
    ] = None


_decoder = msgspec.json.Decoder(SpeechBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechCall:
    """A decoded call."""

    model: str
    request: SynthesisRequest
    streams: bool
    backend: str = ""

    def stream_encoder(self) -> SpeechFrames:
        """An encoder for events."""
        return SpeechFrames()


class SpeechEndpoint:
    """Speech."""

    default_format = "mp3"

    def decode(
        self, body: bytes, origin: Origin, voice: str, query: Mapping[str, str]
    ) -> SpeechCall:  # fmt: skip
        """Read a request body. Raises RequestError with `param`."""
        _ = origin, voice, query  # all is in the body
        asked = read_body(_decoder, body)
        check_limits(asked)
        written = (asked.response_format or self.default_format).strip().lower()
        if written not in FORMATS:
            message = f"response_format is {written[:40]!r}; it must be {_listed(FORMATS)}."
            raise InvalidRequest(message, param="response_format")
        as_events = _is_sse(asked.stream_format)
        named = asked.voice.id if isinstance(asked.voice, Voice) else asked.voice
        return SpeechCall(
            model=(asked.model or "").strip(),
            request=SynthesisRequest(
                text=text_to_speak(asked.input, "input"),
                voice=(named or "").strip() or None,
                language=(asked.language or "").strip() or None,
                speed=1.0 if asked.speed is None else asked.speed,
                instructions=asked.instructions or "",
                encoding=AudioEncoding(written),
                rate_hz=asked.sample_rate,
                is_file=not (as_events or asked.stream),
            ),
            streams=as_events,
            backend=(asked.backend or "").strip(),
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        return error_reply(error)


class TtsEndpoint(SpeechEndpoint):
    """LocalAI's own path to the same, with WAV when nothing else is asked for."""

    default_format = "wav"


class SpeechFrames:
    """Sound as events."""

    def feed(self, event: AudioEvent) -> Sequence[Frame]:
        """The frames for `event`."""
        spelled: dict[str, Any]
        match event:
            case AudioData():
                audio = base64.b64encode(event.data).decode()
                spelled = {"type": "speech.audio.delta", "audio": audio}
            case AudioEnded():
                spelled = {"type": "speech.audio.done", "usage": _NO_TOKENS}
            case Failed():
                return (Frame(b'{"type":"error",' + error_body(event.error)[1:]),)
            case _:
                return ()
        return (Frame(to_json(spelled)),)


def encode_voices(cards: Iterable[VoiceCard]) -> bytes:
    """Spell the list of voices, in the form that web interfaces read."""
    voices = [{"id": card.voice_id, "name": card.name, "language": card.language} for card in cards]
    return to_json({"voices": voices})


def _is_sse(stream_format: str | None) -> bool:
    written = (stream_format or "audio").strip().lower()
    if written not in _STREAM_FORMATS:
        message = f"stream_format is {written[:40]!r}; it must be {_listed(_STREAM_FORMATS)}."
        raise InvalidRequest(message, param="stream_format")
    return written == "sse"


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"

"""POST /v1/text-to-speech/{voice_id} and .../stream: the endpoint of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from localai.dialects.contract import ErrorReply, Frame, Origin
from localai.dialects.elevenlabs.errors import error_reply
from localai.dialects.fields import check_limits, limits
from localai.dialects.json_body import read_body
from localai.dialects.speech import text_to_speak
from localai.domain.audio import AudioEncoding, AudioEvent, SynthesisRequest
from localai.domain.errors import InvalidRequest, LocalAIError

DEFAULT_FORMAT: Final = "mp3_44100_128"
OUTPUT_FORMATS: Final = (
    "mp3_22050_32", "mp3_24000_48", "mp3_44100_32", "mp3_44100_64", "mp3_44100_96",
    "mp3_44100_128", "mp3_44100_192", "pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000",
    "pcm_32000", "pcm_44100", "pcm_48000", "wav_8000", "wav_16000", "wav_22050", "wav_24000",
    "wav_32000", "wav_44100", "wav_48000", "ulaw_8000", "alaw_8000", "opus_48000_32",
    "opus_48000_64", "opus_48000_96", "opus_48000_128", "opus_48000_192",
)  # fmt: skip
_THEIR_MODELS: Final = "eleven_"  # clients name one of these when they name none of ours
_CODECS: Final = {"ulaw": AudioEncoding.MULAW}


class VoiceSettings(msgspec.Struct, kw_only=True):
    """How the voice speaks; what is not here is accepted and ignored."""

    speed: Annotated[float | None, limits("2 is twice as fast", 0.25, 4)] = None


class TextToSpeechBody(msgspec.Struct, kw_only=True):
    """The body of a text-to-speech call."""

    text: Annotated[str, Meta(description="The text to speak, at most 50 000 characters")]
    model_id: Annotated[
        str | None, Meta(description="Name of the model; ElevenLabs' own names mean the default")
    ] = None
    language_code: Annotated[str | None, Meta(description="Language of the text")] = None
    voice_settings: Annotated[VoiceSettings | None, Meta(description="speed, 0.25 to 4")] = None


_decoder = msgspec.json.Decoder(TextToSpeechBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechCall:
    """A decoded call. It never asks for events: both paths send bare sound as it is made."""

    model: str
    request: SynthesisRequest
    streams: bool = False
    backend: str = ""

    def stream_encoder(self) -> _NoFrames:
        """There are no events."""
        return _NoFrames()


class _NoFrames:
    def feed(self, event: AudioEvent) -> tuple[Frame, ...]:  # noqa: ARG002 - none are spelled
        return ()


class SpeechEndpoint:
    """Text to speech; `is_stream` sends WAV without waiting for its length."""

    def __init__(self, *, is_stream: bool = False) -> None:
        self._is_stream = is_stream

    def decode(
        self, body: bytes, origin: Origin, voice: str, query: Mapping[str, str]
    ) -> SpeechCall:  # fmt: skip
        """Read a request. Raises RequestError with `param`."""
        _ = origin
        asked = read_body(_decoder, body)
        settings = asked.voice_settings or VoiceSettings()
        check_limits(settings, "voice_settings.")
        encoding, rate_hz, bit_rate = _format(query.get("output_format") or DEFAULT_FORMAT)
        named = (asked.model_id or "").strip()
        return SpeechCall(
            model="" if named.startswith(_THEIR_MODELS) else named,
            request=SynthesisRequest(
                text=text_to_speak(asked.text, "text"),
                voice=voice,
                language=(asked.language_code or "").strip() or None,
                speed=1.0 if settings.speed is None else settings.speed,
                encoding=encoding,
                rate_hz=rate_hz,
                bit_rate=bit_rate,
                is_file=not self._is_stream,
            ),
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        return error_reply(error)


def _format(written: str) -> tuple[AudioEncoding, int, int | None]:
    """Codec, rate and bits a second of a format such as mp3_44100_128."""
    if written not in OUTPUT_FORMATS:
        message = (
            f"output_format is {written[:40]!r}; it must be one of {', '.join(OUTPUT_FORMATS)}."
        )
        raise InvalidRequest(message, param="output_format")
    codec, rate, *kilobits = written.split("_")
    encoding = _CODECS.get(codec) or AudioEncoding(codec)
    return encoding, int(rate), int(kilobits[0]) * 1000 if kilobits else None

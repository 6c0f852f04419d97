"""Requests and events of the tasks with sound: speech to text, text to speech, finding speech.

Each answer is a stream of its own small set of events; `audio_rules` knows their order. Times are
in seconds from the beginning of the audio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from localai.domain.events import Failed, Progress

GENERIC_VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable",
    "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip
"""The voices of OpenAI's API, one of which every caller of it has to name.

A model that has no voice of that name answers with one of its own.
"""


class AudioSource(Protocol):
    """The bytes of an audio file, of any format; they can be read more than once."""

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        ...

    def read(self) -> AsyncIterator[bytes]:
        """All bytes from the first on, in pieces."""
        ...


class AudioEncoding(StrEnum):
    """How sound is written. PCM is signed 16-bit little-endian, MULAW and ALAW are ITU-T G.711."""

    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"
    FLAC = "flac"
    WAV = "wav"
    PCM = "pcm"
    MULAW = "mulaw"
    ALAW = "alaw"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRequest:
    """What to do with the speech of an audio file, which travels beside this.

    `language` is a code of `languages.LANGUAGES`, None to find out; `translate` asks for English.
    `prompt` shows the model names and spellings. `wants_words` asks for the times of each word.
    """

    language: str | None = None
    translate: bool = False
    prompt: str = ""
    temperature: float | None = None
    wants_words: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word, without the spaces around it; `probability` is None where the engine does not say."""

    text: str
    start_s: float
    end_s: float
    probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of speech. `text` keeps its leading space: joined segments make the whole text.

    `avg_logprob`, the mean natural-log probability of its tokens, `no_speech_probability` and
    `temperature` are None where the engine does not say.
    """

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...] = ()
    token_ids: tuple[int, ...] = ()
    avg_logprob: float | None = None
    no_speech_probability: float | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptEnded:
    """The transcript is complete; `language` is empty where the engine does not say."""

    duration_s: float
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisRequest:
    """A text to speak, and how the sound is to be written.

    `voice` None means the model's own. `speed` 2.0 is twice as fast. `rate_hz` None means the
    voice's own rate, or what the encoding asks for. With `is_file`, a WAV header tells the true
    length, which can only be written when all has been spoken.
    """

    text: str
    voice: str | None = None
    language: str | None = None
    speed: float = 1.0
    instructions: str = ""
    encoding: AudioEncoding = AudioEncoding.MP3
    rate_hz: int | None = None
    bit_rate: int | None = None
    is_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceCard:
    """What a list says of a voice. `language` is a code or empty."""

    voice_id: str
    name: str
    language: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioChunk:
    """Sound as an engine makes it: mono PCM, signed 16-bit little-endian, `rate_hz` a second."""

    pcm: bytes
    rate_hz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioStarted:
    """Sound will come, of this media type and rate."""

    media_type: str
    rate_hz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioData:
    """The next bytes of the encoded sound."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEnded:
    """All of the text has been spoken."""

    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechDetectionRequest:
    """How to find speech in an audio file, which travels beside this.

    `threshold` is the least probability that counts as speech, 0 to 1. Shorter speech than
    `min_speech_s` is left out, shorter silence than `min_silence_s` does not end a span, and each
    span is widened by `padding_s`. None leaves it to the engine.
    """

    threshold: float | None = None
    min_speech_s: float | None = None
    min_silence_s: float | None = None
    padding_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechSpan:
    """Somebody speaks from `start_s` to `end_s`."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionEnded:
    """The audio has been heard to its end."""

    duration_s: float


AudioRequest = TranscriptionRequest | SynthesisRequest | SpeechDetectionRequest
AudioEvent = (
    Progress | Segment | TranscriptEnded | AudioStarted | AudioData | AudioEnded
    | SpeechSpan | DetectionEnded | Failed
)  # fmt: skip

"""Tones: writes text as tones, and reads such tones again. No model; needs numpy and PyAV.

It is to sound what echo is to text: what goes through it must come out again, word by word and at
the right time, whatever file format lies between. Each byte of a word is two tones out of sixteen;
words have a short silence between them, sentences a longer one.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import msgspec
import numpy as np

from localai.domain.audio import (
    AudioChunk,
    Segment,
    SpeechDetectionRequest,
    SpeechSpan,
    SynthesisRequest,
    TranscriptEnded,
    TranscriptionRequest,
    Word,
)
from localai.domain.errors import InvalidRequest, SpecInvalid
from localai.wire.messages import LoadRequest, ModelFacts, Voice
from localai.worker.audio import RATE_HZ, Sound, Window, by_windows
from localai.worker.audio.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from numpy.typing import NDArray

    from localai.domain.events import Progress

_TONE_S = 0.04
_LOWEST_HZ = 500.0
_STEP_HZ = 125.0
_TONES = 16
_AMPLITUDE = 0.3
_GAP_S = 0.12  # between words
_PAUSE_S = 0.5  # between sentences
_FRAME_S = 0.005
_LOUD = 0.02  # mean amplitude that is no silence
_VOICES = {"bass": 16_000, "treble": 22_050}  # name -> rate in Hz


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a tones model, all for tests.

    `delay_s` is the pause before each sentence or segment; `crash_after` counts those until the
    process kills itself.
    """

    delay_s: float = 0.0
    crash_after: int = -1
    slots: int = 4


class Backend:
    """A modem."""

    def __init__(self, options: Options) -> None:
        self._options = options

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Read the settings; there is nothing else to load."""
        settings = dict(option.split(":", 1) for option in request.options if ":" in option)
        try:
            return cls(msgspec.convert(settings, Options, strict=False))
        except msgspec.ValidationError as error:
            message = f"The tones backend cannot use its settings: {error}."
            raise SpecInvalid(message) from error

    @property
    def facts(self) -> ModelFacts:
        """The settings, as facts."""
        voices = [Voice(voice_id=name, name=name.title()) for name in _VOICES]
        return ModelFacts(slots=self._options.slots, device="CPU", voices=voices)

    async def close(self) -> None:
        """Nothing to free."""

    async def synthesize(self, request: SynthesisRequest) -> AsyncGenerator[AudioChunk, None]:
        """Write the text as tones, a sentence at a time."""
        rate_hz = _VOICES.get(request.voice or "bass")
        if rate_hz is None:
            message = f"The model has no voice {request.voice!r}; it has {', '.join(_VOICES)}."
            raise InvalidRequest(message, param="voice")
        for count, sentence in enumerate(sentences(request.text)):
            await self._misbehave(count)
            samples = _spoken(sentence, rate_hz, _TONE_S / request.speed)
            pcm = (samples * 32767).astype("<i2").tobytes()
            yield AudioChunk(pcm=pcm, rate_hz=rate_hz)

    async def transcribe(
        self, request: TranscriptionRequest, sound: Sound
    ) -> AsyncGenerator[Segment | Progress | TranscriptEnded, None]:
        """Read the tones; "translated" means in capital letters."""
        count = 0

        async def hear(window: Window) -> list[Segment]:
            nonlocal count
            await self._misbehave(count)
            count += 1
            heard = [_segment(words, request) for words in _groups(_words(window.samples))]
            return [] if request.prompt == "hear nothing" else heard

        async with aclosing(by_windows(sound, hear)) as events:
            async for event in events:
                yield event
        yield TranscriptEnded(duration_s=sound.heard_s, language=request.language or "en")

    async def detect_speech(
        self, request: SpeechDetectionRequest, sound: Sound
    ) -> AsyncGenerator[SpeechSpan | Progress, None]:
        """Where there are tones; sentences apart."""
        longest_gap_s = request.min_silence_s or _PAUSE_S / 2
        async with aclosing(sound.windows()) as windows:
            async for window in windows:
                for group in _groups(_words(window.samples), longest_gap_s):
                    yield SpeechSpan(
                        start_s=round(window.start_s + group[0].start_s, 3),
                        end_s=round(window.start_s + group[-1].end_s, 3),
                    )
                yield sound.progress

    async def _misbehave(self, count: int) -> None:
        if count == self._options.crash_after:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._options.delay_s:
            await asyncio.sleep(self._options.delay_s)


def _spoken(sentence: str, rate_hz: int, tone_s: float) -> NDArray[np.float64]:
    """The samples of a sentence and the pause after it."""
    pieces = []
    for word in sentence.split():
        for byte in word.encode():
            pieces += [_tone(byte >> 4, rate_hz, tone_s), _tone(byte & 15, rate_hz, tone_s)]
        pieces.append(np.zeros(int(_GAP_S * rate_hz)))
    return np.concatenate([*pieces, np.zeros(int((_PAUSE_S - _GAP_S) * rate_hz))])


def _tone(number: int, rate_hz: int, tone_s: float) -> NDArray[np.float64]:
    times = np.arange(int(tone_s * rate_hz)) / rate_hz
    wave = np.sin(2 * np.pi * (_LOWEST_HZ + _STEP_HZ * number) * times)
    edge = np.minimum(1.0, np.minimum(times, times[::-1]) / (tone_s / 20))
    return _AMPLITUDE * wave * edge


def _words(samples: NDArray[np.float32]) -> Iterator[Word]:
    """The words of a window, with times from its beginning."""
    frame = int(_FRAME_S * RATE_HZ)
    whole = len(samples) // frame * frame
    loudness = np.abs(samples[:whole]).reshape(-1, frame).mean(axis=1)
    is_loud = np.concatenate([[False], loudness > _LOUD, [False]])
    edges = np.flatnonzero(is_loud[1:] != is_loud[:-1]).tolist()
    longest_gap = int(_GAP_S / 2 / _FRAME_S)
    start = end = -1
    for began, ended in [*zip(edges[::2], edges[1::2], strict=True), (whole, whole)]:
        if start >= 0 and began - end > longest_gap:
            yield from _word(samples, start * frame, end * frame)
            start = -1
        start = began if start < 0 else start
        end = ended


def _word(samples: NDArray[np.float32], start: int, end: int) -> Iterator[Word]:
    tone = _TONE_S * RATE_HZ
    count = round((end - start) / tone)
    numbers = []
    for place in range(count):
        middle = start + (place + 0.5) * tone
        part = samples[int(middle) - _HEARD // 2 :][:_HEARD]
        numbers.append(int(np.abs(_TURNS[:, : len(part)] @ part).argmax()))
    pairs = zip(numbers[::2], numbers[1::2], strict=False)
    text = bytes(high << 4 | low for high, low in pairs).decode(errors="replace")
    if text:
        yield Word(text=text, start_s=start / RATE_HZ, end_s=end / RATE_HZ, probability=1.0)


# Of each tone the middle is compared with every frequency.
_HEARD = int(_TONE_S * RATE_HZ * 0.6)
_FREQUENCIES = _LOWEST_HZ + _STEP_HZ * np.arange(_TONES)
_TURNS = np.exp(-2j * np.pi * np.arange(_HEARD)[None] / RATE_HZ * _FREQUENCIES[:, None])


def _groups(words: Iterator[Word], longest_gap_s: float = _PAUSE_S / 2) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and word.start_s - group[-1].end_s > longest_gap_s:
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _segment(words: list[Word], request: TranscriptionRequest) -> Segment:
    if request.translate:
        words = [replace(word, text=word.text.upper()) for word in words]
    return Segment(
        text="".join(f" {word.text}" for word in words),
        start_s=words[0].start_s,
        end_s=words[-1].end_s,
        words=tuple(words) if request.wants_words else (),
        temperature=request.temperature or 0.0,
    )

"""Transcripts as JSON, whole and as a stream."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from localai.dialects.contract import Frame
from localai.dialects.openai.errors import error_body
from localai.dialects.openai.spelling import DONE, to_json
from localai.domain.audio import AudioEvent, Segment, TranscriptEnded, Word
from localai.domain.audio_rules import Transcript
from localai.domain.events import Failed
from localai.domain.languages import LANGUAGES


def brief(whole: Transcript) -> bytes:
    """The text alone: response_format json."""
    return to_json({"text": whole.text, "usage": _usage(whole)})


def verbose(whole: Transcript, task: str, granularities: Sequence[str]) -> bytes:
    """Everything: response_format verbose_json. Without granularities, the segments."""
    answer = {"task": task, **_about(whole), "text": whole.text}
    if "segment" in granularities or not granularities:
        answer["segments"] = [
            _segment(number, segment) for number, segment in enumerate(whole.segments)
        ]
    if "word" in granularities:
        answer["words"] = [_word(word) for word in whole.words]
    return to_json(answer | {"usage": _usage(whole)})


class TranscriptFrames:
    """A transcript as events: the text of each segment, then all of it."""

    def __init__(self, *, wants_words: bool) -> None:
        self._whole = Transcript()
        self._wants_words = wants_words

    def feed(self, event: AudioEvent) -> Sequence[Frame]:
        """The frames for `event`."""
        self._whole.feed(event)
        if isinstance(event, Segment):
            text = event.text if len(self._whole.segments) > 1 else event.text.lstrip()
            return (Frame(to_json({"type": "transcript.text.delta", "delta": text})),)
        if isinstance(event, TranscriptEnded):
            return (Frame(self._done()), DONE)
        if isinstance(event, Failed):
            body = error_body(event.error)
            return (Frame(b'{"type":"error",' + body[1:]), DONE)
        return ()

    def _done(self) -> bytes:
        whole = self._whole
        segments = [_segment(number, segment) for number, segment in enumerate(whole.segments)]
        done: dict[str, Any] = {
            "type": "transcript.text.done",
            "text": whole.text,
            **_about(whole),
            "segments": segments,
        }
        if self._wants_words:
            done["words"] = [_word(word) for word in whole.words]
        return to_json(done | {"usage": _usage(whole)})


def _about(whole: Transcript) -> dict[str, Any]:
    """What the whole file is; the language has its English name, as OpenAI gives it."""
    language = LANGUAGES.get(whole.language, whole.language)
    return {"language": language, "duration": round(whole.duration_s, 3)}


def _usage(whole: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": round(whole.duration_s)}


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    spelled: dict[str, Any] = {
        "id": number,
        "seek": int(segment.start_s * 100),  # in frames of Whisper's spectrogram
        "start": segment.start_s,
        "end": segment.end_s,
        "text": segment.text,
        "tokens": segment.token_ids,
        "compression_ratio": _compression_ratio(segment.text),
    }
    told = {
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "no_speech_prob": segment.no_speech_probability,
    }
    spelled |= {name: value for name, value in told.items() if value is not None}
    if segment.words:
        spelled["words"] = [_word(word) for word in segment.words]
    return spelled


def _word(word: Word) -> dict[str, Any]:
    """OpenAI calls it `word`, LocalAI `text`."""
    return {"word": word.text, "text": word.text, "start": word.start_s, "end": word.end_s}


def _compression_ratio(text: str) -> float:
    """How well it compresses: repetition shows (arXiv:2212.04356, 4.5)."""
    data = text.encode()
    return round(len(data) / len(zlib.compress(data)), 4)

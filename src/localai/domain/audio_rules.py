"""The legal order of the events of sound, and the fold of a transcript.

    transcribe      Progress*  Segment*  TranscriptEnded
    synthesize      Progress*  AudioStarted  AudioData*  AudioEnded
    detect_speech   Progress*  SpeechSpan*  DetectionEnded

Progress and Failed may come at any time; nothing follows the last event. No segment ends before
it begins, nor begins before the one that came before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from localai.domain.audio import (
    AudioData,
    AudioEnded,
    AudioEvent,
    AudioStarted,
    DetectionEnded,
    Segment,
    SpeechSpan,
    TranscriptEnded,
    Word,
)
from localai.domain.errors import StreamRuleBroken
from localai.domain.events import Failed, Progress
from localai.domain.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Iterable

_MEMBERS: dict[Task, tuple[type, ...]] = {
    Task.TRANSCRIBE: (Segment, TranscriptEnded),
    Task.SYNTHESIZE: (AudioStarted, AudioData, AudioEnded),
    Task.DETECT_SPEECH: (SpeechSpan, DetectionEnded),
}


class AudioRules:
    """Checks one stream of `task`, event by event."""

    def __init__(self, task: Task) -> None:
        self._members = _MEMBERS[task]
        self._has_started = False
        self._last_start_s = 0.0
        self.done = False

    def feed(self, event: AudioEvent) -> AudioEvent:
        """Return `event`. Raises StreamRuleBroken when it may not come now."""
        if self.done:
            raise _broken(event, "the stream has ended")
        if isinstance(event, Progress):
            return event
        if isinstance(event, Failed):
            self.done = True
            return event
        if not isinstance(event, self._members):
            raise _broken(event, "another task makes such events")
        match event:
            case Segment() | SpeechSpan():
                self._check_times(event)
            case AudioStarted():
                if self._has_started:
                    raise _broken(event, "the sound has started already")
                self._has_started = True
            case AudioData() | AudioEnded() if not self._has_started:
                raise _broken(event, "the sound has not started")
            case AudioData():
                pass
            case TranscriptEnded() | AudioEnded() | DetectionEnded():
                self.done = True
            case _:
                assert_never(event)
        return event

    def close(self) -> None:
        """Raise StreamRuleBroken when the stream stopped before its last event."""
        if not self.done:
            message = "The worker's answer stopped before its end."
            raise StreamRuleBroken(
                message, hint="Try again; if it stays, report it with the worker's log."
            )

    def _check_times(self, event: Segment | SpeechSpan) -> None:
        times = (self._last_start_s, event.start_s, event.end_s)
        if not all(map(math.isfinite, times)) or list(times) != sorted(times):
            why = f"{event.start_s:g} to {event.end_s:g} s after one from {self._last_start_s:g} s"
            raise _broken(event, why)
        self._last_start_s = event.start_s


def _broken(event: AudioEvent, why: str) -> StreamRuleBroken:
    return StreamRuleBroken(
        f"The worker sent {type(event).__name__} out of order: {why}.",
        hint="This is a bug in the backend; report it with the worker's log.",
    )


@dataclass(slots=True)
class Transcript:
    """A whole transcript. `language` is empty where the engine does not say."""

    segments: list[Segment] = field(default_factory=list)
    duration_s: float = 0.0
    language: str = ""

    @property
    def text(self) -> str:
        """What was said, from all segments."""
        return "".join(segment.text for segment in self.segments).strip()

    @property
    def words(self) -> list[Word]:
        """The words of all segments, where they were asked for."""
        return [word for segment in self.segments for word in segment.words]

    def feed(self, event: AudioEvent) -> None:
        """Take one event of a transcript that AudioRules has checked."""
        if isinstance(event, Segment):
            self.segments.append(event)
        elif isinstance(event, TranscriptEnded):
            self.duration_s, self.language = event.duration_s, event.language


def transcript(events: Iterable[AudioEvent]) -> Transcript:
    """The whole transcript of a finished, checked stream."""
    whole = Transcript()
    for event in events:
        whole.feed(event)
    return whole

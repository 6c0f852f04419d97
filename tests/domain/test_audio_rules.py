"""The order of the events of sound, and the languages."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from localai.domain.audio_rules import AudioRules, transcript
from localai.domain.errors import EngineFailed, InvalidRequest, StreamRuleBroken
from localai.domain.events import Failed, Progress
from localai.domain.languages import LANGUAGES, language_code
from localai.domain.tasks import Task

WORDS = (Word(text="a", start_s=0.0, end_s=0.5),)
FIRST = Segment(text=" a", start_s=0.0, end_s=0.5, words=WORDS)
SECOND = Segment(text=" b", start_s=0.5, end_s=0.5)
STARTED = AudioStarted(media_type="audio/wav", rate_hz=16_000)
SPAN = SpeechSpan(start_s=1.0, end_s=2.0)
WAITING = Progress("listening", 1, 2)
LEGAL: dict[Task, list[list[AudioEvent]]] = {
    Task.TRANSCRIBE: [
        [TranscriptEnded(duration_s=0.0)],
        [WAITING, FIRST, FIRST, SECOND, WAITING, TranscriptEnded(duration_s=1.0, language="en")],
    ],
    Task.SYNTHESIZE: [
        [STARTED, AudioEnded(duration_s=0.0)],
        [WAITING, STARTED, AudioData(data=b"a"), WAITING, AudioData(data=b"b"), AudioEnded(duration_s=1.0)],
    ],
    Task.DETECT_SPEECH: [[DetectionEnded(duration_s=0.0)], [WAITING, SPAN, SPAN, DetectionEnded(duration_s=9.0)]],
}  # fmt: skip
FAILED = Failed(EngineFailed("no"))
CASES = [(task, stream) for task, streams in LEGAL.items() for stream in streams]


def feed(task: Task, events: list[AudioEvent]) -> list[AudioEvent]:
    rules = AudioRules(task)
    fed = [rules.feed(event) for event in events]
    rules.close()
    return fed


@pytest.mark.parametrize(("task", "stream"), CASES)
def test_legal_streams_pass_unchanged(task: Task, stream: list[AudioEvent]) -> None:
    assert feed(task, stream) == stream


@pytest.mark.parametrize(("task", "stream"), CASES)
def test_nothing_is_missing_at_the_end_or_after_it(task: Task, stream: list[AudioEvent]) -> None:
    for length in range(len(stream)):
        with pytest.raises(StreamRuleBroken):
            feed(task, stream[:length])
        assert feed(task, [*stream[:length], FAILED])[-1] is FAILED
    for more in (*stream, FAILED, WAITING):
        with pytest.raises(StreamRuleBroken):
            feed(task, [*stream, more])


def test_a_task_has_its_own_events() -> None:
    for (task, _), (other, stream) in itertools.product(CASES, CASES):
        if task is not other:
            with pytest.raises(StreamRuleBroken):
                feed(task, stream)


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(2.0, 1.0), (-1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))]
)
def test_times_make_sense(start_s: float, end_s: float) -> None:
    with pytest.raises(StreamRuleBroken):
        AudioRules(Task.TRANSCRIBE).feed(Segment(text="", start_s=start_s, end_s=end_s))
    with pytest.raises(StreamRuleBroken):
        AudioRules(Task.DETECT_SPEECH).feed(SpeechSpan(start_s=start_s, end_s=end_s))


def test_segments_come_in_order() -> None:
    rules = AudioRules(Task.TRANSCRIBE)
    rules.feed(SECOND)
    with pytest.raises(StreamRuleBroken):
        rules.feed(FIRST)


def test_sound_starts_once_and_first() -> None:
    for events in ([AudioData(data=b"")], [AudioEnded(duration_s=0)], [STARTED, STARTED]):
        with pytest.raises(StreamRuleBroken):
            feed(Task.SYNTHESIZE, events)


def test_a_transcript_is_the_fold() -> None:
    whole = transcript(LEGAL[Task.TRANSCRIBE][1])
    assert (whole.text, whole.duration_s, whole.language) == ("a a b", 1.0, "en")
    assert whole.segments == [FIRST, FIRST, SECOND]
    assert whole.words == [*WORDS, *WORDS]


def test_languages_have_many_spellings() -> None:
    for code, name in LANGUAGES.items():
        assert (
            language_code(code)
            == language_code(name.title())
            == language_code(f" {code}-XX ")
            == code
        )
    assert len(LANGUAGES) == 100
    assert language_code("") is language_code("auto") is None
    assert (language_code("flemish"), language_code("nb"), language_code("zh_TW")) == (
        "nl",
        "no",
        "zh",
    )


def test_an_unknown_language_is_an_error_with_a_guess() -> None:
    with pytest.raises(InvalidRequest) as caught:
        language_code("germn")
    assert caught.value.hint == "Did you mean german (de)?"
    assert caught.value.fields["param"] == "language"


@given(st.text(max_size=60))
def test_any_text_is_a_language_or_an_error(text: str) -> None:
    try:
        assert language_code(text) in {None, *LANGUAGES}
    except InvalidRequest as error:
        assert error.hint

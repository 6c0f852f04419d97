"""The events of sound cross the wire and stay what they are."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.domain import audio
from localai.domain.errors import EngineFailed, InvalidRequest
from localai.domain.events import Failed, Progress
from localai.domain.tasks import AUDIO
from localai.wire.audio import (
    decode_audio_event,
    decode_audio_request,
    encode_audio_event,
    encode_audio_request,
)

texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.floats(0, 1e9)
words = st.builds(
    audio.Word, text=texts, start_s=numbers, end_s=numbers, probability=st.none() | numbers
)
events = st.one_of(
    st.builds(Progress, texts, st.integers(0, 2**40), st.integers(0, 2**40)),
    st.builds(
        audio.Segment, text=texts, start_s=numbers, end_s=numbers, words=st.lists(words).map(tuple),
        token_ids=st.lists(st.integers(0, 2**31)).map(tuple), avg_logprob=st.none() | numbers,
        no_speech_probability=st.none() | numbers, temperature=st.none() | numbers,
    ),
    st.builds(audio.TranscriptEnded, duration_s=numbers, language=texts),
    st.builds(audio.AudioStarted, media_type=texts, rate_hz=st.integers(1, 10**6)),
    st.builds(audio.AudioData, data=st.binary()),
    st.builds(audio.AudioEnded, duration_s=numbers),
    st.builds(audio.SpeechSpan, start_s=numbers, end_s=numbers),
    st.builds(audio.DetectionEnded, duration_s=numbers),
)  # fmt: skip


@given(events)
def test_events(event: audio.AudioEvent) -> None:
    line = encode_audio_event(event)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode_audio_event(line) == event


def test_failures_keep_kind_and_fields() -> None:
    error = InvalidRequest("The file is empty.", param="file", hint="Send one.")
    found = decode_audio_event(encode_audio_event(Failed(error)))
    assert isinstance(found, Failed)
    assert isinstance(found.error, InvalidRequest)
    assert (found.error.sentence, found.error.fields) == (error.sentence, error.fields)
    assert isinstance(decode_audio_event(encode_audio_event(Failed(EngineFailed("x")))), Failed)


@pytest.mark.parametrize("task", AUDIO)
def test_requests(task: str) -> None:
    kind = AUDIO[task]
    request = kind(text="a\nb") if kind is audio.SynthesisRequest else kind()
    line = encode_audio_request(request)
    assert line.count(b"\n") == 1
    assert decode_audio_request(task, line) == request


@pytest.mark.parametrize("line", [b"", b"{}", b'{"event":"delta"}', b'{"event":"speech"}', b"\xff"])
def test_anything_else_is_an_error(line: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode_audio_event(line)


def test_a_segment_is_short_on_the_wire() -> None:
    line = encode_audio_event(audio.Segment(text=" a", start_s=0.0, end_s=1.0))
    assert json.loads(line) == {"event": "segment", "text": " a", "start_s": 0.0, "end_s": 1.0}

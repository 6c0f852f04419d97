"""Transcripts in every form, and forms with any fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.dialects.openai import TranscriptionEndpoint, TranslationEndpoint
from localai.dialects.openai.transcriptions import FORMATS, TranscriptionForm
from localai.domain.audio import AudioEvent, Segment, TranscriptEnded, TranscriptionRequest, Word
from localai.domain.errors import EngineFailed, RequestError
from localai.domain.events import Failed, Progress
from tests.dialects.golden_files import ORIGIN

DAY = 26 * 3600 + 3 * 60 + 4.567  # beyond a day: hours go on
EVENTS: list[AudioEvent] = [
    Progress("listening", 0, 9),
    Segment(
        text=" Hello, <b>you</b> & me.",
        start_s=0.0,
        end_s=59.9996,
        words=(
            Word(text="Hello,", start_s=0.0, end_s=0.5),
            Word(text="you", start_s=0.5, end_s=1.0),
        ),
        token_ids=(1, 2),
        avg_logprob=-0.25,
        no_speech_probability=0.01,
        temperature=0.0,
    ),
    Segment(text=" Good\n\nbye --> now.", start_s=DAY, end_s=DAY + 2),
    TranscriptEnded(duration_s=DAY + 2.5, language="de"),
]
SRT = """\
1
00:00:00,000 --> 00:01:00,000
Hello, <b>you</b> & me.

2
26:03:04,567 --> 26:03:06,567
Good bye --> now.
"""
VTT = """\
WEBVTT

00:00:00.000 --> 00:01:00.000
Hello, &lt;b&gt;you&lt;/b&gt; &amp; me.

26:03:04.567 --> 26:03:06.567
Good bye --&gt; now.
"""
LRC = """\
[re:local-ai]
[00:00.00]Hello, <b>you</b> & me.
[1563:04.57]Good bye --> now.
"""
TEXT = "Hello, <b>you</b> & me. Good\n\nbye --> now."


def answered(**fields: str) -> Any:
    form = {name: [value] for name, value in fields.items()}
    whole = TranscriptionEndpoint().decode(form, ORIGIN).encode(EVENTS)
    return json.loads(whole.body) if whole.media_type == "application/json" else whole.body.decode()


def test_subtitles_and_text() -> None:
    assert answered(response_format="srt") == SRT
    assert answered(response_format="vtt") == VTT
    assert answered(response_format="lrc") == LRC
    assert answered(response_format="text") == answered(response_format="txt") == TEXT + "\n"


def test_the_short_answer() -> None:
    assert answered(response_format="json") == {
        "text": TEXT,
        "usage": {"type": "duration", "seconds": 93787},
    }


def test_the_long_answer_is_the_default() -> None:
    found = answered()
    assert found == answered(response_format="verbose_json") == answered(response_format="")
    assert (found["task"], found["language"], found["duration"]) == (
        "transcribe",
        "german",
        93787.067,
    )
    assert "words" not in found
    assert found["segments"][0] | {"words": []} == {
        "id": 0, "seek": 0, "start": 0.0, "end": 59.9996, "text": " Hello, <b>you</b> & me.",
        "tokens": [1, 2], "temperature": 0.0, "avg_logprob": -0.25, "no_speech_prob": 0.01,
        "compression_ratio": 0.75, "words": [],
    }  # fmt: skip
    assert [segment["id"] for segment in found["segments"]] == [0, 1]


def test_words_have_both_names() -> None:
    found = answered(**{"timestamp_granularities[]": "word"})
    assert "segments" not in found
    assert found["words"][1] == {"word": "you", "text": "you", "start": 0.5, "end": 1.0}
    both = answered(timestamp_granularities="word, segment")
    assert both["words"] == found["words"]
    assert len(both["segments"]) == 2


def test_a_translation_says_so() -> None:
    call = TranslationEndpoint().decode({"language": ["German"]}, ORIGIN)
    assert call.request == TranscriptionRequest(language="de", translate=True)
    assert json.loads(call.encode(EVENTS).body)["task"] == "translate"


def frames(events: list[AudioEvent]) -> list[Any]:
    call = TranscriptionEndpoint().decode({"stream": ["true"]}, ORIGIN)
    encoder = call.stream_encoder()
    found = [frame.data for event in events for frame in encoder.feed(event)]
    return [json.loads(data) if data != b"[DONE]" else "[DONE]" for data in found]


def test_a_stream_of_events() -> None:
    first, second, done, end = frames(EVENTS)
    assert first["type"] == second["type"] == "transcript.text.delta"
    assert first["delta"] + second["delta"] == TEXT == done["text"]
    assert (done["type"], done["language"]) == ("transcript.text.done", "german")
    assert len(done["segments"]) == 2
    assert end == "[DONE]"


def test_a_stream_that_fails_says_why() -> None:
    *_, error, end = frames([EVENTS[1], Failed(EngineFailed("It broke."))])
    assert (error["type"], error["error"]["message"]) == ("error", "It broke.")
    assert end == "[DONE]"


REFUSED = {
    "response_format": [("xml", "must be json, text"), ("diarized_json", "speakers apart")],
    "language": [("klingon", "no language")],
    "temperature": [
        ("hot", "must be a number"),
        ("2", "between 0 and 1"),
        ("nan", "must be a number"),
    ],
    "stream": [("perhaps", "true or false")],
    "diarize": [("true", "speakers apart")],
    "known_speaker_names[]": [("Ann", "speakers apart")],
    "timestamp_granularities[]": [("letter", "segment and word")],
}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [(name, value, why) for name, cases in REFUSED.items() for value, why in cases],
)
def test_wrong_fields_are_named(name: str, value: str, why: str) -> None:
    with pytest.raises(RequestError) as caught:
        TranscriptionEndpoint().decode({name: [value]}, ORIGIN)
    assert why in caught.value.message
    assert caught.value.fields["param"] == name.removesuffix("[]")


def test_subtitles_do_not_stream() -> None:
    with pytest.raises(RequestError) as caught:
        TranscriptionEndpoint().decode({"stream": ["1"], "response_format": ["srt"]}, ORIGIN)
    assert "response_format of a stream is 'srt'" in caught.value.message


def test_empty_fields_count_as_absent_and_the_last_value_counts() -> None:
    form = {"language": ["fr", "de"], "temperature": [""], "prompt": [" "], "stream": ["False"]}
    call = TranscriptionEndpoint().decode(form, ORIGIN)
    assert call.request == TranscriptionRequest(language="de")
    assert not call.streams


NAMES = [*TranscriptionForm.__struct_fields__, "timestamp_granularities[]", "other"]
VALUES = st.text(max_size=8) | st.sampled_from(
    ["true", "0", "1", "0.5", "-1", "1e999", "en", "word", "segment,word", *FORMATS]
)


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(VALUES, max_size=3), max_size=6))
def test_any_form_is_a_call_or_an_error(form: dict[str, list[str]]) -> None:
    try:
        call = TranscriptionEndpoint().decode(form, ORIGIN)
    except RequestError as error:
        assert error.sentence.endswith((".", "?"))
        reply = TranscriptionEndpoint().error(error)
        assert reply.status == 400
        assert json.loads(reply.body)["error"]["message"] == error.sentence
    else:
        assert call.encode(EVENTS).body

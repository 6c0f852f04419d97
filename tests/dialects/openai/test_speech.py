"""Bodies that ask for speech."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.dialects.openai import SpeechEndpoint, TtsEndpoint, encode_voices
from localai.dialects.openai.speech import FORMATS, SpeechBody, SpeechCall
from localai.domain.audio import (
    AudioData,
    AudioEncoding,
    AudioEnded,
    AudioStarted,
    SynthesisRequest,
    VoiceCard,
)
from localai.domain.errors import EngineFailed, RequestError
from localai.domain.events import Failed, Progress
from tests.dialects.golden_files import ORIGIN


def decoded(endpoint: SpeechEndpoint | None = None, **fields: Any) -> SpeechCall:
    body = json.dumps({"input": "Hi", **fields}).encode()
    return (endpoint or SpeechEndpoint()).decode(body, ORIGIN, "", {})


def test_defaults_are_those_of_each_api() -> None:
    assert decoded().request == SynthesisRequest(text="Hi", is_file=True)
    assert decoded().request.encoding is AudioEncoding.MP3
    assert decoded(TtsEndpoint()).request.encoding is AudioEncoding.WAV


def test_every_field_arrives() -> None:
    call = decoded(
        model="m", voice={"id": "v"}, response_format="OPUS", speed=0.25, language="de",
        instructions="Softly.", sample_rate=16_000, stream=True, stream_format="sse",
    )  # fmt: skip
    assert (call.model, call.streams) == ("m", True)
    assert call.request == SynthesisRequest(
        text="Hi", voice="v", language="de", speed=0.25, instructions="Softly.",
        encoding=AudioEncoding.OPUS, rate_hz=16_000,
    )  # fmt: skip


def test_a_stream_is_no_file() -> None:
    assert not decoded(stream=True).request.is_file
    assert not decoded(stream_format="sse").request.is_file
    assert decoded(response_format="wav", stream_format="audio").request.is_file


REFUSED = [
    ({"input": ""}, "input", "input is empty"),
    ({"input": " \n"}, "input", "input is empty"),
    ({"input": "a" * 100_000}, "input", "input has 100000 characters; at most 50000"),
    ({"input": 5}, "input", "must be a string"),
    ({"input": None}, "input", "must be a string"),
    ({"response_format": "mp4"}, "response_format", "must be mp3, opus, aac, flac, wav or pcm"),
    ({"speed": 0.2}, "speed", "between 0.25 and 4"),
    ({"speed": 4.1}, "speed", "between 0.25 and 4"),
    ({"sample_rate": 1}, "sample_rate", "between 8000 and 96000"),
    ({"stream_format": "xml"}, "stream_format", "must be audio or sse"),
    ({"voice": 7}, "voice", "must be"),
]


@pytest.mark.parametrize(("fields", "param", "why"), REFUSED)
def test_wrong_fields_are_named(fields: dict[str, Any], param: str, why: str) -> None:
    with pytest.raises(RequestError) as caught:
        decoded(**fields)
    assert why in caught.value.message
    assert caught.value.fields["param"] == param


def test_events() -> None:
    encoder = decoded(stream_format="sse").stream_encoder()
    events = [
        Progress("speaking", 0, 0),
        AudioStarted(media_type="audio/mpeg", rate_hz=24_000),
        AudioData(data=b"abc"),
        AudioEnded(duration_s=1.0),
    ]
    delta, done = [json.loads(f.data) for event in events for f in encoder.feed(event)]
    assert delta["type"] == "speech.audio.delta"
    assert base64.b64decode(delta["audio"]) == b"abc"
    assert done["type"] == "speech.audio.done"
    (failed,) = encoder.feed(Failed(EngineFailed("It broke.")))
    assert json.loads(failed.data)["error"]["message"] == "It broke."


def test_the_list_of_voices() -> None:
    card = VoiceCard(voice_id="a", name="Ann", language="en", model="m")
    assert json.loads(encode_voices([card])) == {
        "voices": [{"id": "a", "name": "Ann", "language": "en"}]
    }


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
values |= st.sampled_from([*FORMATS, "sse", "audio"]) | st.dictionaries(st.just("id"), values)


@given(st.dictionaries(st.sampled_from(SpeechBody.__struct_fields__), values))
def test_any_body_is_a_call_or_an_error(fields: dict[str, Any]) -> None:
    body = json.dumps(fields).encode()
    for endpoint in (SpeechEndpoint(), TtsEndpoint()):
        try:
            call = endpoint.decode(body, ORIGIN, "", {})
        except RequestError as error:
            assert error.sentence.endswith((".", "?"))
            assert endpoint.error(error).status == 400
        else:
            assert call.request.text

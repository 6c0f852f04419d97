"""ElevenLabs' bodies, formats and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.dialects.elevenlabs import (
    SpeechEndpoint,
    TextToSpeechBody,
    encode_voice,
    encode_voices,
    error_reply,
)
from localai.dialects.elevenlabs.errors import ERRORS
from localai.dialects.elevenlabs.speech import OUTPUT_FORMATS, SpeechCall
from localai.domain.audio import AudioEncoding, SynthesisRequest, VoiceCard
from localai.domain.errors import InvalidRequest, RequestError
from tests.dialects.golden_files import ORIGIN
from tests.domain.test_errors import EXAMPLES


def decoded(query: dict[str, str] | None = None, **fields: Any) -> SpeechCall:
    body = json.dumps({"text": "Hi", **fields}).encode()
    return SpeechEndpoint().decode(body, ORIGIN, "ann", query or {})


def test_a_call() -> None:
    call = decoded(
        {"output_format": "opus_48000_64"}, model_id="m", language_code="de",
        voice_settings={"speed": 0.7, "stability": 0.5}, seed=5,
    )  # fmt: skip
    assert call.model == "m"
    assert call.request == SynthesisRequest(
        text="Hi", voice="ann", language="de", speed=0.7, encoding=AudioEncoding.OPUS,
        rate_hz=48_000, bit_rate=64_000, is_file=True,
    )  # fmt: skip


def test_their_models_mean_ours() -> None:
    assert decoded(model_id="eleven_multilingual_v2").model == ""
    assert decoded().model == ""


@pytest.mark.parametrize("written", OUTPUT_FORMATS)
def test_every_format(written: str) -> None:
    request = decoded({"output_format": written}).request
    codec, rate, *kilobits = written.split("_")
    assert request.encoding.value == {"ulaw": "mulaw"}.get(codec, codec)
    assert request.rate_hz == int(rate)
    assert request.bit_rate == (int(kilobits[0]) * 1000 if kilobits else None)


def test_mp3_is_the_default() -> None:
    request = decoded().request
    assert (request.encoding, request.rate_hz, request.bit_rate) == ("mp3", 44_100, 128_000)


REFUSED = [
    ({}, {"text": ""}, "text"),
    ({}, {"text": "a" * 100_000}, "text"),
    ({"output_format": "mp3"}, {}, "output_format"),
    ({}, {"voice_settings": {"speed": 9}}, "voice_settings.speed"),
    ({}, {"voice_settings": 3}, "voice_settings"),
]


@pytest.mark.parametrize(("query", "fields", "param"), REFUSED)
def test_wrong_fields_are_named(query: dict[str, str], fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        decoded(query, **fields)
    assert caught.value.fields["param"] == param
    detail = json.loads(error_reply(caught.value).body)["detail"]
    assert detail == {"status": "invalid_request", "message": caught.value.sentence}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: error.kind)
def test_every_error_is_spelled(error: Any) -> None:
    reply = error_reply(error)
    assert 400 <= reply.status < 600
    detail = json.loads(reply.body)["detail"]
    assert detail["message"] == error.sentence
    assert detail["status"] in {row.word for row in ERRORS.values()}


def test_a_missing_voice_is_told_apart() -> None:
    reply = error_reply(InvalidRequest("There is no voice 'x'.", param="voice"))
    assert reply.status == 404
    assert json.loads(reply.body)["detail"]["status"] == "voice_not_found"


def test_voices() -> None:
    card = VoiceCard(voice_id="a", name="Ann", language="en", model="m")
    one = json.loads(encode_voice(card))
    listed = json.loads(encode_voices([card]))
    assert (listed["voices"], listed["has_more"], listed["total_count"]) == ([one], False, 1)
    assert (one["voice_id"], one["name"], one["labels"]) == ("a", "Ann", {"language": "en"})


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
values |= st.dictionaries(st.just("speed"), values)


@given(
    st.dictionaries(st.sampled_from(TextToSpeechBody.__struct_fields__), values),
    st.text(max_size=9) | st.sampled_from(OUTPUT_FORMATS),
)
def test_any_body_is_a_call_or_an_error(fields: dict[str, Any], written: str) -> None:
    body = json.dumps(fields).encode()
    try:
        call = SpeechEndpoint().decode(body, ORIGIN, "v", {"output_format": written})
    except RequestError as error:
        assert error.sentence.endswith(".")
        assert error_reply(error).status == 400
    else:
        assert call.request.text

"""Samples as JSON, and spans."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.dialects.native import VadBody, VadEndpoint
from localai.dialects.openai import error_reply
from localai.domain.audio import DetectionEnded, SpeechDetectionRequest, SpeechSpan
from localai.domain.errors import RequestError
from tests.dialects.golden_files import ORIGIN
from tests.sounds import heard

ENDPOINT = VadEndpoint(error_reply)


def decoded(**fields: Any) -> Any:
    return ENDPOINT.decode_samples(json.dumps(fields).encode(), ORIGIN)


def test_samples_become_a_file() -> None:
    samples = [0.0, 0.5, -0.5, 1.0, -1.0, 0.123456]
    call, file = decoded(audio=samples, model="m", threshold=0.3, speech_pad_ms=20)
    assert call.model == "m"
    assert call.request == SpeechDetectionRequest(threshold=0.3, padding_s=0.02)
    found, rate_hz = heard(file)
    assert rate_hz == 16_000
    assert found == pytest.approx(np.array(samples, np.float32))
    assert heard(decoded(audio=samples, sample_rate=8_000)[1])[1] == 8_000


def test_fields_beside_a_file() -> None:
    call = ENDPOINT.decode({"model": ["m"], "min_silence_duration_ms": ["250"]}, ORIGIN)
    assert call.request == SpeechDetectionRequest(min_silence_s=0.25)


def test_spans() -> None:
    events = [SpeechSpan(start_s=0.5, end_s=1.25), DetectionEnded(duration_s=2.0)]
    body = decoded(audio=[0.0])[0].encode(events).body
    assert json.loads(body) == {"segments": [{"start": 0.5, "end": 1.25}]}


REFUSED = [
    ({"audio": []}, "audio"),
    ({}, "audio"),
    ({"audio": "UklGRg=="}, "audio"),
    ({"audio": [0.0, 5000.0]}, "audio[1]"),
    ({"audio": [0.0], "threshold": 2}, "threshold"),
    ({"audio": [0.0], "sample_rate": 5}, "sample_rate"),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED)
def test_wrong_fields_are_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        decoded(**fields)
    assert caught.value.fields["param"] == param


values = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.floats())


@given(st.dictionaries(st.sampled_from(VadBody.__struct_fields__), values))
def test_any_body_is_a_call_or_an_error(fields: dict[str, Any]) -> None:
    try:
        _, file = decoded(**fields)
    except RequestError as error:
        assert error.sentence.endswith(".")
    else:
        assert file.startswith(b"RIFF")

"""`keep_alive` in every spelling that Ollama's clients use."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.dialects.ollama.durations import keep_alive_s
from localai.domain.errors import InvalidRequest

CASES = [
    (None, None), ("", None), (0, 0), ("0", 0), ("0s", 0), (300, 300), (0.5, 0.5), ("300", 300),
    ("5m", 300), ("1h30m", 5400), ("1.5h", 5400), ("500ms", 0.5), ("2m5s", 125), ("+5m", 300),
    (".5s", 0.5), ("10us", 1e-5), ("10µs", 1e-5), ("1000ns", 1e-6), ("24h", 86400),
    (-1, math.inf), ("-1", math.inf), ("-1m", math.inf), (-0.5, math.inf), ("-1h1s", math.inf),
]  # fmt: skip


@pytest.mark.parametrize(("spelled", "seconds"), CASES, ids=repr)
def test_a_duration_is_seconds(spelled: str | float | None, seconds: float | None) -> None:
    assert keep_alive_s(spelled) == pytest.approx(seconds)


@pytest.mark.parametrize("spelled", ["soon", "5 m", "5x", "m", "5m!", "1h-5m", "1e3", "٣s", "."])
def test_anything_else_is_refused(spelled: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        keep_alive_s(spelled)
    assert caught.value.fields["param"] == "keep_alive"


@given(st.text(alphabet="0123456789.hmsunµ+-", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        seconds = keep_alive_s(text)
    except InvalidRequest:
        return
    assert seconds is None or seconds >= 0

"""docs/reference/openai.md says what the code does."""

from __future__ import annotations

import re

from localai.dialects.openai.chat import REASONING_EFFORTS
from localai.dialects.openai.requests import MOST_CHOICES, MOST_STOPS, MOST_TOP_LOGPROBS
from tests.dialects.openai.reference import DOCUMENT, with_tables


def test_the_tables_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text()
    again = "python -m tests.dialects.openai.reference writes the tables anew"
    assert text == with_tables(text), again


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text()
    assert f"at most {MOST_STOPS} texts" in text
    assert f"at most {MOST_CHOICES} answers" in text
    assert f"up to {MOST_TOP_LOGPROBS}" in text
    assert ", ".join(f"`{effort}`" for effort in REASONING_EFFORTS) in re.sub(r"\s+", " ", text)

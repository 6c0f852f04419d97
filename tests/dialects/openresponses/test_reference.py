"""docs/reference/responses.md says what the code does."""

from __future__ import annotations

import re

from localai.dialects.openresponses import generation
from localai.dialects.openresponses.conversations import MOST_ITEMS
from localai.dialects.openresponses.queries import MOST_LISTED
from localai.inference.responses_jobs import Limits
from tests.dialects.openresponses.reference import DOCUMENT, with_tables


def test_the_tables_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text()
    again = "python -m tests.dialects.openresponses.reference writes the tables anew"
    assert text == with_tables(text), again


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    text = re.sub(r"\s+", " ", DOCUMENT.read_text())
    assert f"at most {generation.MOST_STOPS} texts" in text
    assert f"at most {generation.MOST_METADATA} pairs" in text
    assert f"keys of up to {generation.LONGEST_KEY} and" in text
    assert f"values of up to {generation.LONGEST_VALUE} characters" in text
    assert f"`limit` (1 to {MOST_LISTED}," in text
    assert f"at most {MOST_ITEMS} items" in text
    assert f"Up to {Limits().events} events" in text
    assert f"and {Limits().event_bytes // 2**20} MiB" in text
    assert ", ".join(f"`{effort}`" for effort in generation.EFFORTS) in text

"""docs/reference/ollama.md says what the code does."""

from __future__ import annotations

import re

from localai.dialects.ollama.generation import REASONING_EFFORTS
from localai.dialects.ollama.library import SPOKEN_VERSION
from localai.dialects.ollama.requests import MOST_STOPS, MOST_TOP_LOGPROBS, ChatMessage
from localai.dialects.ollama.tools import UNREADABLE_ARGUMENTS
from tests.dialects.ollama.reference import DOCUMENT, with_tables


def test_the_tables_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text()
    again = "python -m tests.dialects.ollama.reference writes the tables anew"
    assert text == with_tables(text), again


def test_the_words_in_the_text_are_those_of_the_code() -> None:
    text = re.sub(r"\s+", " ", DOCUMENT.read_text())
    assert f"at most {MOST_STOPS} texts" in text
    assert f"up to {MOST_TOP_LOGPROBS}" in text
    assert f'{{"{UNREADABLE_ARGUMENTS}": ' in text
    assert f"`{SPOKEN_VERSION}`" in text
    assert ", ".join(f"`{effort}`" for effort in REASONING_EFFORTS) in text


def test_every_field_of_a_message_is_in_the_text() -> None:
    text = DOCUMENT.read_text()
    assert [name for name in ChatMessage.__struct_fields__ if f"`{name}`" not in text] == []

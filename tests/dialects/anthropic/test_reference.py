"""docs/reference/anthropic.md says what the code does."""

from __future__ import annotations

import re

import msgspec
import pytest

from localai.dialects.anthropic import requests
from localai.dialects.anthropic.answer import UNREADABLE_INPUT
from localai.dialects.anthropic.generation import (
    BUDGET_OPTION,
    DISPLAYS,
    EFFORTS,
    THINKING_TYPES,
)
from localai.dialects.anthropic.requests import (
    LEAST_THINKING_TOKENS,
    MOST_STOPS,
    ContentBlock,
    DocumentSource,
    ImageSource,
    type_words,
)
from tests.dialects.anthropic.reference import DOCUMENT, with_tables

TEXT = DOCUMENT.read_text()


def test_the_tables_are_those_of_the_code() -> None:
    assert with_tables(TEXT) == TEXT, (
        "python -m tests.dialects.anthropic.reference writes them anew"
    )


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    assert f"at most {MOST_STOPS}" in TEXT
    assert f"at least {LEAST_THINKING_TOKENS}" in TEXT


@pytest.mark.parametrize(
    "word",
    [
        *type_words(ContentBlock),
        *type_words(ImageSource),
        *type_words(DocumentSource),
        *EFFORTS,
        *THINKING_TYPES,
        *DISPLAYS,
        BUDGET_OPTION,
        UNREADABLE_INPUT,
    ],
)
def test_every_word_is_explained(word: str) -> None:
    assert re.search(rf"`(?:[^`]*\W)?{word}(?:\W[^`]*)?`", TEXT), word


@pytest.mark.parametrize(
    "name", ["Thinking", "OutputConfig", "OutputFormat", "Tool", "ToolChoice", "Turn"]
)
def test_every_inner_field_is_explained(name: str) -> None:
    for field in msgspec.structs.fields(getattr(requests, name)):
        assert re.search(rf"`(?:[^`]*\W)?{field.encode_name}(?:\W[^`]*)?`", TEXT), field.name

"""A text in pieces to speak."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.worker.audio.sentences import LONGEST, sentences

CASES = {
    "Hello world. How are you? Fine!": ["Hello world.", "How are you?", "Fine!"],
    'He said "Stop!" Then he ran.': ['He said "Stop!"', "Then he ran."],
    "It is 3.14 or 1,000.5 there": ["It is 3.14 or 1,000.5 there"],
    "Dr. Who met Mr. Smith. They left.": ["Dr. Who met Mr. Smith.", "They left."],
    "Wait... what?! Yes… no": ["Wait...", "what?!", "Yes…", "no"],
    "今日は。元気ですか\uff1fはい": ["今日は。", "元気ですか\uff1f", "はい"],
    "नमस्ते। आप": ["नमस्ते।", "आप"],
    "A heading\n\nA text\ngoes on": ["A heading", "A text\ngoes on"],
    "... !!! \n ?": [],
    "": [],
    "🙂🙂": [],
}


@pytest.mark.parametrize("text", CASES)
def test_sentences(text: str) -> None:
    assert list(sentences(text)) == CASES[text]


def test_a_long_sentence_is_cut_at_a_pause_or_between_words_or_anywhere() -> None:
    assert list(sentences("one two, three four", longest=12)) == ["one two,", "three four"]
    assert list(sentences("one two three four", longest=10)) == ["one two", "three four"]
    assert list(sentences("x" * 25, longest=10)) == ["x" * 10, "x" * 10, "x" * 5]


@given(st.text(st.sampled_from("aB1 .,!?\n。\"'…-"), max_size=2000))
def test_nothing_that_can_be_spoken_is_lost(text: str) -> None:
    pieces = list(sentences(text, longest=50))
    assert all(0 < len(piece) <= 50 for piece in pieces)
    spoken = "".join(c for c in text if c.isalnum())
    assert "".join(c for piece in pieces for c in piece if c.isalnum()) == spoken


def test_a_book_is_cut_quickly() -> None:
    pieces = list(sentences("It was a dark night, and nobody slept. " * 5000))
    assert len(pieces) == 5000
    assert max(map(len, sentences("word " * 40_000))) <= LONGEST

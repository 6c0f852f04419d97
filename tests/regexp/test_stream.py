"""Patterns in texts that come in pieces: the same matches as in the whole text, and no later than need be."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.regexp.pattern import Pattern, span
from localai.regexp.stream import PAUSE, Finder, Piece, TooSlow, streamed
from localai.regexp.syntax import BadPattern

ATOMS = ["a", "b", ".", "[ab]", "[^a]", "^", "$", r"\b", r"\B", "(?m:^)", "(?m:$)", "(?s:.)", r"\n"]
SIGNS = ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}"]
patterns = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map("".join)
        | st.tuples(inner, st.sampled_from(SIGNS)).map(lambda pair: f"(?:{pair[0]}){pair[1]}")
        | st.lists(inner, min_size=2, max_size=3).map(lambda options: f"(?:{'|'.join(options)})")
    ),
    max_leaves=6,
)
texts = st.text("ab \n", max_size=12)


def pieces(finder: Finder, parts: Sequence[str]) -> list[Piece]:
    found = [piece for part in parts for piece in finder.feed(part)]
    return [piece for piece in [*found, *finder.end()] if piece is not PAUSE]


@given(patterns, st.lists(texts, max_size=4))
def test_the_matches_are_those_of_the_whole_text(source: str, parts: list[str]) -> None:
    text = "".join(parts)
    found = Pattern(source).search_all(text, -1, lambda _: None)
    expected = [text[slice(*span(match))] for match in found]
    got = pieces(Finder(streamed(source)), parts)
    assert [piece.text for piece in got if piece.is_match] == [part for part in expected if part]
    assert "".join(piece.text for piece in got) == text


@given(patterns, st.lists(texts, min_size=1, max_size=4))
def test_what_came_before_is_forgotten_but_for_the_last_character(
    source: str, parts: list[str]
) -> None:
    """The window moves; assertions at its start see what they would see in the whole text."""
    lead = "b" * 1100
    text = lead + "".join(parts)
    found = Pattern(source).search_all(text, -1, lambda _: None)
    spans = [span(match) for match in found]
    expected = [text[start:end] for start, end in spans if end > start]
    got = pieces(Finder(streamed(source)), [lead, *parts])
    assert [piece.text for piece in got if piece.is_match] == expected


@pytest.mark.parametrize(
    ("source", "steps"),
    [
        ("x", [("abc", "abc"), ("axb", "ab")]),
        ("<t>", [("a<", "a"), ("b", "<b"), ("<t", ""), (">c", "c")]),
        (r"(?s)<t>.*?</t>", [("a<t>b", "a"), ("c</t>d", "d")]),
        (r"\bend\b", [("the e", "the "), ("nd", ""), ("s", "ends"), (" end", " "), (".", ".")]),
        ("(?m)^#.*\n", [("a#\n", "a#\n"), ("#b", ""), ("\nc", "c")]),
        ("a+", [("baa", "b"), ("a", ""), ("b", "b")]),
    ],
)
def test_what_cannot_be_a_match_is_given_at_once(source: str, steps: list[tuple[str, str]]) -> None:
    finder = Finder(streamed(source))
    for text, given_now in steps:
        found = [piece for piece in finder.feed(text) if not piece.is_match]
        assert "".join(piece.text for piece in found) == given_now


def test_a_slow_pattern_pauses_often() -> None:
    finder = Finder(streamed("(?:a?){100}b"))
    pauses = [piece for piece in finder.feed("a" * 2_000) if piece is PAUSE]
    assert len(pauses) > 5


def test_a_pattern_that_looks_at_all_of_the_text_again_and_again_ends() -> None:
    """Every `a` is a match that might have been a longer one, up to the end of the text."""
    finder = Finder(streamed("a(?:.*b)?"))
    with pytest.raises(TooSlow):
        pieces(finder, ["a" * 20_000])


def test_usual_patterns_are_quick_enough_for_long_texts() -> None:
    text = ["some words and a number 12345, " for _ in range(5_000)]
    for source in ("(?s)<think>.*?</think>", r"\*\*", r"\d+", "(?i)sorry[^.]*\\."):
        kept = "".join(piece.text for piece in pieces(Finder(streamed(source)), text))
        assert kept == "".join(text)


def test_a_pattern_that_is_too_large_is_refused() -> None:
    with pytest.raises(BadPattern, match="too large"):
        streamed("(?:abc){500}")
    streamed("(?:abc){50}")

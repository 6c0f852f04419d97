"""Patterns of schemas: the same texts match as Python's own engine says, where the two agree."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.worker.json_schema.regex import BadRegex, lengths, matches, parse, whole
from localai.worker.json_schema.tighten import of_length

ATOMS = ["a", "b", ".", "[ab]", "[^a]", "\\d", "\\x61", "(?:ab|b)", "(a)", "\\.", "[a-c1]"]
SIGNS = ["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"]
inner = st.recursive(
    st.sampled_from(ATOMS),
    lambda parts: (
        st.lists(parts, min_size=1, max_size=3).map("".join)
        | st.tuples(parts, st.sampled_from(SIGNS)).map(lambda both: f"(?:{both[0]}){both[1]}")
        | st.lists(parts, min_size=2, max_size=3).map(lambda options: f"(?:{'|'.join(options)})")
    ),
    max_leaves=6,
)
sources = st.tuples(st.sampled_from(["", "^"]), inner, st.sampled_from(["", "$"])).map("".join)
texts = st.text("abc.1\n", max_size=7)


@given(sources, texts)
def test_texts_match_as_elsewhere(source: str, text: str) -> None:
    expected = re.search(source.replace("$", r"\Z"), text) is not None
    assert matches(whole(parse(source)), text) == expected


@given(sources, texts)
def test_a_text_that_matches_has_one_of_the_lengths(source: str, text: str) -> None:
    tree = whole(parse(source))
    low, high = lengths(tree)
    if matches(tree, text):
        assert low <= len(text)
        assert high is None or len(text) <= high


@given(sources, texts, st.integers(0, 6), st.none() | st.integers(0, 6))
def test_a_pattern_of_a_length_is_part_of_the_pattern(
    source: str, text: str, least: int, most: int | None
) -> None:
    tree = whole(parse(source))
    try:
        fitted = of_length(tree, least, most)
    except BadRegex:
        return
    if matches(fitted, text):
        assert matches(tree, text)
        assert least <= len(text)
        assert most is None or len(text) <= most
    low, high = lengths(fitted)
    assert high is None or low <= high


@pytest.mark.parametrize(
    ("source", "least", "most", "text"),
    [
        ("^[a-z]+$", 3, 5, "abcd"),
        ("^[A-Z][a-z]*$", 0, 3, "Abc"),
        ("abc", 5, 8, "abcde"),
        ("^(?:a|bb)$", 2, 2, "bb"),
        ("^[a-z]+-[0-9]+$", 0, 10, "abc-123"),
        ("^a*b*$", 4, 4, "bbbb"),
    ],
)
def test_a_pattern_can_be_fitted_to_a_length(source: str, least: int, most: int, text: str) -> None:
    assert matches(of_length(whole(parse(source)), least, most), text)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"^\u0041\x42\cJ\u{1F600}$", "AB\n\U0001f600"),
        (r"^\p{Lu}\P{L}$", "Ä1"),
        (r"^[\p{Lu}\d_-]+$", "Ä1_-"),
        (r"^(?<year>\d{4})-(?P<month>\d\d)$", "2026-01"),
        (r"\A\w\Z", "x"),
        (r"^a{,3}]$", "a{,3}]"),
        (r"^[\b\-\]\\]+$", "\b-]\\"),
        (r"^\/$", "/"),
        (r"^(?:)$", ""),
        (r"^()*x$", "x"),
    ],
)
def test_rarer_forms_are_read(source: str, text: str) -> None:
    assert matches(whole(parse(source)), text)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("(", "missing"),
        ("a)", "too many"),
        ("[a", "missing"),
        ("*a", "nothing"),
        ("a{3,2}", "before it begins"),
        ("[b-a]", "before it begins"),
        ("a\\", "backslash"),
        (r"\q", "not known"),
        (r"\p{Greek}", "not known"),
        ("(?!a)", "ahead"),
        ("(?i)a", "flag"),
        (r"\b", "boundaries"),
        (r"(a)\1", "references"),
        ("a^b", "anchor"),
        ("(?:" * 60 + "a" + ")" * 60, "deep"),
        ("a{1000000}", "more than"),
    ],
)
def test_what_cannot_be_read_is_told(source: str, says: str) -> None:
    with pytest.raises(BadRegex, match=says):
        whole(parse(source))


def test_a_nasty_pattern_takes_no_time() -> None:
    tree = whole(parse("^(a+)+$"))
    assert not matches(tree, "a" * 300 + "b")

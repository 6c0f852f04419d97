"""Regular expressions: Go's syntax, the preferred match, and no pattern that takes ages."""

import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localai.regexp import BadPattern, Pattern, Steps, TooManySteps, replaced
from localai.regexp.syntax import One


def captures(pattern: str, text: str) -> tuple[int | None, ...] | None:
    return Pattern(pattern).search(text, 0, lambda _: None)


def find(pattern: str, text: str) -> str | None:
    found = captures(pattern, text)
    return None if found is None else text[found[0] : found[1]]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("a|ab", "ab", "a"),  # the first alternative that fits, not the longest
        ("ab|a", "ab", "ab"),
        ("a+?", "aaa", "a"),
        ("(?U)a+", "aaa", "a"),
        ("(?U)a+?", "aaa", "aaa"),
        ("a{2,3}", "aaaa", "aaa"),
        ("a{2}", "aaaa", "aa"),
        ("a{2,}", "aaaa", "aaaa"),
        ("a{,2}", "a{,2}", "a{,2}"),  # no repetition in Go
        ("(?i)straße", "STRAßE", "STRAßE"),
        ("(?i)[a-c]+", "xAbCx", "AbC"),
        ("x(?i:y)z", "xYz", "xYz"),
        ("x(?i:y)z", "xYZ", None),
        ("(?i)a(?-i)b", "AB", None),
        ("a.c", "a\nc", None),
        ("(?s)a.c", "a\nc", "a\nc"),
        ("^b", "a\nb", None),
        ("(?m)^b$", "a\nb\nc", "b"),
        ("a$", "a\n", None),
        (r"\Aa\z", "a", "a"),
        (r"\bfoo\b", "a foo.", "foo"),
        (r"o\B", "foo oo", "o"),
        (r"\d+\s\w+", "a 12 b_c", "12 b_c"),
        (r"\D\S\W", "1ab!", "ab!"),
        (r"[\d.]+", "v1.2", "1.2"),
        (r"[^\s]+", " ab ", "ab"),
        ("[]a]+", "x]a", "]a"),
        ("[^]a]+", "]ab", "b"),
        ("[a-]+", "b-a", "-a"),
        ("[[:alpha:]]+", "1abc2", "abc"),
        ("[[:^digit:]]+", "1abc2", "abc"),
        (r"\pL+", "1éß2", "éß"),
        (r"\p{Lu}\P{Lu}", "aBc", "Bc"),
        (r"\p{^L}", "a1", "1"),
        (r"\x41\x{1F600}\101\n\.", "A\U0001f600A\n.", "A\U0001f600A\n."),
        (r"\Qa.b\E+", "a.bb", "a.bb"),
        ("(a*)*", "b", ""),
        ("(a|b)*c", "ababc", "ababc"),
        ("", "abc", ""),
    ],
)
def test_a_pattern_finds(pattern: str, text: str, found: str | None) -> None:
    assert find(pattern, text) == found


def test_groups_are_kept() -> None:
    assert captures("(a)|(b)(c)?", "xb") == (1, 2, None, None, 1, 2, None, None)
    assert Pattern("(?P<x>a)(?<y>b)").names == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    "pattern",
    [
        *("(", ")", "a)", "[", "[a", "*", "a**", "a{2}{3}", "a{1001}", "a{3,2}", "(?=a)", "(?<!a)"),
        *(r"\1", r"\y", "\\", "[z-a]", "[[:nope:]]", r"\p{Greek}", "(?P<x>a)(?P<x>b)", "(?"),
        *(r"\x{110000}", "(" * 200 + ")" * 200, "((a{1000}){1000}){1000}"),
    ],
)
def test_a_bad_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        Pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "beginning"),
    [
        (r"(?s)<tool_call>(.*?)</tool_call>", "<tool_call>"),
        (r"\[(?P<name>a)bc*", "[ab"),
        ("abc", "abc"),
        ("(?i)abc", ""),
        ("a|b", ""),
        ("^a", ""),
        ("[a]b[c-d]", "ab"),
    ],
)
def test_a_pattern_knows_how_its_matches_begin(pattern: str, beginning: str) -> None:
    assert Pattern(pattern).beginning == beginning


def test_a_search_leaps_to_where_a_match_can_begin() -> None:
    steps = Steps(1000)
    found = Pattern("<x>(a*)").search("<" * 20_000 + "<x>aa" + "b" * 20_000, 0, steps)
    assert found == (20_000, 20_005, 20_003, 20_005)
    with pytest.raises(TooManySteps):
        Pattern("[<]?x").search("<" * 20_000, 0, Steps(1000))


@pytest.mark.parametrize(
    ("pattern", "ranges"),
    [
        ("[a-cb-d]", ((97, 100),)),
        (r"[^\x00-\x{10FFFF}]", ()),
        (r"[^\d]", ((0, 47), (58, 0x10FFFF))),
        (".", ((0, 9), (11, 0x10FFFF))),
        ("(?s).", ((0, 0x10FFFF),)),
        (r"\s", ((9, 10), (12, 13), (32, 32))),
        (r"\pL", None),
    ],
)
def test_which_characters_pass_is_known(pattern: str, ranges: object) -> None:
    one = Pattern(pattern).tree
    assert isinstance(one, One)
    assert one.ranges == ranges


@pytest.mark.parametrize(
    ("pattern", "text", "replacement", "expected"),
    [
        ("(a)(?P<x>b)?", "ab a", "<$1${x}$$>", "<ab$> <a$>"),
        ("b*", "abc", "-", "-a-c-"),
        ("^", "ab", "x", "xab"),
    ],
)
def test_matches_are_replaced(pattern: str, text: str, replacement: str, expected: str) -> None:
    assert replaced(Pattern(pattern), text, replacement, Steps(1000)) == expected


def test_what_takes_ages_elsewhere_takes_few_steps() -> None:
    steps = 0

    def count(some: int) -> None:
        nonlocal steps
        steps += some

    assert Pattern("(a+)+$").search("a" * 1000 + "b", 0, count) is None
    assert steps < 10_000


ATOMS = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", "(a)", "(?:b)", "(?:ab|a)"])
TIMES = st.sampled_from(["", "", "*", "+", "?", "*?", "{1,2}"])
PIECES = st.tuples(ATOMS, TIMES).map("".join) | st.sampled_from(["^", "$", r"\b"])
WHOLE = st.lists(PIECES, min_size=1, max_size=5).map("".join)
CHOICES = st.lists(WHOLE, min_size=1, max_size=3).map("|".join)


@settings(max_examples=150, deadline=None)
@given(CHOICES, st.text("ab\n", max_size=8))
def test_it_agrees_with_another_engine(pattern: str, text: str) -> None:
    expected = re.search(pattern.replace("$", r"\Z"), text)
    assert find(pattern, text) == (None if expected is None else expected[0])


@settings(max_examples=150, deadline=None)
@given(st.text("ab()[]{}*+?|\\^$.,-:1dpPLQEx<>i&", max_size=15), st.text("ab1", max_size=5))
def test_any_text_is_a_pattern_or_refused(pattern: str, text: str) -> None:
    with contextlib.suppress(BadPattern):
        find(pattern, text)

"""A template cannot hang the server or fill its memory, whatever it says."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localai.catalog.gotemplate import GoTemplateError, parse
from localai.catalog.gotemplate.functions import FUNCTIONS

GREEDY = [
    "{{range 1000000000}}{{end}}",
    "{{range 2000}}{{range 2000}}x{{end}}{{end}}",
    "{{range until 1000000}}{{range until 1000000}}{{end}}{{end}}",
    '{{define "T"}}{{template "T"}}{{end}}{{template "T"}}',
    '{{define "T"}}{{if 1}}{{template "T"}}{{end}}{{end}}{{template "T"}}',
    "{{until 100000000}}",
    "{{untilStep 0 9223372036854775807 1}}",
    "{{repeat 1000000000 `x`}}",
    "{{$x := `aaaaaaaaaa`}}{{range 100}}{{$x = print $x $x}}{{end}}",
    "{{$x := `aaaaaaaaaa`}}{{range 100}}{{$x = replace `a` $x $x}}{{end}}",
    "{{$x := repeat 1000000 `ab`}}{{range 1000}}{{$x = regexReplaceAll `a` $x `aa`}}{{end}}",
    "{{$x := list 1}}{{range 100}}{{$x = concat $x $x}}{{end}}",
    "{{$x := list 1}}{{range 100}}{{$x = list $x $x}}{{end}}{{toJson $x}}",
    "{{$x := list 1}}{{range 24}}{{$x = list $x $x}}{{end}}{{$x}}",
    "{{$x := list (repeat 10000000 `a`)}}{{range 5}}{{$x = concat $x $x}}{{end}}{{join `` $x}}",
    "{{$x := dict}}{{$_ := set $x `x` $x}}{{$x}}",
    "{{$x := dict}}{{$_ := set $x `x` $x}}{{toJson $x}}",
    "{{$x := dict}}{{$_ := set $x `x` $x}}{{deepEqual $x $x}}",
    "{{$x := dict}}{{$_ := set $x `x` $x}}{{merge $x (deepCopy $x)}}",
    "{{$x := repeat 5000000 `ab`}}{{range 100000}}{{$_ := upper $x}}{{end}}",
    "{{range 1000}}{{printf `%999999d` 1}}{{end}}",
    "{{indent 1000000 (repeat 1000 `\n`)}}",
    "{{regexMatch `(((a{30}){30}){30}){30}` `a`}}",
    "{{regexMatch `(a|b|ab)*c` (repeat 1000000 `ab`)}}",
    "{{$x := repeat 100000 `[`}}{{fromJson $x}}{{mustFromJson $x}}",
    "{{" + "1" * 5000 + "}}",
    "{{" + "1" * 100_000 + "_}}",
    "{{splitList `,` (repeat 5000000 `,`)}}",
    "{{if 1}}" * 101 + "{{end}}" * 101,
    "{{if 0}}{{else " + "if 0}}{{else " * 101 + "if 0}}{{end}}",
    "{{" + "(" * 101 + "1" + ")" * 101 + "}}",
]


@pytest.mark.parametrize("source", GREEDY, ids=[source[:70] for source in GREEDY])
def test_greed_is_an_error(source: str) -> None:
    started = time.process_time()
    with pytest.raises(GoTemplateError):
        parse(source, "test").render({})
    assert time.process_time() - started < 20  # seconds; a few at most on a quiet machine


def test_a_long_prompt_is_no_greed() -> None:
    text = "word " * 400_000
    assert parse("{{.}}{{if .}}!{{end}}", "test").render(text) == text + "!"
    assert len(parse("{{toJson .}}", "test").render({"x": [text]})) > len(text)


FRAGMENTS = st.sampled_from(
    [
        *("{{", "}}", "{{- ", " -}}", "if", "else", "end", "range", "with", "define", "template"),
        *("block", "break", "continue", "$", "$x", ":=", "=", ",", "|", "(", ")", ".", ".x", "nil"),
        *("true", '"s"', "`r`", "'c'", "1", "-1.5e3", "0x", " ", "\n", "/*", "*/", "{{end}}"),
        *(
            "{{if .x}}",
            "{{range .}}",
            "{{.x}}",
            "é",
            "\x00",
            '"',
            "\\",
            "{{else}}",
            '{{define "T"}}',
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENTS, max_size=25).map("".join) | st.text(max_size=40).map("{{{}}}".format))
def test_any_text_is_a_template_or_refused(source: str) -> None:
    try:
        parse(source, "test").render({"x": [1, "a"]})
    except GoTemplateError as error:
        assert 1 <= error.line <= source.count("\n") + 1
        assert error.column >= 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(VALUES, max_size=4))
def test_any_function_takes_any_values_or_says_why_not(name: str, args: list[Any]) -> None:
    call = " ".join((name, *(f"(index . {i})" for i in range(len(args)))))
    try:
        parse(f"{{{{{call}}}}}", "test").render(args)
    except GoTemplateError as error:
        assert error.message


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30).filter(lambda text: "{{" not in text))
def test_text_without_actions_is_given_back(text: str) -> None:
    assert parse(text, "test").render({}) == text.encode("utf-8", "replace").decode()

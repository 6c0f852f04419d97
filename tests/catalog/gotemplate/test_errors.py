"""What is wrong is said with line and column, and nothing is written instead."""

from typing import Any

import pytest

from localai.catalog.gotemplate import GoTemplateError, Record, parse

DATA: dict[str, Any] = {
    "text": "abc",
    "number": 3,
    "float": 1.5,
    "nil": None,
    "list": [1, 2],
    "map": {"a": 1},
    "record": Record("Message", {"Role": "user", "Content": "hi"}),
}

SYNTAX = [
    ("{{", "1:1: unclosed action"),
    ("a\nb {{ .X", "2:3: unclosed action"),
    ("{{/* x", "1:1: unclosed comment"),
    ("{{/* x */ 1}}", "1:10: comment ends before closing delimiter"),
    ('{{"x}}', "1:3: unterminated quoted string"),
    ("{{`x}}", "1:3: unterminated raw quoted string"),
    ("{{'x}}", "1:3: unterminated character constant"),
    ("{{'xy'}}", "1:3: malformed character constant: 'xy'"),
    ('{{"\\z"}}', "1:3: invalid syntax in a string: \\z"),
    ("{{.X+1}}", "1:5: bad character '+'"),
    ("{{3k}}", "1:3: bad number syntax: '3k'"),
    ("{{1+2}}", "1:3: bad number syntax: '1+'"),
    ("{{- -}}", "1:5: illegal number syntax: '-'"),
    ("{{08}}", "1:3: integer overflow: '08'"),
    ("{{9223372036854775808}}", "1:3: integer overflow: '9223372036854775808'"),
    ("{{1e999}}", "1:3: illegal number syntax: '1e999'"),
    ('{{"\\400"}}', "1:3: an octal escape is larger than \\377"),
    ('{{"\\ud800"}}', "1:3: U+D800 is not a character"),
    ("{{0x}}", "1:3: illegal number syntax: '0x'"),
    ("{{\x01}}", "1:3: unrecognized character in action: U+0001"),
    ("{{(1}}", "1:5: unclosed left paren"),
    ("{{1)}}", "1:4: unexpected right paren"),
    ("{{x : 1}}", "1:3: function 'x' not defined"),
    ("{{1 : 1}}", "1:5: expected :="),
    ("{{}}", "1:3: missing value for command"),
    ("{{if}}{{end}}", "1:5: missing value for if"),
    ("{{()}}", "1:4: missing value for parenthesized pipeline"),
    ("{{| .X}}", "1:3: unexpected '|' in command"),
    ("{{1 | 2}}", "1:7: non executable command in pipeline stage 2"),
    ("{{if .X}}", "1:10: unexpected end of the template: {{end}} is missing"),
    ("{{end}}", "1:3: unexpected {{end}}: nothing is open here"),
    ("{{else}}", "1:3: unexpected {{else}}: nothing is open here"),
    ("{{if .X}}{{else}}{{else}}{{end}}", "1:20: expected {{end}}; found {{else}}"),
    ("{{range .X}}{{else if .Y}}{{end}}", "1:20: unexpected 'if' in else"),
    ("{{end .X}}", "1:7: unexpected '.X' in end"),
    ("{{break}}", "1:3: {{break}} outside {{range}}"),
    ("{{range .X}}{{end}}{{continue}}", "1:22: {{continue}} outside {{range}}"),
    ("{{range .X}}{{break 1}}{{end}}", "1:21: unexpected '1' in {{break}}"),
    ("{{template}}", "1:11: unexpected '}}' in template clause"),
    ("{{template T}}", "1:12: unexpected 'T' in template clause"),
    ("{{define T}}{{end}}", "1:10: unexpected 'T' in define clause"),
    ('{{define "T"}}', "1:15: unexpected end of the template: {{end}} is missing"),
    ('{{define "T"}}{{else}}', "1:17: unexpected {{else}} in define clause"),
    ('{{if 1}}{{define "T"}}{{end}}{{end}}', "1:11: unexpected 'define' in command"),
    ('{{define "T"}}a{{end}}{{define "T"}}b{{end}}', "1:32: multiple definition of template 'T'"),
    ("{{$x}}", "1:3: undefined variable '$x'"),
    ("{{if $x := 1}}{{end}}{{$x}}", "1:24: undefined variable '$x'"),
    ('{{$x := 1}}{{define "T"}}{{$x}}{{end}}', "1:28: undefined variable '$x'"),
    ("{{$x, $y := 1}}", "1:5: too many declarations in command"),
    ("{{range $a, $b, $c := .X}}{{end}}", "1:15: too many declarations in range"),
    ("{{range $a, .X}}{{end}}", "1:13: range can only initialize variables"),
    ("{{nosuch .X}}", "1:3: function 'nosuch' not defined"),
    ("{{.X.}}", "1:5: unexpected '.' in operand"),
    ('{{"x".y}}', "1:6: unexpected . after a constant"),
    ("{{1 2", "1:1: unclosed action"),
]

RENDERING = [
    ("{{.record.System}}", "can't evaluate field System in type Message; it has .Role, .Content"),
    ("{{.text.x}}", "can't evaluate field x in type string"),
    ("{{.nil.x}}", "nil pointer evaluating interface {}.x"),
    ("{{.list.x}}", "can't evaluate field x in type []interface {}"),
    ("{{nil}}", "nil is not a command"),
    ("{{1 2}}", "can't give argument to non-function"),
    ("{{.text 1}}", "text has arguments but cannot be invoked as function"),
    ("{{$x := 1}}{{$x 2}}", "can't give argument to non-function"),
    ("{{$x = 1}}", "undefined variable: $x"),
    (
        "{{range .number}}{{end}}{{range $i, $j := .number}}{{end}}",
        "can't use 3 to iterate over more than one variable",
    ),
    ("{{range .text}}{{end}}", "range can't iterate over a value of type string"),
    ("{{range .record}}{{end}}", "range can't iterate over a value of type Message"),
    ("{{range true}}{{end}}", "range can't iterate over a value of type bool"),
    ('{{template "T"}}', "template 'T' not defined"),
    ("{{upper}}", "wrong number of args for upper: want 1 got 0"),
    ("{{upper .text .text}}", "wrong number of args for upper: want 1 got 2"),
    ("{{.text | upper .text}}", "wrong number of args for upper: want 1 got 2"),
    ("{{index}}", "wrong number of args for index: want at least 1 got 0"),
    ("{{upper 3}}", "expected string; found '3'"),
    ("{{upper nil}}", "cannot assign nil to string"),
    ("{{upper .missing}}", "invalid value; expected string"),
    ("{{upper .number}}", "wrong type for value; expected string; got int"),
    ("{{.number | upper}}", "wrong type for value; expected string; got int"),
    ("{{indent 1.5 .text}}", "expected int; found '1.5'"),
    ("{{ternary 1 2 3}}", "expected bool; found '3'"),
    (
        "{{hasKey .list `a`}}",
        "wrong type for value; expected map[string]interface {}; got []interface {}",
    ),
    ("{{eq 1 1.0}}", "error calling eq: incompatible types for comparison: int and float64"),
    ("{{eq 1 true}}", "error calling eq: incompatible types for comparison: int and bool"),
    ("{{eq .text 1}}", "error calling eq: incompatible types for comparison: string and int"),
    (
        "{{eq .list .list}}",
        "error calling eq: non-comparable types []interface {} and []interface {}",
    ),
    ("{{eq 1}}", "error calling eq: missing argument for comparison"),
    ("{{lt .list 1}}", "error calling lt: invalid type for comparison: []interface {}"),
    ("{{lt true false}}", "error calling lt: invalid type for comparison: bool"),
    ("{{lt 1 `a`}}", "error calling lt: incompatible types for comparison: int and string"),
    ("{{lt nil 1}}", "error calling lt: invalid type for comparison: <nil>"),
    ("{{len 3}}", "error calling len: len of type int"),
    ("{{len nil}}", "error calling len: len of nil"),
    ("{{index .list 2}}", "error calling index: index out of range: 2"),
    ("{{index .list -1}}", "error calling index: index out of range: -1"),
    ("{{index .list `a`}}", "error calling index: cannot index slice/array with type string"),
    ("{{index .map 1}}", "error calling index: value has type int; should be string"),
    ("{{index nil}}", "error calling index: index of untyped nil"),
    ("{{index .map `no` `no`}}", "error calling index: index of nil pointer"),
    (
        "{{index .record `Role`}}",
        "error calling index: can't index item of type Message; write .Role instead",
    ),
    ("{{slice .text 2 1}}", "error calling slice: invalid slice index: 2 > 1"),
    ("{{slice .text 4}}", "error calling slice: index out of range: 4"),
    ("{{div 1 0}}", "error calling div: integer divide by zero"),
    ("{{mod 1 0}}", "error calling mod: integer divide by zero"),
    ("{{slice .number 1}}", "error calling slice: can't slice item of type int"),
    ("{{slice .text 1 2 3}}", "error calling slice: too many slice indexes: 3"),
    ("{{index .number 1}}", "error calling index: can't index item of type int"),
    ("{{chunk 0 .list}}", "error calling chunk: a chunk has at least one element"),
    (
        "{{keys .list}}",
        "wrong type for value; expected map[string]interface {}; got []interface {}",
    ),
    ("{{dig `a` 1}}", "error calling dig: dig needs keys, a default and a map"),
    ("{{dig `a` 1 .list}}", "error calling dig: dig needs maps, not []interface {}"),
    ("{{indent -1 .text}}", "error calling indent: negative repeat count"),
    ("{{substr 2 1 .text}}", "error calling substr: slice bounds out of range [2:1]"),
    ("{{mustToJson (divf 1 0)}}", "error calling mustToJson: json: unsupported value: inf"),
    (
        "{{date `2006` .text}}",
        "error calling date: a date is made of `now`, or of seconds since 1970",
    ),
    ("{{date `2006` 9223372036854775807}}", "error calling date: a time is out of range"),
    ("{{fail `so be it`}}", "error calling fail: so be it"),
    ("{{mustFromJson `{`}}", "error calling mustFromJson: json: "),
    ("{{repeat -1 `a`}}", "error calling repeat: negative repeat count"),
    ("{{first 1}}", "error calling first: cannot find first on type int"),
    ("{{regexMatch `(` `a`}}", "error calling regexMatch: missing closing )"),
]


def failure(source: str, data: Any = DATA) -> GoTemplateError:
    with pytest.raises(GoTemplateError) as caught:
        parse(source, "test").render(data)
    return caught.value


@pytest.mark.parametrize(("source", "message"), SYNTAX)
def test_a_mistake_is_found_when_the_template_is_parsed(source: str, message: str) -> None:
    with pytest.raises(GoTemplateError) as caught:
        parse(source, "test")
    assert str(caught.value) == message


@pytest.mark.parametrize(("source", "message"), RENDERING)
def test_a_failure_is_found_when_the_template_is_rendered(source: str, message: str) -> None:
    assert failure(source).message.startswith(message)


def test_the_place_is_that_of_the_operand() -> None:
    error = failure("first line\n  {{if eq .text `x`}}{{else}}{{ .text.wrong }}{{end}}")
    assert (error.line, error.column) == (2, 33)
    error = failure("{{define `T`}}\n{{.x}}{{end}}é{{template `T` .text}}")
    assert (error.line, error.column) == (2, 3)


def test_what_is_not_reached_does_not_fail() -> None:
    source = "{{if false}}{{.text.x}}{{end}}{{and false .text.x}}{{or 1 .text.x}}"
    assert parse(source, "test").render(DATA) == "false1"

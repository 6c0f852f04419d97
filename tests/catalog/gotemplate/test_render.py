"""What templates give: text and spaces, actions, pipelines, variables, nested templates.

The cases come from the documentation of Go's text/template; the constructs are those that the
templates of LocalAI's gallery use, and the rest of the language.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from localai.catalog.gotemplate import Record, parse

PERSON = Record("Person", {"Name": "Ann", "Age": 7, "Tags": ["a", "b"], "Boss": None})
DATA: dict[str, Any] = {
    "name": "Ann",
    "empty": "",
    "zero": 0,
    "one": 1,
    "yes": True,
    "no": False,
    "nil": None,
    "pi": 3.5,
    "list": ["x", "y", "z"],
    "none": [],
    "map": {"b": 2, "a": 1, "c": {"d": "deep"}},
    "person": PERSON,
    "people": [PERSON, Record("Person", {"Name": "Bob", "Age": 8, "Tags": [], "Boss": PERSON})],
}


def render(source: str, data: Any = DATA) -> str:
    return parse(source, "test").render(data)


TEXT_AND_SPACES = [
    ("", ""),
    ("plain } text { with %s", "plain } text { with %s"),
    ("{{23 -}} < {{- 45}}", "23<45"),
    ("{{23}} < {{45}}", "23 < 45"),
    ("a \t\r\n {{- 1}}", "a1"),
    ("{{1 -}} \t\r\n b", "1b"),
    ("a\u00a0{{- 1}}", "a\u00a01"),  # the no-break space is no space to Go
    ("a {{-1}}", "a -1"),  # a minus without a space is a number's sign
    ("a {{- -1}}", "a-1"),
    ("{{- 1 -}}\n{{- 2 -}}", "12"),
    ("x{{/* a comment */}}y", "xy"),
    ("x {{- /* a comment */ -}} y", "xy"),
    ("x{{/* over\n two lines }} */}}y", "xy"),
    ("x{{- /* only left */}} y", "x y"),
    ("{{if .yes -}}\n  a\n{{- end}}\nb", "a\nb"),
    ("{{1\n}}{{\n2\n}}", "12"),
    ("{{1 \n -}} x", "1x"),
    ("a{{`\n` -}} b", "a\nb"),  # only text is trimmed, never a value
    ("{{  1  }}", "1"),
    ("é{{- 1}}", "é1"),
]

LITERALS = [
    ('{{"a\\tb\\n\\"\\\\\\x41\\101\\u00e9\\U0001F600"}}', 'a\tb\n"\\AA\u00e9\U0001f600'),
    ('{{"\\xc3\\xa9"}}', "é"),
    ('{{"\\xff"}}', "\ufffd"),
    ('{{`raw \\n {{text}} "quoted"`}}', 'raw \\n {{text}} "quoted"'),
    ("{{`a\r\nb`}}", "a\nb"),
    ('{{"output"}}', "output"),
    ("{{'a'}} {{'\\n'}} {{'é'}} {{'\\''}} {{'\\u00e9'}}", "97 10 233 39 233"),
    ("{{1}} {{-1}} {{+1}} {{0x1F}} {{0b101}} {{0o17}} {{017}} {{1_000}}", "1 -1 1 31 5 15 15 1000"),
    ("{{1.5}} {{.5}} {{1.}} {{1e3}} {{1e6}} {{1e-5}} {{0x1p4}}", "1.5 0.5 1 1000 1e+06 1e-05 16"),
    ("{{1000000.0}} {{123456789.0}} {{999999.0}}", "1e+06 1.23456789e+08 999999"),
    ("{{9223372036854775807}}", "9223372036854775807"),
    ("{{true}} {{false}}", "true false"),
]

PRINTING = [
    ("{{.name}}", "Ann"),
    ("{{.yes}} {{.no}}", "true false"),
    ("{{.pi}} {{.one}}", "3.5 1"),
    ("{{.list}}", "[x y z]"),
    ("{{.none}}", "[]"),
    ("{{.map}}", "map[a:1 b:2 c:map[d:deep]]"),
    ("{{.person}}", "{Ann 7 [a b] <nil>}"),
    ("{{.nil}} {{.missing}}", "<no value> <no value>"),
    ("{{.missing.too}}", "<no value>"),
    ("{{list nil 1}}", "[<nil> 1]"),
    ("{{print nil}}", "<nil>"),
    ("{{.person.Boss}}", "<no value>"),
]

FIELDS = [
    ("{{.map.c.d}}", "deep"),
    ("{{(.map).c.d}}", "deep"),
    ("{{(index .people 1).Boss.Name}}", "Ann"),
    ("{{$.name}}", "Ann"),
    ("{{$x := .map}}{{$x.c.d}}", "deep"),
    ("{{with .map}}{{.a}}{{$.name}}{{end}}", "1Ann"),
    ("{{(list 1 2)}}", "[1 2]"),
    ("{{(dict `k` `v`).k}}", "v"),
    ("{{len (dict `k` `v`).k}}", "1"),
]

CONDITIONS = [
    ("{{if .yes}}T{{end}}", "T"),
    ("{{if .no}}T{{end}}", ""),
    ("{{if .no}}T{{else}}F{{end}}", "F"),
    ("{{if .no}}1{{else if .yes}}2{{else}}3{{end}}", "2"),
    ("{{if .no}}1{{else if .zero}}2{{else if .nil}}3{{else}}4{{end}}", "4"),
    ("{{if .no}}1{{else}}{{if .yes}}2{{end}}{{end}}", "2"),
    *((f"{{{{if .{name}}}}}T{{{{else}}}}F{{{{end}}}}", "F") for name in ("empty", "zero", "nil")),
    *((f"{{{{if .{name}}}}}T{{{{else}}}}F{{{{end}}}}", "F") for name in ("none", "missing", "no")),
    *((f"{{{{if .{name}}}}}T{{{{else}}}}F{{{{end}}}}", "T") for name in ("name", "one", "pi")),
    *((f"{{{{if .{name}}}}}T{{{{else}}}}F{{{{end}}}}", "T") for name in ("list", "map", "person")),
    ("{{if 0.0}}T{{else}}F{{end}}{{if -1}}T{{end}}", "FT"),
    ("{{if dict}}T{{else}}F{{end}}", "F"),
    ("{{with .name}}{{.}}{{end}}", "Ann"),
    ("{{with .empty}}{{.}}{{else}}{{.name}}{{end}}", "Ann"),
    ("{{with .empty}}1{{else with .name}}{{.}}{{else}}3{{end}}", "Ann"),
    ("{{with $x := .map}}{{$x.a}}{{.b}}{{end}}", "12"),
    ("{{with $x := .nil}}1{{else}}{{$x}}{{end}}", "<no value>"),
]

RANGES = [
    ("{{range .list}}<{{.}}>{{end}}", "<x><y><z>"),
    ("{{range $e := .list}}{{$e}}{{.}}{{end}}", "xxyyzz"),
    ("{{range $i, $e := .list}}{{$i}}{{$e}} {{end}}", "0x 1y 2z "),
    ("{{range .none}}x{{else}}nothing{{end}}", "nothing"),
    ("{{range .nil}}x{{else}}nothing{{end}}", "nothing"),
    ("{{range .missing}}x{{else}}nothing{{end}}", "nothing"),
    ("{{range .none}}x{{else}}{{.name}}{{end}}", "Ann"),
    ("{{range $v := dict `b` 1 `a` 2}}{{$v}}{{end}}", "21"),
    ("{{range .map}}{{.}} {{end}}", "1 2 map[d:deep] "),
    ("{{range $k, $v := .map}}{{$k}}={{$v}};{{end}}", "a=1;b=2;c=map[d:deep];"),
    ("{{range 3}}{{.}}{{end}}", "012"),
    ("{{range $i := 3}}{{$i}}{{end}}", "012"),
    ("{{range 0}}x{{else}}none{{end}}{{range -2}}x{{end}}", "none"),
    ("{{range .list}}{{if eq . `y`}}{{break}}{{end}}{{.}}{{end}}", "x"),
    ("{{range .list}}{{if eq . `y`}}{{continue}}{{end}}{{.}}{{end}}", "xz"),
    ("{{range .list}}{{range $.list}}{{.}}{{break}}{{end}}{{end}}", "xxx"),
    ("{{range .list}}{{range $.none}}{{else}}{{break}}{{end}}{{.}}{{end}}", ""),
    ("{{range .list}}{{with .}}{{if eq . `y`}}{{break}}{{end}}{{.}}{{end}}{{end}}", "x"),
    ("{{range .people}}{{.Name}}:{{range .Tags}}{{.}}{{else}}-{{end}} {{end}}", "Ann:ab Bob:- "),
    ("{{$i := 9}}{{$e := 9}}{{range $i, $e = .list}}{{end}}{{$i}}{{$e}}", "2z"),
]

VARIABLES = [
    ("{{$x := 1}}{{$x}}", "1"),
    ("{{$x := 1}}{{$x = 2}}{{$x}}", "2"),
    ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
    ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
    ("{{$x := 1}}{{range .list}}{{$x = .}}{{end}}{{$x}}", "z"),
    ("{{$x := 1}}{{range .list}}{{$x := .}}{{end}}{{$x}}", "1"),
    ("{{$s := ``}}{{range .list}}{{$s = print $s . ` `}}{{end}}{{$s}}", "x y z "),
    ("{{if $x := .name}}{{$x}}{{end}}", "Ann"),
    ("{{if $x := .zero}}{{else if $y := .one}}{{$x}}{{$y}}{{end}}", "01"),
    ("{{$x:=1}}{{$y  :=  2}}{{$x}}{{$y}}", "12"),
    ("{{$été := 1}}{{$été}}", "1"),
    ("{{with $x := 1}}{{end}}{{$x := 2}}{{$x}}", "2"),
]

PIPELINES = [
    ('{{printf "%q" "output"}}', '"output"'),
    ('{{"output" | printf "%q"}}', '"output"'),
    ('{{printf "%q" (print "out" "put")}}', '"output"'),
    ('{{"put" | printf "%s%s" "out" | printf "%q"}}', '"output"'),
    ('{{"output" | printf "%s" | printf "%q"}}', '"output"'),
    ('{{with "output"}}{{printf "%q" .}}{{end}}', '"output"'),
    ('{{with $x := "output" | printf "%q"}}{{$x}}{{end}}', '"output"'),
    ('{{with $x := "output"}}{{printf "%q" $x}}{{end}}', '"output"'),
    ('{{with $x := "output"}}{{$x | printf "%q"}}{{end}}', '"output"'),
    ("{{.name | len}}", "3"),
    ("{{.name|upper|lower}}", "ann"),
    ("{{(len .name) | printf `%d`}}", "3"),
    ("{{printf `%d%d` (len .name) (len .list)}}", "33"),
    ("{{.name |}}", "Ann"),
]

NESTED = [
    (
        '{{define "T1"}}ONE{{end}}{{define "T2"}}TWO{{end}}{{template "T1"}} {{template "T2"}}',
        "ONE TWO",
    ),
    ('{{define "T"}}{{template "U"}}!{{end}}{{define "U"}}u{{end}}{{template "T"}}', "u!"),
    ('{{template "T" .name}}{{define "T"}}<{{.}}>{{end}}', "<Ann>"),
    ('{{define "T"}}{{.}}{{end}}{{template "T"}}', "<no value>"),
    ('{{define "T"}}{{.a}}{{end}}{{template "T"}}', "<no value>"),
    ("{{define `T`}}{{$.a}}{{end}}{{template `T` .map}}", "1"),
    ('{{block "B" .name}}[{{.}}]{{end}}{{template "B" 1}}', "[Ann][1]"),
    (
        '{{define "T"}}{{if .}}{{.}}{{template "T" (sub . 1)}}{{end}}{{end}}{{template "T" 3}}',
        "321",
    ),
    ('{{define "T"}}a{{end}}{{define "T"}} {{end}}{{template "T"}}', "a"),
    ('{{define "T"}} {{end}}{{define "T"}}a{{end}}{{template "T"}}', "a"),
    ('a{{define "T"}}x{{end}}b', "ab"),
]

ALL = [
    *TEXT_AND_SPACES,
    *LITERALS,
    *PRINTING,
    *FIELDS,
    *CONDITIONS,
    *RANGES,
    *VARIABLES,
    *PIPELINES,
    *NESTED,
]


@pytest.mark.parametrize(("source", "text"), ALL, ids=[source[:60] for source, _ in ALL])
def test_a_template_gives(source: str, text: str) -> None:
    assert render(source) == text


def test_the_same_template_can_be_rendered_again_with_other_data() -> None:
    template = parse("{{$x := .}}{{define `T`}}{{.}}{{end}}{{template `T` $x}}", "test")
    assert [template.render("a"), template.render("b")] == ["a", "b"]


def test_the_clock_is_given_by_the_caller() -> None:
    source = '{{now | date "Mon 02 Jan 2006 15:04:05"}} {{now | unixEpoch}} {{now}}'
    moment = datetime(2026, 7, 4, 9, 5, 7, 120_000, tzinfo=UTC)
    text = parse(source, "test").render({}, now=lambda: moment)
    assert text == "Sat 04 Jul 2026 09:05:07 1783155907 2026-07-04 09:05:07.12 +0000 UTC"


def test_data_are_never_changed_by_accident() -> None:
    data = {"list": [1], "tuple": (1, 2)}
    source = "{{append .list 2}}{{.list}}{{range .tuple}}{{.}}{{end}}{{.tuple}}"
    assert render(source, data) == "[1 2][1]12[1 2]"


def test_lone_surrogates_become_replacement_characters() -> None:
    assert render("{{.}}|{{len .}}|{{toJson .}}", "a\ud800b") == 'a\ufffdb|5|"a\ufffdb"'

"""Every function of Go's text/template and of sprig: what it gives.

Sources: the documentation of text/template ("Functions") and of sprig; each example of theirs that
does not depend on the time of day is here.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from localai.catalog.gotemplate import Record, parse
from localai.catalog.gotemplate.functions import FUNCTIONS

CALL = Record(
    "Call",
    {
        "Index": 0,
        "ID": "c1",
        "Empty": "",
        "Function": Record("F", {"Name": "add"}, {"Name": "name"}),
    },
    {"Index": "index", "ID": "id", "Empty": "empty", "Function": "function"},
    frozenset({"Empty"}),
)
DATA: dict[str, Any] = {
    "text": "hello",
    "list": ["a", "b", "c"],
    "map": {"b": 2, "a": [1, {"z": None, "y": True}]},
    "html": '<b>"it\'s" & more</b>',
    "call": CALL,
    "float": 2.5,
    "moment": datetime(2026, 1, 9, 13, 4, 5, 678_900, tzinfo=UTC),
}

CORE = [
    ("and 1 2", "2"),
    ("and 0 2", "0"),
    ("and .text", "hello"),
    ("and true (not false)", "true"),
    ("or 0 2", "2"),
    ("or 1 2", "1"),
    ("or 0 ``", ""),
    ("or nil nil", "<no value>"),
    ("2 | and 1", "2"),
    ("2 | or 1", "1"),
    ("not 0", "true"),
    ("not .text", "false"),
    ("eq 1 1", "true"),
    ("eq 1 2 3 1", "true"),
    ("eq 1 2 3", "false"),
    ("eq `a` `a`", "true"),
    ("eq true true", "true"),
    ("eq 1.5 .float", "false"),
    ("eq nil nil", "true"),
    ("eq .missing `x`", "false"),
    ("eq `x` nil", "false"),
    ("ne 1 2", "true"),
    ("ne `a` `a`", "false"),
    ("lt 1 2", "true"),
    ("lt `a` `b`", "true"),
    ("lt 1.5 1.5", "false"),
    ("le 1.5 1.5", "true"),
    ("gt 2 1", "true"),
    ("gt `a` `b`", "false"),
    ("ge 2 2", "true"),
    ("len .text", "5"),
    ("len `é☺`", "5"),
    ("len .list", "3"),
    ("len .map", "2"),
    ("index .list 1", "b"),
    ("index .map `a` 1 `y`", "true"),
    ("index .map `missing`", "<no value>"),
    ("index .text 1", "101"),
    ("index .list", "[a b c]"),
    ("slice .list 1 2", "[b]"),
    ("slice .list 1", "[b c]"),
    ("slice .list", "[a b c]"),
    ("slice .text 1 3", "el"),
    ("print (slice `é` 0 1) (slice `é` 1)", "é"),
    ("print 1 2 `x` 3 4", "1 2x3 4"),
    ("print `a` `b` 1", "ab1"),
    ("println 1 `x`", "1 x\n"),
    ("html .html", "&lt;b&gt;&#34;it&#39;s&#34; &amp; more&lt;/b&gt;"),
    ("html 1 true", "1 true"),
    ("js .html", '\\u003Cb\\u003E\\"it\\\'s\\" \\u0026 more\\u003C/b\\u003E'),
    ("js `a=b\n`", "a\\u003Db\\u000A"),
    ("urlquery `a b&c=ü/~`", "a+b%26c%3D%C3%BC%2F~"),
]

TEXT = [
    ("trim ` hello\n`", "hello"),
    ("trimAll `$` `$5.00`", "5.00"),
    ("trimall `$` `$5.00`", "5.00"),
    ("trimSuffix `-` `hello-`", "hello"),
    ("trimPrefix `-` `-hello`", "hello"),
    ("upper `hello ß`", "HELLO ß"),
    ("lower `HELLO İ`", "hello i"),
    ("title `hello world-wide it's`", "Hello World-Wide It'S"),
    ("untitle `Hello World`", "hello world"),
    ("repeat 3 `hello`", "hellohellohello"),
    ("substr 0 5 `hello world`", "hello"),
    ("substr -1 5 `hello world`", "hello"),
    ("substr 6 -1 `hello world`", "world"),
    ("nospace `hello w o r l d`", "helloworld"),
    ("trunc 5 `hello world`", "hello"),
    ("trunc -5 `hello world`", "world"),
    ("trunc 50 `hello`", "hello"),
    ("contains `cat` `catch`", "true"),
    ("hasPrefix `cat` `catch`", "true"),
    ("hasSuffix `cat` `catch`", "false"),
    ('quote `a "b"` 1 nil', '"a \\"b\\"" "1"'),
    ("squote `a` 1", "'a' '1'"),
    ("cat `hello` `beautiful` nil 1", "hello beautiful 1"),
    ("indent 2 `a\nb`", "  a\n  b"),
    ("nindent 2 `a\nb`", "\n  a\n  b"),
    ("replace ` ` `-` `I Am Henry VIII`", "I-Am-Henry-VIII"),
    ("plural `one anchovy` `many anchovies` (len .list)", "many anchovies"),
    ("join `_` .list", "a_b_c"),
    ("join `_` (list 1 nil 2)", "1_2"),
    ("join `_` 5", "5"),
    ("splitList `$` `foo$bar$baz`", "[foo bar baz]"),
    ("splitList `` `abc`", "[a b c]"),
    ("(split `$` `foo$bar$baz`)._0", "foo"),
    ("(splitn `$` 2 `foo$bar$baz`)._1", "bar$baz"),
    ("toString 1.5", "1.5"),
    ("toStrings (list 1 2)", "[1 2]"),
    ("b64enc `hello`", "aGVsbG8="),
    ("b64dec `aGVsbG8=`", "hello"),
    (
        "b64dec `a`",
        "Invalid base64-encoded string: number of data characters (1) cannot be 1 more than a multiple of 4",
    ),
    ("indent 2.0 `a`", "  a"),
    ("splitn `,` -1 `a,b,c` | len", "3"),
    ("sha256sum ``", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
]

JSON = [
    ("toJson .map", '{"a":[1,{"y":true,"z":null}],"b":2}'),
    ("toJson .call", '{"index":0,"id":"c1","function":{"name":"add"}}'),
    ("toJson (list .call)", '[{"index":0,"id":"c1","function":{"name":"add"}}]'),
    ("toJson .html", '"\\u003cb\\u003e\\"it\'s\\" \\u0026 more\\u003c/b\\u003e"'),
    ("toRawJson .html", '"<b>\\"it\'s\\" & more</b>"'),
    ('toJson "a\\n\\t\\b\\f\\x01\\x7f\\u2028é"', '"a\\n\\t\\b\\f\\u0001\x7f\\u2028é"'),
    ("toJson nil", "null"),
    ("toJson .moment", '"2026-01-09T13:04:05.678900+00:00"'),
    ("toJson .missing", "null"),
    ("toJson list", "[]"),
    ("toJson dict", "{}"),
    ("toJson (list 1.0 0.5 1e6 1e21 1e-7 100 -0.0)", "[1,0.5,1000000,1e+21,1e-7,100,-0]"),
    ("toJson (divf 1 0)", ""),
    (
        "toPrettyJson .map",
        '{\n  "a": [\n    1,\n    {\n      "y": true,\n      "z": null\n    }\n  ],\n  "b": 2\n}',
    ),
    ("toPrettyJson (dict `a` list `b` dict)", '{\n  "a": [],\n  "b": {}\n}'),
    ("toPrettyJson 1", "1"),
    ('(fromJson `{"a": [1, 2.5, "x"]}`).a', "[1 2.5 x]"),
    ("fromJson `1000000`", "1e+06"),
    ("fromJson `nonsense`", "<no value>"),
    ("fromJson `NaN`", "<no value>"),
    ('toJson (fromJson `{"n": 12345678901}`)', '{"n":12345678901}'),
]

DATA_FUNCTIONS = [
    ("first .list", "a"),
    ("first list", "<no value>"),
    ("last .list", "c"),
    ("rest .list", "[b c]"),
    ("initial .list", "[a b]"),
    ("append .list `d`", "[a b c d]"),
    ("push .list `d`", "[a b c d]"),
    ("prepend .list `d`", "[d a b c]"),
    ("concat .list (list 1 2)", "[a b c 1 2]"),
    ("reverse .list", "[c b a]"),
    ("uniq (list 1 1 2 `1` (list) (list))", "[1 2 1 []]"),
    ("without .list `a` `c`", "[b]"),
    ("has `b` .list", "true"),
    ("has `z` .list", "false"),
    ("has (list 1) (list (list 1))", "true"),
    ("has 1 nil", "false"),
    ("compact (list 1 `` 0 `a`)", "[1 a]"),
    ("chunk 2 .list", "[[a b] [c]]"),
    ("sortAlpha (list `b` `a` 1)", "[1 a b]"),
    ("tuple 1 2", "[1 2]"),
    ("mustFirst .list", "a"),
    ("dict `a` 1 `b`", "map[a:1 b:]"),
    ("get .map `b`", "2"),
    ("get .map `no` | printf `%q`", '""'),
    ("hasKey .map `b`", "true"),
    ("keys .map", "[a b]"),
    ("keys .map (dict `c` 1) | join `,`", "a,b,c"),
    ("values (dict `y` 1 `x` 2)", "[2 1]"),
    ("pick .map `b` `no`", "map[b:2]"),
    ("omit .map `a`", "map[b:2]"),
    ("pluck `b` .map (dict `b` 3) dict", "[2 3]"),
    ("set (dict `a` 1) `b` 2", "map[a:1 b:2]"),
    ("unset (dict `a` 1 `b` 2) `a`", "map[b:2]"),
    (
        "merge (dict `a` 1 `m` (dict `x` 1)) (dict `a` 2 `b` 2 `m` (dict `x` 2 `y` 2))",
        "map[a:1 b:2 m:map[x:1 y:2]]",
    ),
    (
        "mergeOverwrite (dict `a` 1 `m` (dict `x` 1)) (dict `a` 2 `m` (dict `y` 2))",
        "map[a:2 m:map[x:1 y:2]]",
    ),
    ("dig `m` `x` `none` (dict `m` (dict `x` 1))", "1"),
    ("dig `m` `y` `none` (dict `m` (dict `x` 1))", "none"),
    ("deepCopy .map", "map[a:[1 map[y:true z:<nil>]] b:2]"),
    ("default `foo` ``", "foo"),
    ("default `foo` `bar`", "bar"),
    ("`` | default `foo`", "foo"),
    ("default `foo` .missing", "foo"),
    ("empty 0", "true"),
    ("empty .list", "false"),
    ("coalesce 0 1 2", "1"),
    ("coalesce `` nil", "<no value>"),
    ("all 0 1 2", "false"),
    ("any 0 1 2", "true"),
    ("ternary `foo` `bar` true", "foo"),
    ("false | ternary `foo` `bar`", "bar"),
    ("kindOf `a`", "string"),
    ("kindOf .list", "slice"),
    ("kindIs `map` .map", "true"),
    ("typeOf 1.5", "float64"),
    ("typeIs `int` 1", "true"),
    ("deepEqual (list 1 (dict `a` 2)) (list 1 (dict `a` 2))", "true"),
    ("deepEqual (list 1) (list 1.0)", "false"),
    ("deepEqual (list .call) (list .call)", "true"),
    ("uniq (list .map .map .call .call) | len", "2"),
    ("get nil `a`", ""),
    ("kindOf .call", "struct"),
    ("typeOf .moment", "time.Time"),
]

NUMBERS = [
    ("add 1 2 3", "6"),
    ("add `5` 1.9 true", "7"),
    ("add1 1", "2"),
    ("sub 5 7", "-2"),
    ("mul 2 3 4", "24"),
    ("div 7 2", "3"),
    ("div -7 2", "-3"),
    ("mod 7 3", "1"),
    ("mod -7 3", "-1"),
    ("max 1 5 3", "5"),
    ("min 4 2 3", "2"),
    ("add 9223372036854775807 1", "-9223372036854775808"),
    ("addf 1.5 2", "3.5"),
    ("subf 1.5 1", "0.5"),
    ("mulf 1.5 2", "3"),
    ("divf 1 4", "0.25"),
    ("divf 1 0", "+Inf"),
    ("add1f 1.5", "2.5"),
    ("maxf 1.5 2.5", "2.5"),
    ("minf 1.5 2.5", "1.5"),
    ("floor 123.9999", "123"),
    ("ceil 123.001", "124"),
    ("round 123.555555 3", "123.556"),
    ("round 0.5 0", "1"),
    ("round -1.4 0", "-2"),  # as sprig has it: what is below the half goes down
    ("round 123.5555 3 0.6", "123.555"),
    ("round 1.5 0 0.5 9 9", "2"),
    ("round (divf 1 0) 2", "+Inf"),
    ("int (divf 1 0)", "-9223372036854775808"),
    ("float64 `x`", "0"),
    ("int `12`", "12"),
    ("int 12.9", "12"),
    ("int `x`", "0"),
    ("int64 nil", "0"),
    ("float64 `1.5`", "1.5"),
    ("atoi `42`", "42"),
    ("until 3", "[0 1 2]"),
    ("until -3", "[0 -1 -2]"),
    ("untilStep 3 6 2", "[3 5]"),
    ("untilStep 6 3 -2", "[6 4]"),
    ("untilStep 3 6 -1", "[]"),
    ("seq 5", "1 2 3 4 5"),
    ("seq -3", "1 0 -1 -2 -3"),
    ("seq 0 2", "0 1 2"),
    ("seq 2 -2", "2 1 0 -1 -2"),
    ("seq 0 2 10", "0 2 4 6 8 10"),
    ("seq 0 -2 -5", "0 -2 -4"),
    ("seq", ""),
]

DATES = [
    ("date `2006-01-02 15:04:05` .moment", "2026-01-09 13:04:05"),
    ("date `Monday, 2 January 06 3:4:5 PM` .moment", "Friday, 9 January 26 1:4:5 PM"),
    ("date `Jan _2 002 .000 -07:00 Z07:00 MST` .moment", "Jan  9 009 .678 +00:00 Z UTC"),
    ("date `15h04.999999` .moment", "13h04.6789"),
    ("date `2006` 0", "1970"),
    ("dateInZone `15:04 -0700` .moment `Asia/Tokyo`", "22:04 +0900"),
    ("date_in_zone `15:04` .moment `nowhere`", "13:04"),
    ("htmlDate .moment", "2026-01-09"),
    ("unixEpoch .moment", "1767963845"),
    ("date `Janet Monaco` .moment", "Janet Monaco"),
]

PATTERNS = [
    ("regexMatch `^[a-z]+@[a-z]+\\.[a-z]{2,}$` `test@acme.com`", "true"),
    ("regexMatch `a.c` `xabcx`", "true"),
    ("regexFind `[a-zA-Z][1-9]` `abcd1234`", "d1"),
    ("regexFind `x` `abc`", ""),
    ("regexFindAll `[2,4,6,8]` `123456789` -1", "[2 4 6 8]"),
    ("regexFindAll `\\d` `123` 2", "[1 2]"),
    ("regexFindAll `a*` `baac` -1 | len", "3"),
    ("regexReplaceAll `a(x*)b` `-ab-axxb-` `${1}W`", "-W-xxW-"),
    ("regexReplaceAll `a(x*)b` `-ab-axxb-` `$1W$$`", "-$-$-"),
    ("regexReplaceAll `(?P<x>\\w+) (?P<y>\\w+)` `a b` `$y $x`", "b a"),
    ("regexReplaceAll `x*` `abc` `-`", "-a-b-c-"),
    ("regexReplaceAllLiteral `a(x*)b` `-ab-axxb-` `${1}`", "-${1}-${1}-"),
    ("regexSplit `z+` `pizza` -1", "[pi a]"),
    ("regexSplit `,` `a,b,c` 2 | toJson", '["a","b,c"]'),
    ("regexSplit `,` `a,` -1 | toJson", '["a",""]'),
    ("regexSplit `` `abc` -1 | toJson", '["a","b","c"]'),
    ("regexSplit `,` `a,b` 0", "[]"),
    ("regexSplit `,` `` -1 | toJson", '[""]'),
    ("regexQuoteMeta `1.2.3`", "1\\.2\\.3"),
]

ALL = [*CORE, *TEXT, *JSON, *DATA_FUNCTIONS, *NUMBERS, *DATES, *PATTERNS]

FAIL_OR_TELL_TIME = {"fail", "now"}  # tests of errors and of rendering have them


@pytest.mark.parametrize(("pipeline", "text"), ALL)
def test_a_function_gives(pipeline: str, text: str) -> None:
    assert parse(f"{{{{{pipeline}}}}}", "test").render(DATA) == text


def test_every_function_has_an_example() -> None:
    shown = {word.strip("()") for pipeline, _ in ALL for word in pipeline.split()}
    assert {name for name in FUNCTIONS if not name.startswith("must")} - shown <= FAIL_OR_TELL_TIME


def test_the_documentation_lists_every_function() -> None:
    document = (Path(__file__).parents[3] / "docs/reference/templates.md").read_text()
    section = document.split("## Language")[1].split("## Differences")[0].split("| Functions")[1]
    listed = {name for name in re.findall("`([A-Za-z0-9_]+)`", section) if name in FUNCTIONS}
    plain = {name for name in FUNCTIONS if not name.startswith("must")}
    assert listed - {"must", "mustToJson"} == plain - {"trimall"}  # the older name of trimAll


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name.startswith("must")])
def test_a_must_function_has_the_parameters_of_the_other(name: str) -> None:
    other = FUNCTIONS[name[4].lower() + name[5:]]
    assert (FUNCTIONS[name].parameters, FUNCTIONS[name].rest) == (other.parameters, other.rest)


def test_maps_of_the_caller_that_cannot_change_are_not_changed() -> None:
    source = "{{$d := dict}}{{$_ := set $d `a` 1}}{{$d}}{{$_ := merge $d .map}}{{$d.b}}"
    assert parse(source, "test").render(DATA) == "map[a:1]2"
    assert DATA["map"] == {"b": 2, "a": [1, {"z": None, "y": True}]}

"""printf, from the documentation of Go's package fmt."""

from typing import Any

import pytest

from localai.catalog.gotemplate import Record
from localai.catalog.gotemplate.printf import sprintf

POINT = Record("Point", {"X": 1, "Y": "b"})

CASES: list[tuple[str, list[Any], str]] = [
    # any value
    ("%v %v %v %v", [1, "a", True, None], "1 a true <nil>"),
    ("%v", [[1, "a", None]], "[1 a <nil>]"),
    ("%v", [{"b": 1, "a": 2}], "map[a:2 b:1]"),
    ("%v %+v %#v", [POINT, POINT, POINT], '{1 b} {X:1 Y:b} Point{X:1, Y:"b"}'),
    ("%#v %#v", ["a", [1, "x"]], '"a" []interface {}{1, "x"}'),
    ("%T %T %T %T", [1, "a", 1.5, [1]], "int string float64 []interface {}"),
    ("%%", [], "%"),
    ("100%%", [], "100%"),
    # bool
    ("%t %5t|%-6t|", [True, True, False], "true  true|false |"),
    # integers
    ("%d %5d|%-5d|%05d|%+d|% d", [42, 42, 42, -42, 42, 42], "42    42|42   |-0042|+42| 42"),
    (
        "%x %X %#x %o %#o %O %b %#b",
        [255, 255, 255, 8, 8, 8, 5, 5],
        "ff FF 0xff 10 010 0o10 101 0b101",
    ),
    ("%x %#x", [-255, -255], "-ff -0xff"),
    ("%.5d|%8.5d|%08.5d|%.0d|", [42, 42, 42, 0], "00042|   00042|   00042||"),
    ("%c %q %U %#U", [65, 65, 65, 0x263A], "A 'A' U+0041 U+263A '☺'"),
    ("%q", [0x0A], "'\\n'"),
    # floats
    (
        "%f %.2f %5.1f|%-8.2f|%08.3f",
        [1.5, 3.14159, 2.25, 2.5, -3.14159],
        "1.500000 3.14   2.2|2.50    |-003.142",
    ),
    ("%e %E %.1e", [1234.5678, 1234.5678, 1234.5678], "1.234568e+03 1.234568E+03 1.2e+03"),
    ("%g %g %g %G", [0.00001, 1e6, 123456.0, 1e-10], "1e-05 1e+06 123456 1E-10"),
    ("%.3g %.3g %.10g", [1234.5678, 0.00012345, 123456789.0], "1.23e+03 0.000123 123456789"),
    ("%v %v %v", [1e20, 1e21, 0.1], "1e+20 1e+21 0.1"),
    ("%6.2f%%", [12.345], " 12.35%"),
    (
        "%v %v %+v %5v",
        [float("inf"), float("nan"), float("-inf"), float("nan")],
        "+Inf NaN -Inf   NaN",
    ),
    ("%+.1f % .1f", [1.25, 1.75], "+1.2  1.8"),
    # strings
    ("%s|%5s|%-5s|%.2s|%5.1s", ["go", "go", "go", "golang", "go"], "go|   go|go   |go|    g"),
    ("%q %+q %#q", ['a"b', "é\n", "raw"], '"a\\"b" "\\u00e9\\n" `raw`'),
    ("%x %X % x %#x %# x", ["hi", "hi", "hi", "hi", "hi"], "6869 6869 68 69 0x6869 0x68 0x69"),
    ("%5s|%-5s|", ["é", "é"], "    é|é    |"),
    ("%s", [["a", "b"]], "[a b]"),
    ("%q", [["a", "b"]], '["a" "b"]'),
    ("%d", [[1, 2]], "[1 2]"),
    ("%03d", [{"a": 7}], "map[%!d(string=00a):007]"),
    # widths and precisions from arguments, argument indexes
    ("%*d|%-*d|%.*f", [5, 42, 5, 42, 2, 3.14159], "   42|42   |3.14"),
    ("%*d", [-5, 42], "42   "),
    ("%[2]d %[1]d", [11, 22], "22 11"),
    ("%[3]*.[2]*[1]f", [12.0, 2, 6], " 12.00"),
    ("%d %d %#[1]x %#x", [16, 17], "16 17 0x10 0x11"),
    # mistakes show in the text
    ("%d", ["hi"], "%!d(string=hi)"),
    ("%s", [3], "%!s(int=3)"),
    ("%s", [None], "%!s(<nil>)"),
    ("%s", [True], "%!s(bool=true)"),
    ("%t", [1], "%!t(int=1)"),
    ("%f", [1], "%!f(int=1)"),
    ("%z", [3], "%!z(int=3)"),
    ("hi%d", [], "hi%!d(MISSING)"),
    ("hi", [1, "a", None], "hi%!(EXTRA int=1, string=a, <nil>)"),
    ("%!", [], "%!!(MISSING)"),
    ("hi%", [], "hi%!(NOVERB)"),
    ("%*d", ["x", 1], "%!(BADWIDTH)1"),
    ("%.*f", ["x", 1.0], "%!(BADPREC)1.000000"),
    ("%.*f", [-1, 1.0], "%!(BADPREC)1.000000"),
    ("%x", [1.5], "%!x(float64=1.5)"),
    ("%5d", ["hi"], "%!d(string=   hi)"),
    ("%#g %.3g %v", [1.0, 0.0, -0.0], "1. 0 -0"),
    ("%#v", [{"a": "b"}], 'map[string]interface {}{"a":"b"}'),
    ("%q", ["\udcff\x01"], '"\\xff\\x01"'),
    ("%[5]d", [1], "%!d(BADINDEX)"),
    ("%99999999d", [1], "%!(BADWIDTH)1"),
]


@pytest.mark.parametrize(("template", "args", "text"), CASES)
def test_printf_gives(template: str, args: list[Any], text: str) -> None:
    assert sprintf(template, args) == text

"""Go's constants: the value of a number, a character or a string as it is written.

Source: the Go specification, "Integer literals" to "String literals".
"""

from __future__ import annotations

import re
from typing import Final

from localai.catalog.gotemplate.values import LARGEST_INT, SMALLEST_INT, from_bytes, to_bytes

_INTEGER = re.compile(
    r"(?P<sign>[+-]?)(?:0[xX](?P<hex>(?:_?[0-9a-fA-F])+)|0[bB](?P<binary>(?:_?[01])+)"
    r"|0[oO]?(?P<octal>(?:_?[0-7])+)|(?P<decimal>0|[1-9](?:_?[0-9])*))"
)
_DECIMAL_FLOAT = re.compile(
    r"[+-]?(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)"
    r"(?:[eE][+-]?[0-9](?:_?[0-9])*)?"
)
_HEX_FLOAT = re.compile(
    r"[+-]?0[xX](?=_?[0-9a-fA-F]|\.[0-9a-fA-F])(?:_?[0-9a-fA-F])*\.?(?:[0-9a-fA-F](?:_?[0-9a-fA-F])*)?"
    r"[pP][+-]?[0-9](?:_?[0-9])*"
)
_ESCAPE = re.compile(
    rb"\\(?:(?P<simple>[abfnrtv\\'\"])|(?P<octal>[0-7]{3})|x(?P<hex>[0-9a-fA-F]{2})"
    rb"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<wrong>.?))",
    re.DOTALL,
)
_SIMPLE: Final = dict(zip(b"abfnrtv\\'\"", b"\a\b\f\n\r\t\v\\'\"", strict=True))
_BASES: Final = {"hex": 16, "binary": 2, "octal": 8, "decimal": 10}
_LONGEST_NUMBER: Final = 400  # enough for any float in full; reading a long one takes long
_LAST_RUNE: Final = 0x10FFFF
_LARGEST_BYTE: Final = 0xFF


class BadLiteral(ValueError):
    """It looks like a constant, but it is none."""


def number(text: str) -> tuple[int | float, int | None]:
    """Give the value of a number, and its value as an integer if it has one."""
    if len(text) > _LONGEST_NUMBER:
        raise BadLiteral(f"a number has at most {_LONGEST_NUMBER} characters")
    if found := _INTEGER.fullmatch(text):
        base = next(name for name in _BASES if found[name])
        whole = int(found[base], _BASES[base])
        whole = -whole if found["sign"] == "-" else whole
        if not SMALLEST_INT <= whole <= LARGEST_INT:
            raise BadLiteral(f"integer overflow: {text!r}")
        return whole, whole
    value = _float(text)
    if not set(text) & set(".eEpP"):  # as in Go, 08 is no octal number, and 8.0 is not meant
        raise BadLiteral(f"integer overflow: {text!r}")
    is_whole = value.is_integer() and SMALLEST_INT <= value <= LARGEST_INT
    return value, int(value) if is_whole else None


def _float(text: str) -> float:
    try:
        if _HEX_FLOAT.fullmatch(text):
            return float.fromhex(text.replace("_", ""))
        if not _DECIMAL_FLOAT.fullmatch(text):
            raise BadLiteral(f"illegal number syntax: {text!r}")
        value = float(text)
    except OverflowError:
        value = float("inf")
    if value in {float("inf"), float("-inf")}:
        raise BadLiteral(f"illegal number syntax: {text!r}")
    return value


def character(text: str) -> int:
    """Give the code point of a constant such as 'x', or of an escape between its quotes."""
    inner = text[1:-1]
    if len(inner) == 1 and inner != "'":
        return ord(inner)
    found = _ESCAPE.fullmatch(to_bytes(inner))
    if found is None or found["wrong"] is not None or found["simple"] == b'"':
        raise BadLiteral(f"malformed character constant: {text}")
    return _code(found)


def string(text: str) -> str:
    """Give the value of a string in double quotes."""
    inner = text[1:-1]
    return from_bytes(_ESCAPE.sub(_unescape, to_bytes(inner))) if "\\" in inner else inner


def raw_string(text: str) -> str:
    """Give the value of a string in back quotes; Go drops carriage returns from it."""
    return text[1:-1].replace("\r", "")


def _unescape(found: re.Match[bytes]) -> bytes:
    if found["wrong"] is not None or found["simple"] == b"'":
        raise BadLiteral("invalid syntax in a string: " + from_bytes(found[0]))
    code = _code(found)
    if found["short"] or found["long"]:
        return chr(code).encode()
    return bytes((code,))


def _code(found: re.Match[bytes]) -> int:
    if simple := found["simple"]:
        return _SIMPLE[simple[0]]
    if octal := found["octal"]:
        code = int(octal, 8)
        if code > _LARGEST_BYTE:
            raise BadLiteral("an octal escape is larger than \\377")
        return code
    code = int(found["hex"] or found["short"] or found["long"], 16)
    if code > _LAST_RUNE or (not found["hex"] and 0xD800 <= code <= 0xDFFF):  # noqa: PLR2004 - surrogates
        raise BadLiteral(f"U+{code:04X} is not a character")
    return code

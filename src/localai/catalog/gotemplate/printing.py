"""Values as text, as Go's fmt.Print, fmt.Sprintf and strconv write them.

Source: the documentation of Go's packages fmt and strconv.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from localai.catalog.gotemplate.values import MISSING, PrintedList, PrintedMap, Record, to_bytes

NO_VALUE: Final = "<no value>"
NIL: Final = "<nil>"

# The exponents beyond which %v and %g of a float write one, when no precision is asked for
_LARGE_EXPONENT: Final = 6
_SMALL_EXPONENT: Final = -4

_ESCAPES: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}


def printed(value: Any) -> str:
    """Give what an action prints."""
    if isinstance(value, str):
        return value
    return NO_VALUE if value is None or value is MISSING else plain(value)


def plain(value: Any) -> str:
    """Give a value as %v writes it."""
    match value:
        case str():
            return value
        case None:
            return NIL
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return shortest(value)
        case PrintedMap() | PrintedList() | Record() if value.text:
            return value.text
        case list() | tuple():
            return f"[{' '.join(plain(item) for item in value)}]"
        case Mapping():
            return f"map[{' '.join(f'{key}:{plain(value[key])}' for key in sorted(value))}]"
        case Record():
            return f"{{{' '.join(plain(item) for item in value.fields.values())}}}"
        case datetime():
            return time_text(value)
        case _:
            return NIL if value is MISSING else str(value)


def time_text(value: datetime) -> str:
    """Give a time as its String method writes it."""
    fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
    return f"{value:%Y-%m-%d %H:%M:%S}{fraction} {value:%z} {value:%Z}"


def joined(values: Iterable[Any]) -> str:
    """Give values as fmt.Sprint does: a space between two of which neither is a string."""
    pieces: list[str] = []
    was_text = True
    for value in values:
        is_text = isinstance(value, str)
        if not is_text and not was_text:
            pieces.append(" ")
        pieces.append(plain(value))
        was_text = is_text
    return "".join(pieces)


def digits_of(value: float) -> tuple[str, int]:
    """Give the fewest digits that tell a positive float from all others, and its exponent."""
    _, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    exponent += len(text) - 1
    return text.rstrip("0") or "0", exponent


def shortest(value: float) -> str:
    """Give a float as %v does: as few digits as needed, an exponent for very large and small."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if not value:
        return sign + "0"
    digits, exponent = digits_of(abs(value))
    if exponent < _SMALL_EXPONENT or exponent >= _LARGE_EXPONENT:
        return sign + scientific(digits, exponent)
    return sign + positional(digits, exponent)


def scientific(digits: str, exponent: int) -> str:
    """Give digits with an exponent of at least two digits."""
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def positional(digits: str, exponent: int) -> str:
    """Give digits without an exponent."""
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if exponent + 1 >= len(digits):
        return digits + "0" * (exponent + 1 - len(digits))
    return digits[: exponent + 1] + "." + digits[exponent + 1 :]


def quoted(text: str, *, mark: str = '"', only_ascii: bool = False) -> str:
    """Give a string as %q does: in quotes, with Go's escapes for what cannot be printed."""
    pieces = [mark]
    for char in text:
        code = ord(char)
        if char == mark:
            pieces.append("\\" + char)
        elif char in _ESCAPES:
            pieces.append(_ESCAPES[char])
        elif char == " " or (char.isprintable() and (code < 0x80 or not only_ascii)):  # noqa: PLR2004
            pieces.append(char)
        elif 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - a byte that is no UTF-8
            pieces.append(f"\\x{code - 0xDC00:02x}")
        elif code < 0x20 or code == 0x7F:  # noqa: PLR2004
            pieces.append(f"\\x{code:02x}")
        else:
            pieces.append(f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")  # noqa: PLR2004
    pieces.append(mark)
    return "".join(pieces)


def hexadecimal(text: str, *, upper: bool = False) -> str:
    """Give the bytes of a string in hexadecimal."""
    digits = to_bytes(text).hex()
    return digits.upper() if upper else digits

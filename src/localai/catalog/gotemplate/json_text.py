"""JSON as Go's encoding/json writes and reads it.

Sources: RFC 8259; the documentation of Go's json.Marshal and json.Unmarshal.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from localai.catalog.gotemplate.printing import digits_of, positional
from localai.catalog.gotemplate.values import MISSING, Record, clean

_SMALLEST_POSITIONAL: Final = 1e-6
_LARGEST_POSITIONAL: Final = 1e21

_ESCAPED = re.compile('[\x00-\x1f"\\\\\u2028\u2029]')
_ESCAPED_FOR_HTML = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029]')
_SHORT: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


class NotJson(ValueError):
    """A value has no JSON, or a text is none."""


def encode(value: Any, *, indent: str = "", escape_html: bool = True) -> str:
    """Give a value's JSON: keys sorted, fields of structs in order, `<`, `>` and `&` escaped."""
    return _Encoder(indent, _ESCAPED_FOR_HTML if escape_html else _ESCAPED).text(value, "\n")


def decode(text: str) -> Any:
    """Give the value of a JSON text; every number is a float, as in Go."""
    try:
        return json.loads(text, parse_int=float, parse_constant=_refuse)
    except ValueError as error:
        raise NotJson(str(error)) from None


def _refuse(name: str) -> None:
    raise NotJson(f"{name} is no JSON value")


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return _SHORT.get(char) or f"\\u{ord(char):04x}"


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise NotJson(f"unsupported value: {value}")
    if not value:
        return "-0" if math.copysign(1.0, value) < 0 else "0"
    sign, size = ("-" if value < 0 else ""), abs(value)
    digits, exponent = digits_of(size)
    if _SMALLEST_POSITIONAL <= size < _LARGEST_POSITIONAL:
        return sign + positional(digits, exponent)
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent)}"


class _Encoder:
    def __init__(self, indent: str, escaped: re.Pattern[str]) -> None:
        self._indent = indent
        self._escaped = escaped

    def text(self, value: Any, newline: str) -> str:
        """Encode one value; `newline` starts a line at its level."""
        match value:
            case str():
                return f'"{self._escaped.sub(_escape, clean(value))}"'
            case None:
                return "null"
            case bool():
                return "true" if value else "false"
            case int():
                return str(value)
            case float():
                return _number(value)
            case list() | tuple():
                inner = newline + self._indent
                return self._wrap("[]", (self.text(item, inner) for item in value), newline)
            case Mapping():
                return self._object(sorted(value.items()), newline)
            case Record():
                return self._object(_json_fields(value), newline)
            case datetime():
                return f'"{value.isoformat()}"'
            case _:
                if value is MISSING:
                    return "null"
                raise NotJson(f"unsupported type: {type(value).__name__}")

    def _object(self, pairs: Iterable[tuple[str, Any]], newline: str) -> str:
        inner = newline + self._indent
        colon = ": " if self._indent else ":"
        items = (f"{self.text(str(key), inner)}{colon}{self.text(v, inner)}" for key, v in pairs)
        return self._wrap("{}", items, newline)

    def _wrap(self, brackets: str, items: Iterable[str], newline: str) -> str:
        texts = list(items)
        if not texts:
            return brackets
        if not self._indent:
            return f"{brackets[0]}{','.join(texts)}{brackets[1]}"
        inner = newline + self._indent
        return f"{brackets[0]}{inner}{f',{inner}'.join(texts)}{newline}{brackets[1]}"


def _json_fields(record: Record) -> list[tuple[str, Any]]:
    return [
        (record.json_names.get(name, name), value)
        for name, value in record.fields.items()
        if value or isinstance(value, Record) or name not in record.omitted_if_empty
    ]

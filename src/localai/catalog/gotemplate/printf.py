"""fmt.Sprintf: verbs, flags, widths, precisions and argument indexes.

Source: the documentation of Go's package fmt, "Printing".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from localai.catalog.gotemplate.printing import (
    NIL,
    hexadecimal,
    plain,
    positional,
    quoted,
    scientific,
    shortest,
)
from localai.catalog.gotemplate.printing import digits_of as float_digits
from localai.catalog.gotemplate.values import Record, from_bytes, to_bytes, type_of

_LARGEST_WIDTH: Final = 1_000_000  # Go's own limit
_LAST_RUNE: Final = 0x10FFFF
_WITH_NAMES: Final = "n"  # a flag that cannot be written
_VERB = re.compile(
    r"%(?P<flags>[+\-# 0]*)(?:\[(?P<width_index>\d+)\](?=\*))?(?P<width>\d+|\*)?"
    r"(?P<dot>\.(?:\[(?P<precision_index>\d+)\](?=\*))?(?P<precision>\d+|\*)?)?"
    r"(?:\[(?P<index>\d+)\])?(?P<verb>.)?",
    re.DOTALL,
)
_INTEGER_BASES: Final = {
    "b": ("b", "0b"),
    "o": ("o", "0"),
    "O": ("o", ""),
    "x": ("x", "0x"),
    "X": ("X", "0X"),
    "d": ("d", ""),
    "v": ("d", ""),
}


@dataclass(frozen=True, slots=True)
class _Spec:
    """One directive of a format; a precision that is not asked for is None."""

    verb: str
    flags: str = ""
    width: int | None = None
    precision: int | None = None

    def pad(self, text: str, *, number: bool = False) -> str:
        """Fill up to the width, counted in characters; zeros go behind a number's sign."""
        width = self.width or 0
        if "-" in self.flags:
            return text.ljust(width)
        if "0" not in self.flags:
            return text.rjust(width)
        if number and text[:1] in {"+", "-", " "}:
            return text[0] + text[1:].rjust(width - 1, "0")
        return text.rjust(width, "0")


def sprintf(template: str, args: Sequence[Any]) -> str:
    """Write `args` as `template` says. Mistakes show in the text, as in Go: `%!d(string=hi)`."""
    return _Printf(template, args).text()


class _Printf:
    def __init__(self, template: str, args: Sequence[Any]) -> None:
        self._template = template
        self._args = args
        self._next = 0
        self._reordered = False
        self._bad_index = False

    def text(self) -> str:
        """Write all of it."""
        text = _VERB.sub(self._directive, self._template)
        if self._reordered or self._next >= len(self._args):
            return text
        extra = ", ".join(
            NIL if arg is None else f"{type_of(arg)}={plain(arg)}"
            for arg in self._args[self._next :]
        )
        return f"{text}%!(EXTRA {extra})"

    def _directive(self, found: re.Match[str]) -> str:
        self._bad_index = False
        notes: list[str] = []
        flags = found["flags"]
        width = self._amount(found["width_index"], found["width"], notes, "WIDTH")
        if width is not None and width < 0:
            flags, width = flags + "-", -width
        precision = None
        if found["dot"]:
            precision = self._amount(found["precision_index"], found["precision"], notes, "PREC", 0)
            if precision is not None and precision < 0:
                precision = None
                notes.append("%!(BADPREC)")
        self._move(found["index"])
        verb = found["verb"]
        if verb is None:
            return "".join((*notes, "%!(NOVERB)"))
        if verb == "%":
            return "".join((*notes, "%"))
        if self._bad_index:
            return "".join((*notes, f"%!{verb}(BADINDEX)"))
        if self._next >= len(self._args):
            return "".join((*notes, f"%!{verb}(MISSING)"))
        value = self._args[self._next]
        self._next += 1
        if verb == "v":
            flags = flags.replace("+", _WITH_NAMES)  # for %v it asks for names, not for signs
        return "".join((*notes, _formatted(value, _Spec(verb, flags, width, precision))))

    def _move(self, index: str | None) -> None:
        if index is None:
            return
        self._reordered = True
        at = int(index) - 1 if len(index) < 10 else -1  # noqa: PLR2004 - more digits than any index
        if 0 <= at < len(self._args):
            self._next = at
        else:
            self._bad_index = True

    def _amount(
        self,
        index: str | None,
        written: str | None,
        notes: list[str],
        what: str,
        default: int | None = None,
    ) -> int | None:
        self._move(index)
        if written is None:
            return default
        value: Any = int(written[:8]) if written != "*" else None
        if written == "*" and self._next < len(self._args):
            value = self._args[self._next]
            self._next += 1
        is_int = isinstance(value, int) and not isinstance(value, bool)
        if not is_int or not -_LARGEST_WIDTH <= value <= _LARGEST_WIDTH:
            notes.append(f"%!(BAD{what})")
            return None
        return int(value)


def _formatted(value: Any, spec: _Spec) -> str:
    if spec.verb == "T":
        return spec.pad(type_of(value))
    if spec.verb == "v" and "#" in spec.flags:
        return spec.pad(_go_syntax(value))
    match value:
        case None:
            return spec.pad(NIL) if spec.verb == "v" else f"%!{spec.verb}({NIL})"
        case bool():
            text = spec.pad(plain(value)) if spec.verb in "tv" else None
        case int():
            text = _integer(value, spec)
        case float():
            text = _float(value, spec)
        case str():
            text = _string(value, spec)
        case list() | tuple():
            return f"[{' '.join(_formatted(item, spec) for item in value)}]"
        case Mapping():
            pairs = (f"{_formatted(k, spec)}:{_formatted(value[k], spec)}" for k in sorted(value))
            return f"map[{' '.join(pairs)}]"
        case Record():
            return _struct(value, spec)
        case _:
            text = _string(plain(value), spec)
    if text is not None:
        return text
    return f"%!{spec.verb}({type_of(value)}={_formatted(value, replace(spec, verb='v'))})"


def _struct(value: Record, spec: _Spec) -> str:
    names = _WITH_NAMES in spec.flags
    fields = (
        (f"{name}:" if names else "") + _formatted(item, spec)
        for name, item in value.fields.items()
    )
    return f"{{{' '.join(fields)}}}"


def _signed(text: str, flags: str, *, negative: bool) -> str:
    if negative:
        return "-" + text
    return ("+" if "+" in flags else " " if " " in flags else "") + text


def _integer(value: int, spec: _Spec) -> str | None:
    verb, flags = spec.verb, spec.flags
    if verb in _INTEGER_BASES:
        base, prefix = _INTEGER_BASES[verb]
        digits = f"{abs(value):{base}}"
        if spec.precision is not None:
            digits = "" if not (spec.precision or value) else digits.rjust(spec.precision, "0")
            spec = replace(spec, flags=flags.replace("0", ""))  # a precision overrides it
        elif "0" in flags and "-" not in flags and spec.width:
            room = spec.width - (1 if value < 0 or "+" in flags or " " in flags else 0)
            digits = digits.rjust(room, "0")
        digits = "0o" + digits if verb == "O" else digits
        if "#" in flags and not (verb == "o" and digits.startswith("0")):
            digits = prefix + digits
        return spec.pad(_signed(digits, flags, negative=value < 0), number=True)
    if verb in "eEfFgG":
        return None
    if verb not in "cqU":
        return None
    char = chr(value) if 0 <= value <= _LAST_RUNE else "\ufffd"
    if verb == "c":
        return spec.pad(char)
    if verb == "q":
        return spec.pad(quoted(char, mark="'", only_ascii="+" in flags))
    return spec.pad(f"U+{value:04X}" + (f" '{char}'" if "#" in flags else ""))


def _float(value: float, spec: _Spec) -> str | None:
    verb, flags = spec.verb, spec.flags
    if verb not in "vgGeEfF":
        return None
    if not math.isfinite(value):
        flags = flags.replace("0", "")  # they do not look like numbers, so no zeros
        text = "NaN" if math.isnan(value) else "Inf"
        if text == "Inf" and value > 0 and " " not in flags:
            flags += "+"
        return replace(spec, flags=flags).pad(_signed(text, flags, negative=value < 0))
    size = abs(value)
    if verb in "vgG":
        text = shortest(size) if spec.precision is None else _general(size, spec.precision)
        text = text.upper() if verb == "G" else text
    else:
        precision = 6 if spec.precision is None else spec.precision
        text = f"{size:.{precision}{verb}}"
    if "#" in flags and "." not in text and "e" not in text.lower():
        text += "."
    negative = math.copysign(1.0, value) < 0
    return spec.pad(_signed(text, flags, negative=negative), number=True)


def _general(size: float, precision: int) -> str:
    """Write %.3g: the exponent decides whether one is written, and it depends on the rounding."""
    precision = precision or 1
    if not size:
        return "0"
    digits, exponent = float_digits(float(f"{size:.{precision - 1}e}"))
    limit = precision
    if limit > len(digits) and len(digits) >= exponent + 1:
        limit = len(digits)
    is_large = exponent < -4 or exponent >= limit  # noqa: PLR2004 - as in C
    return scientific(digits, exponent) if is_large else positional(digits, exponent)


def _string(value: str, spec: _Spec) -> str | None:
    verb, flags = spec.verb, spec.flags
    if verb in "vsq":
        text = value if spec.precision is None else value[: spec.precision]
        if verb == "q":
            can_be_raw = "#" in flags and "`" not in text and text.isprintable()
            text = f"`{text}`" if can_be_raw else quoted(text, only_ascii="+" in flags)
        return spec.pad(text)
    if verb not in "xX":
        return None
    data = to_bytes(value)
    data = data if spec.precision is None else data[: spec.precision]
    text = hexadecimal(from_bytes(data), upper=verb == "X")
    prefix = ("0" + verb) if "#" in flags else ""
    if " " in flags:
        pairs = (prefix + text[i : i + 2] for i in range(0, len(text), 2))
        return spec.pad(" ".join(pairs))
    return spec.pad(prefix + text if text else "")


def _go_syntax(value: Any) -> str:
    match value:
        case str():
            return quoted(value)
        case list() | tuple():
            return f"[]interface {{}}{{{', '.join(_go_syntax(item) for item in value)}}}"
        case Mapping():
            pairs = ", ".join(f"{quoted(key)}:{_go_syntax(value[key])}" for key in sorted(value))
            return f"map[string]interface {{}}{{{pairs}}}"
        case Record():
            pairs = ", ".join(f"{name}:{_go_syntax(item)}" for name, item in value.fields.items())
            return f"{value.type_name}{{{pairs}}}"
        case _:
            return plain(value)

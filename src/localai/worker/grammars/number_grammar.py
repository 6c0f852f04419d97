"""Ranges of whole numbers as GBNF."""

from __future__ import annotations

from typing import Final

_MOST_DIGITS: Final = 16


def whole_numbers(low: int | None, high: int | None) -> str:
    """An expression for the whole numbers from `low` to `high`; empty for all of them.

    A bound with more than 16 digits is none.
    """
    largest = 10**_MOST_DIGITS - 1
    low = None if low is not None and low < -largest else low
    high = None if high is not None and high > largest else high
    if low is None and high is None:
        return ""
    least, most = max(-largest, -largest if low is None else low), largest if high is None else high
    if least > most:
        return ""  # nothing fits, so nothing is held to it
    parts = []
    if least < 0:
        parts.append(f'"-" ({_between(max(1, -most), -least)})')
    if most >= 0:
        parts.append(_between(max(0, least), most))
    return " | ".join(parts)


def _between(low: int, high: int) -> str:
    """An expression for `low` to `high`, neither negative, without leading zeros."""
    options = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 0 if digits == 1 else 10 ** (digits - 1))
        last = min(high, 10**digits - 1)
        options += _same_length(str(first), str(last))
    return " | ".join(options)


def _same_length(low: str, high: str) -> list[str]:
    """Expressions for the numbers from `low` to `high`, which have the same number of digits."""
    if not low:
        return [""]
    rest = len(low) - 1
    if low == "0" * len(low) and high == "9" * len(high):
        return [_any(len(low))]
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        return [f"{_digit(low[0], high[0])} {_any(rest)}".strip()]
    if low[0] == high[0]:
        return [_then(_digit(low[0], low[0]), _same_length(low[1:], high[1:]))]
    options = []
    start, end = int(low[0]), int(high[0])
    if low[1:] != "0" * rest:
        options.append(_then(_digit(low[0], low[0]), _same_length(low[1:], "9" * rest)))
        start += 1
    if high[1:] != "9" * rest:
        end -= 1
    if start <= end:
        options.append(f"{_digit(str(start), str(end))} {_any(rest)}".strip())
    if high[1:] != "9" * rest:
        options.append(_then(_digit(high[0], high[0]), _same_length("0" * rest, high[1:])))
    return options


def _then(digit: str, options: list[str]) -> str:
    return f"{digit} ({' | '.join(options)})" if options != [""] else digit


def _any(digits: int) -> str:
    return f"[0-9]{{{digits}}}" if digits else ""


def _digit(first: str, last: str) -> str:
    return f"[{first}]" if first == last else f"[{first}-{last}]"

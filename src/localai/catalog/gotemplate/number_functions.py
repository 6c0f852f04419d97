"""Sprig's arithmetic: 64-bit integers that wrap around, floats, and ranges of integers.

Source: the documentation of sprig, "Integer Math", "Float Math", "Type Conversion".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from localai.catalog.gotemplate.errors import FunctionFailed
from localai.catalog.gotemplate.limits import checked_list_length
from localai.catalog.gotemplate.values import LARGEST_INT, SMALLEST_INT, Table, wrapped

_INTEGER = re.compile(r"[+-]?[0-9]+")
_LONGEST_NUMBER: Final = 400  # characters; int() of a long text takes long


def whole(value: Any) -> int:
    """Give a value as an integer: 0 for what is none."""
    match value:
        case bool() | int():
            return int(value)
        case float():
            if not math.isfinite(value) or not SMALLEST_INT <= value <= LARGEST_INT:
                return SMALLEST_INT  # what amd64 gives; Go leaves it open
            return int(value)
        case str():
            return _whole_of_text(value)
        case _:
            return 0


def _whole_of_text(text: str) -> int:
    if len(text) > _LONGEST_NUMBER or not _INTEGER.fullmatch(text):
        return 0
    value = int(text)
    return value if SMALLEST_INT <= value <= LARGEST_INT else 0


def real(value: Any) -> float:
    """Give a value as a float: 0 for what is none."""
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        return float(value) if isinstance(value, str) and len(value) <= _LONGEST_NUMBER else 0.0
    except ValueError:
        return 0.0


def _folded(step: Callable[[int, int], int]) -> Callable[..., int]:
    def fold(first: Any, *others: Any) -> int:
        result = whole(first)
        for other in others:
            result = wrapped(step(result, whole(other)))
        return result

    return fold


def _folded_floats(step: Callable[[float, float], float]) -> Callable[..., float]:
    def fold(first: Any, *others: Any) -> float:
        result = real(first)
        for other in others:
            result = step(result, real(other))
        return result

    return fold


def _quotient(left: Any, right: Any) -> int:
    """Divide towards zero, as Go does."""
    dividend, divisor = whole(left), whole(right)
    if not divisor:
        raise FunctionFailed("integer divide by zero")
    size = abs(dividend) // abs(divisor)
    return wrapped(size if (dividend < 0) == (divisor < 0) else -size)


def _remainder(left: Any, right: Any) -> int:
    """Give what division leaves; its sign is that of the dividend."""
    dividend, divisor = whole(left), whole(right)
    if not divisor:
        raise FunctionFailed("integer divide by zero")
    return int(math.copysign(1, dividend)) * (abs(dividend) % abs(divisor))


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    sign = math.copysign(1.0, left) * math.copysign(1.0, right)
    return math.nan if not left or math.isnan(left) else sign * math.inf


def _rounded(value: Any, places: int, half: Any = 0.5, *_ignored: Any) -> float:
    """Round to some places after the point: up if the rest is at least `half`, else down.

    Sprig takes further numbers and ignores them.
    """
    number = real(value)
    if not math.isfinite(number):
        return number
    scale = 10.0**places
    rest, _ = math.modf(scale * number)
    rounding = math.ceil if rest >= real(half) else math.floor
    return rounding(scale * number) / scale


def _edge(rounding: Callable[[float], int]) -> Callable[[Any], float]:
    def edge(value: Any) -> float:
        number = real(value)
        return float(rounding(number)) if math.isfinite(number) else number

    return edge


def until_step(start: int, stop: int, step: int) -> list[int]:
    """Give the integers from `start` to before `stop`; none if the step leads away from it."""
    if not step or (stop < start) != (step < 0):
        return []
    numbers = range(start, stop, step)
    checked_list_length(len(numbers))
    return list(numbers)


def _until(count: int) -> list[int]:
    return until_step(0, count, -1 if count < 0 else 1)


def _sequence(*bounds: int) -> str:
    """Count as the program seq does, both ends included: end; start, end; start, step, end."""
    match bounds:
        case (end,):
            start, step = 1, 1 if end >= 1 else -1
        case (start, end):
            step = 1 if end >= start else -1
        case (start, step, end):
            pass
        case _:
            return ""
    past = end + (1 if step > 0 else -1)
    return " ".join(map(str, until_step(start, past, step)))


FUNCTIONS: Final[Table] = {
    "add": ("a a*", _folded(lambda left, right: left + right)),
    "add1": ("a", lambda value: wrapped(whole(value) + 1)),
    "add1f": ("a", lambda value: real(value) + 1.0),
    "addf": ("a a*", _folded_floats(lambda left, right: left + right)),
    "atoi": ("s", _whole_of_text),
    "ceil": ("a", _edge(math.ceil)),
    "div": ("a a", _quotient),
    "divf": ("a a*", _folded_floats(_divided)),
    "float64": ("a", real),
    "floor": ("a", _edge(math.floor)),
    "int": ("a", whole),
    "int64": ("a", whole),
    "max": ("a a*", _folded(max)),
    "maxf": ("a a*", _folded_floats(max)),
    "min": ("a a*", _folded(min)),
    "minf": ("a a*", _folded_floats(min)),
    "mod": ("a a", _remainder),
    "mul": ("a a*", _folded(lambda left, right: left * right)),
    "mulf": ("a a*", _folded_floats(lambda left, right: left * right)),
    "round": ("a i a*", _rounded),
    "seq": ("i*", _sequence),
    "sub": ("a a", _folded(lambda left, right: left - right)),
    "subf": ("a a*", _folded_floats(lambda left, right: left - right)),
    "until": ("i", _until),
    "untilStep": ("i i i", until_step),
}

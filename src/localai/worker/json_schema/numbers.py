"""Numbers as expressions of a grammar: within bounds, in steps, digit by digit.

A number without bounds may have an exponent; one with bounds has none. A value is written in one
way only, but for zeros at the end of its decimals.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Final

from localai.worker.json_schema.nodes import Number
from localai.worker.json_schema.problems import SchemaProblem

_WHOLE_DIGITS: Final = 16  # as llama.cpp's own grammars have it
_EXACT_DIGITS: Final = 15  # a float of 64 bits tells all numbers of so many digits apart
_DECIMALS: Final = 6
_MOST_DIGITS: Final = 60  # before the point and after it; each may be a group in another
_MOST_LISTED: Final = 512
_LARGEST_STEP: Final = 128
_LONG: Final = f"[1-9] [0-9]{{0,{_WHOLE_DIGITS - 1}}}"
_ANY_WHOLE: Final = f'"0" | "-"? {_LONG}'
_ANY_SIGNED: Final = f'"-"? ("0" | {_LONG})'
_ANY_NUMBER: Final = f'{_ANY_SIGNED} ("." [0-9]{{1,{_WHOLE_DIGITS}}})? ([eE] [-+]? [0-9]{{1,2}})?'

SetRule = Callable[[str, str], None]
"""Sets the rule of a name."""


def number_expression(node: Number, set_rule: SetRule) -> str:
    """Every number of the node. Raises SchemaProblem."""
    if node.step is not None and not (node.is_whole and Fraction(1) % Fraction(node.step) == 0):
        return _stepped(node, set_rule)
    if node.low is None and node.high is None:
        return _ANY_WHOLE if node.is_whole else _ANY_NUMBER
    node = _without_far_bounds(node)
    return _between(node, 0 if node.is_whole else _decimals(node))


def _without_far_bounds(node: Number) -> Number:
    """Leave out the bounds beyond what a number without bounds may be."""
    near, far = 10**_WHOLE_DIGITS, 10 ** (_WHOLE_DIGITS + 1)
    low, high = node.low, node.high
    if high is not None and high >= far and (low is None or low < near):
        node = dataclasses.replace(node, high=None)
    if low is not None and low <= -far and (high is None or high > -near):
        node = dataclasses.replace(node, low=None)
    return node


def _decimals(node: Number) -> int:
    """How many decimals to allow: those of the bounds at least, and no more than floats keep apart."""
    bounds = [bound for bound in (node.low, node.high) if bound is not None]
    exponents = (int(bound.normalize().as_tuple().exponent) for bound in bounds)
    written = max((-min(exponent, 0) for exponent in exponents), default=0)
    whole_digits = max((len(str(abs(int(bound)))) for bound in bounds), default=0)
    written += node.excludes_low or node.excludes_high  # there is room between such bounds
    return min(_MOST_DIGITS, max(written, min(_DECIMALS, _EXACT_DIGITS - whole_digits)))


def _between(node: Number, decimals: int) -> str:
    """Numbers of at most so many decimals, within the node's bounds."""
    unit = 10**decimals
    most = 10**_MOST_DIGITS * unit - 1
    low = high = None
    if node.low is not None:
        exact = Fraction(node.low) * unit
        low = max(math.ceil(exact) + (node.excludes_low and exact.denominator == 1), -most)
    if node.high is not None:
        exact = Fraction(node.high) * unit
        high = min(math.floor(exact) - (node.excludes_high and exact.denominator == 1), most)
    if (low is not None and low > most) or (high is not None and high < -most):
        raise SchemaProblem(
            node.pointer,
            f"a grammar cannot say numbers of more than {_MOST_DIGITS} digits",
            hint="Set `minimum` and `maximum` nearer to zero.",
        )
    if low is not None and high is not None and low > high:
        raise _empty(node, decimals)
    options = []
    if low is None or low < 0:  # mirrored; zero has no sign
        least = 1 if high is None or high >= 0 else -high
        options.append(f'"-" ({_positive(least, None if low is None else -low, decimals)})')
    if high is None or high >= 0:
        options.append(_positive(max(low or 0, 0), high, decimals))
    return " | ".join(options)


def _empty(node: Number, decimals: int = 0) -> SchemaProblem:
    kind = f"number of at most {decimals} decimals" if decimals == _MOST_DIGITS else "number"
    return SchemaProblem(node.pointer, f"no {kind} lies within these bounds", is_wrong=True)


def _positive(low: int, high: int | None, decimals: int) -> str:
    """From `low` to `high`, in units of the last decimal; None stands for a very large number."""
    if high is None:
        high = max(10 ** (_WHOLE_DIGITS + decimals) - 1, low * 10)
    unit = 10**decimals
    first, last = low // unit, high // unit
    if first == last:
        tail = _decimals_between(_digits(low % unit, decimals), _digits(high % unit, decimals))
        return f'"{first}"{tail}'
    options = []
    inner_first, inner_last = first, last
    if low % unit:
        options.append(f'"{first}"{_decimals_from(_digits(low % unit, decimals))}')
        inner_first += 1
    if decimals and high % unit != unit - 1:
        options.append(f'"{last}"{_decimals_to(_digits(high % unit, decimals))}')
        inner_last -= 1
    if inner_first <= inner_last:
        tail = f' ("." [0-9]{{1,{decimals}}})?' if decimals else ""
        options.append(f"({_whole(inner_first, inner_last)}){tail}")
    return " | ".join(options)


def _digits(value: int, count: int) -> str:
    return str(value).zfill(count) if count else ""


# ---- digits after the point: a text that is cut short stands for one with zeros


def _decimals_from(digits: str) -> str:
    return f' "." {_at_least(digits)}'


def _decimals_to(digits: str) -> str:
    return f' ("." ({_at_most(digits)}))?'


def _decimals_between(low: str, high: str) -> str:
    if not low:
        return ""
    body = f' "." ({_within(low, high)})'
    return body if low.strip("0") else f" ({body.strip()})?"


def _rest(count: int) -> str:
    return f" [0-9]{{0,{count}}}" if count else ""


def _at_least(digits: str) -> str:
    """Digits that are `digits` or more; at least one of them is not zero."""
    head, tail = digits[0], digits[1:]
    options = [
        f'"{head}"{_rest(len(tail))}' if not tail.strip("0") else f'"{head}" {_at_least(tail)}'
    ]
    if head < "9":
        options.append(f"[{chr(ord(head) + 1)}-9]{_rest(len(tail))}")
    return f"({' | '.join(options)})"


def _at_most(digits: str) -> str:
    """Digits that are `digits` or less."""
    head, tail = digits[0], digits[1:]
    options = [f'"{head}"' + (f" ({_at_most(tail)})?" if tail else "")]
    if head > "0":
        options.append(f"[0-{chr(ord(head) - 1)}]{_rest(len(tail))}")
    return " | ".join(options)


def _within(low: str, high: str) -> str:
    """Digits from `low` to `high`, which are of one length."""
    head = low[0]
    if len(low) == 1:
        return f"[{low}-{high}]"
    if head == high[0]:
        inner = f"({_within(low[1:], high[1:])})"
        return f'"{head}" {inner}' + ("" if low[1:].strip("0") else "?")
    options = [
        f'"{head}"' + (f" {_at_least(low[1:])}" if low[1:].strip("0") else _rest(len(low) - 1)),
        f'"{high[0]}" ({_at_most(high[1:])})?',
    ]
    if ord(high[0]) - ord(head) > 1:
        options.append(f"[{chr(ord(head) + 1)}-{chr(ord(high[0]) - 1)}]{_rest(len(low) - 1)}")
    return " | ".join(options)


# ---- whole numbers without a sign


def _whole(low: int, high: int) -> str:
    """Whole numbers from `low` to `high`, by their length."""
    options = []
    for length in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (length - 1) if length > 1 else 0)
        last = min(high, 10**length - 1)
        options += _of_one_length(str(first), str(last))
    return " | ".join(options)


def _of_one_length(low: str, high: str) -> list[str]:
    """Digits from `low` to `high`, which are of one length, all of them written."""
    if low == high:
        return [f'"{low}"']
    size = len(low)
    if size == 1:
        return [f"[{low}-{high}]"]
    tail_low, tail_high = low[1:], high[1:]
    if low[0] == high[0]:
        return [f'"{low[0]}" ({" | ".join(_of_one_length(tail_low, tail_high))})']
    zeros, nines = "0" * (size - 1), "9" * (size - 1)
    first, last = int(low[0]), int(high[0])
    options = []
    if tail_low != zeros:
        options.append(f'"{first}" ({" | ".join(_of_one_length(tail_low, nines))})')
        first += 1
    if tail_high != nines:
        options.append(f'"{last}" ({" | ".join(_of_one_length(zeros, tail_high))})')
        last -= 1
    if first <= last:
        head = f'"{first}"' if first == last else f"[{first}-{last}]"
        options.append(f"{head} [0-9]{{{size - 1}}}")
    return options


# ---- multiples


def _stepped(node: Number, set_rule: SetRule) -> str:
    """Multiples of the node's step: a list of few, or a rule for each remainder."""
    assert node.step is not None
    step = Fraction(node.step)
    tens = _power_of_ten(node.step)
    # 0.01: so many decimals
    if tens is not None and not node.is_whole and -_MOST_DIGITS <= tens <= 0:
        return _between_or_any(node, -tens)
    if node.is_whole and step.denominator != 1:
        step = Fraction(step.numerator)  # its multiples that are whole
    if node.low is not None and node.high is not None:
        first = -(-Fraction(node.low) // step)
        last = Fraction(node.high) // step
        first += node.excludes_low and first * step == Fraction(node.low)
        last -= node.excludes_high and last * step == Fraction(node.high)
        if last < first:
            raise _empty(node)
        if last - first < _MOST_LISTED:
            return " | ".join(f'"{_spelled(step * i)}"' for i in range(int(first), int(last) + 1))
    elif step.denominator == 1 and step <= _LARGEST_STEP and node.high is None:
        if node.low is None:
            return f'"-"? ({_multiples(int(step), set_rule)})'
        has_zero = node.low < 0 or (node.low == 0 and not node.excludes_low)
        has_step = node.low < step or (node.low == step and not node.excludes_low)
        if has_step and -node.low < step:
            zero = '"0" | ' if has_zero else ""
            return f"{zero}{_above_zero(int(step), set_rule)}"
    raise SchemaProblem(
        node.pointer,
        f"a grammar cannot say all multiples of {node.step} within these bounds",
        hint=f"Set `minimum` and `maximum` so that there are at most {_MOST_LISTED}.",
    )


def _power_of_ten(value: Decimal) -> int | None:
    normal = value.normalize().as_tuple()
    return int(normal.exponent) if normal.digits == (1,) else None


def _between_or_any(node: Number, decimals: int) -> str:
    if node.low is not None or node.high is not None:
        return _between(node, decimals)
    return f'{_ANY_SIGNED} ("." [0-9]{{1,{decimals}}})?' if decimals else _ANY_WHOLE


def _spelled(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    return format(Decimal(value.numerator) / Decimal(value.denominator), "f")


def _multiples(step: int, set_rule: SetRule) -> str:
    return f'"0" | {_above_zero(step, set_rule)}'


def _above_zero(step: int, set_rule: SetRule) -> str:
    """Multiples of `step` above zero: digits whose remainder is none in the end.

    The rules are named by the remainder so far, and refer to each other.
    """
    names = [f"multiple-{step}-{remainder}" for remainder in range(step)]
    for remainder, name in enumerate(names):
        following = _steps(names, ((10 * remainder + digit) % step for digit in range(10)), 0)
        set_rule(name, f"({following})?" if remainder == 0 else following)
    return _steps(names, (digit % step for digit in range(1, 10)), 1)


def _steps(names: list[str], remainders: Iterable[int], first_digit: int) -> str:
    by_rule: dict[str, str] = {}
    for digit, remainder in enumerate(remainders, first_digit):
        by_rule[names[remainder]] = by_rule.get(names[remainder], "") + str(digit)
    return " | ".join(f"[{digits}] {name}" for name, digits in by_rule.items())

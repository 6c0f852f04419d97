"""Texts and numbers of a schema."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any, Final

from localai.worker.json_schema import facts as fact
from localai.worker.json_schema.facts import OF_TYPE, Facts, Said
from localai.worker.json_schema.nodes import Node, Nothing, Number, String
from localai.worker.json_schema.problems import SchemaProblem, wrong
from localai.worker.json_schema.regex import BadRegex, Regex, matches, parse, whole
from localai.worker.json_schema.strings import text_of_pattern
from localai.worker.json_schema.tighten import of_length

NO_LIMIT: Final = 1_000_000
"""Characters, items: an answer is never so long, so such a limit is none."""

FORMATS: Final = {"date": (10, 10), "time": (9, 18), "date-time": (20, 29), "uuid": (36, 36)}
"""Formats that answers obey, and how long their texts are; by the specification they are notes."""


def bounds(facts: Facts, least: str, most: str) -> tuple[int, int | None]:
    """The least and the most of something that is counted; None means no limit."""
    low = max((fact.count(said) for said in facts.get(least)), default=0)
    high = min((fact.count(said) for said in facts.get(most)), default=NO_LIMIT)
    if low > NO_LIMIT:
        pointer = facts.get(least)[0].pointer
        raise SchemaProblem(pointer, f"no answer is so long; {NO_LIMIT} is the most")
    return low, high if high < NO_LIMIT else None


def read_string(facts: Facts) -> Node:
    """What is said of texts."""
    least, most = bounds(facts, "minLength", "maxLength")
    if most is not None and least > most:
        return Nothing(facts.get("maxLength")[0].pointer)
    patterns = {said.value: said for said in facts.get("pattern") if _is_text(said)}
    if not patterns:
        return String(least=least, most=most, format=_format(facts, least, most))
    said, *others = patterns.values()
    if others:
        raise SchemaProblem(
            others[0].pointer,
            "two patterns hold for one text, and a grammar cannot say both",
            hint="Write one pattern that means both.",
        )
    pattern = _pattern(said)
    try:
        fitted = of_length(pattern, least, most)
        return String(pattern=fitted, is_exact=fitted is pattern)
    except BadRegex as bad:
        length = [*facts.get("minLength"), *facts.get("maxLength")][0]
        raise SchemaProblem(
            length.pointer,
            f"a grammar cannot say this length beside the pattern {fact.shown(said.value)}: {bad}",
            hint="Put the length into the pattern, as in ^[a-z]{2,8}$.",
        ) from None


def _is_text(said: Said) -> bool:
    if not isinstance(said.value, str):
        raise wrong(said.pointer, "a pattern is a text")
    return True


def _pattern(said: Said) -> Regex:
    try:
        tree = whole(parse(said.value))
        text_of_pattern(tree, lambda name, _: name)
        return tree
    except BadRegex as bad:
        raise SchemaProblem(
            said.pointer,
            f"the pattern {fact.shown(said.value)} cannot be used: {bad}",
            hint="Write it without that, or leave it out and check the answer yourself.",
        ) from None


def name_pattern(said: Said) -> Regex:
    """The pattern of names that stands as a key of `patternProperties`."""
    return _pattern(said)


def _format(facts: Facts, least: int, most: int | None) -> str | None:
    """The format, if its texts have the length that is asked for."""
    for said in facts.get("format"):
        if not isinstance(said.value, str):
            raise wrong(said.pointer, "a format is a text")
        shortest, longest = FORMATS.get(said.value, (-1, -1))
        if shortest >= least and (most is None or longest <= most):
            return said.value
    return None


def read_number(facts: Facts, *, is_whole: bool) -> Node:
    """What is said of numbers."""
    low, excludes_low, low_pointer = _bound(facts, "minimum", "exclusiveMinimum", sign=1)
    high, excludes_high, high_pointer = _bound(facts, "maximum", "exclusiveMaximum", sign=-1)
    if is_whole:  # the bounds move to the whole numbers within them
        if low is not None:
            low = (
                low.to_integral_value(ROUND_FLOOR) + 1
                if excludes_low
                else low.to_integral_value(ROUND_CEILING)
            )
        if high is not None:
            high = (
                high.to_integral_value(ROUND_CEILING) - 1
                if excludes_high
                else high.to_integral_value(ROUND_FLOOR)
            )
        excludes_low = excludes_high = False
    excludes_any = excludes_low or excludes_high
    if low is not None and high is not None and (low > high or (low == high and excludes_any)):
        return Nothing(high_pointer)
    step, step_pointer = _step(facts)
    return Number(
        is_whole=is_whole,
        low=low,
        high=high,
        excludes_low=excludes_low,
        excludes_high=excludes_high,
        step=step,
        pointer=step_pointer or low_pointer or high_pointer,
    )


def _bound(
    facts: Facts, plain: str, exclusive: str, *, sign: int
) -> tuple[Decimal | None, bool, str]:
    """The narrowest of all bounds on one side, and whether it is itself excluded."""
    found: list[tuple[Decimal, bool, str]] = []
    for said in facts.get(plain):
        parent = said.pointer.rpartition("/")[0]
        is_excluded = any(  # draft 4 says so beside it
            other.value is True and other.pointer.rpartition("/")[0] == parent
            for other in facts.get(exclusive)
        )
        found.append((fact.number(said), is_excluded, said.pointer))
    found += [
        (fact.number(said), True, said.pointer)
        for said in facts.get(exclusive)
        if not isinstance(said.value, bool)
    ]
    if not found:
        return None, False, ""
    return max(found, key=lambda bound: (sign * bound[0], bound[1]))


def _step(facts: Facts) -> tuple[Decimal | None, str]:
    """The least common multiple of everything that a number must be a multiple of."""
    step: Fraction | None = None
    pointer = ""
    for said in facts.get("multipleOf"):
        value = Fraction(fact.number(said))
        if value <= 0:
            raise wrong(said.pointer, "a number above 0 is needed")
        pointer = said.pointer
        if step is None:
            step = value
        else:
            numerator = math.lcm(
                step.numerator * value.denominator, value.numerator * step.denominator
            )
            step = Fraction(numerator, step.denominator * value.denominator)
    return (None if step is None else Decimal(step.numerator) / Decimal(step.denominator)), pointer


def accepts(facts: Facts, value: Any, pointer: str) -> bool:
    """Whether a listed value obeys what else is said of values of its type."""
    match value:
        case str():
            node = read_string(facts) if facts.has_any(OF_TYPE["string"]) else String()
            return isinstance(node, String) and is_text_of(node, value)
        case bool() | None:
            return True
        case int() | Decimal():
            node = read_number(facts, is_whole=False)
            return isinstance(node, Number) and is_number_of(node, Decimal(value))
        case _:
            name = "array" if isinstance(value, list) else "object"
            if not facts.has_any(OF_TYPE[name]):
                return True
            raise SchemaProblem(
                pointer,
                "lists and objects among these values cannot be compared with the other keywords",
                hint="Leave out the keywords, or the values that they rule out.",
            )


def is_text_of(node: String, text: str) -> bool:
    """Whether a text is one of the node's; a format says nothing against it."""
    if node.pattern is not None:
        return matches(node.pattern, text)
    return node.least <= len(text) and (node.most is None or len(text) <= node.most)


def is_number_of(node: Number, value: Decimal) -> bool:
    """Whether a number is one of the node's."""
    if node.low is not None and (value < node.low or (node.excludes_low and value == node.low)):
        return False
    if node.high is not None and (value > node.high or (node.excludes_high and value == node.high)):
        return False
    return node.step is None or Fraction(value) % Fraction(node.step) == 0

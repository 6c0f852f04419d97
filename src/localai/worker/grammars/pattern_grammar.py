"""A regular expression as GBNF, for the inside of a JSON string."""

from __future__ import annotations

from localai.regexp import Pattern
from localai.regexp.syntax import Assert, Choice, Group, Node, One, Ranges, Repeat, Sequence
from localai.worker.grammars.gbnf_text import EMPTY, MOST_REPEATS, literal, one_of, times

# In a JSON string these are escaped, or must not be at all.
_UNFIT = ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F), (0xD800, 0xDFFF))
_ESCAPED = {'"': '\\"', "\\": "\\\\"}


def pattern_rule(pattern: Pattern) -> str | None:
    """An expression for the texts that match all of `pattern`, which must say `^...$`.

    None for a pattern that may match a part of a text, and for what GBNF cannot say. Escapes of
    JSON are not used, but for quotes and backslashes.
    """
    source = pattern.source
    inner = source[:-1]
    is_escaped = (len(inner) - len(inner.rstrip("\\"))) % 2 == 1
    if not source.startswith("^") or not source.endswith("$") or is_escaped:
        return None
    if isinstance(pattern.tree, Choice):
        return None  # the marks of beginning and end belong to single alternatives
    try:
        return _expression(Pattern(source[1:-1]).tree)
    except _CannotSay:
        return None


class _CannotSay(Exception):
    """A pattern holds what GBNF does not have."""


def _expression(node: Node) -> str:
    match node:
        case One():
            return _one(node)
        case Group():
            return f"({_expression(node.inner)})"
        case Sequence():
            return " ".join(_expression(item) for item in node.items) or EMPTY
        case Choice():
            return "(" + " | ".join(_expression(item) for item in node.options) + ")"
        case Repeat():
            if node.least > MOST_REPEATS or (node.most or 0) > MOST_REPEATS:
                raise _CannotSay
            return times(f"({_expression(node.inner)})", node.least, node.most)
        case Assert():
            raise _CannotSay


def _one(node: One) -> str:
    if node.literal in _ESCAPED:
        return literal(_ESCAPED[node.literal])
    if node.ranges is None:
        raise _CannotSay
    fit = _fit(node.ranges)
    if not fit:
        raise _CannotSay
    return one_of(fit)


def _fit(ranges: Ranges) -> list[tuple[int, int]]:
    """The parts of `ranges` that may stand in a JSON string as they are."""
    found: list[tuple[int, int]] = []
    for first, last in ranges:
        start = first
        for low, high in _UNFIT:
            if low > last or high < start:
                continue
            if low > start:
                found.append((start, low - 1))
            start = high + 1
        if start <= last:
            found.append((start, last))
    return found

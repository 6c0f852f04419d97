"""Patterns that are simple enough to be read as they come: a fixed text, anything, a fixed text.

Nearly all patterns in model files look like `(?s)<tool_call>(.*?)</tool_call>`. What they mean can
be found in a text that is not whole yet; for other patterns the whole text is needed.
"""

from __future__ import annotations

from collections.abc import Collection

from localai.regexp import Pattern
from localai.regexp.syntax import Assert, Choice, Group, Node, One, Repeat, Sequence
from localai.wire.functions import Markers, TagFormat

_ANYTHING = ((0, 0x10FFFF),)
_ANY_LINE = ((0, 9), (11, 0x10FFFF))


def as_markers(pattern: Pattern) -> Markers | None:
    """The texts around the first group, for a pattern that finds JSON."""
    match _parts(pattern):
        case [str(opening), Group(number=1, inner=inner), *behind] if _is_anything(inner):
            close = behind[0] if behind else ""
            if opening.strip() and len(behind) <= 1 and isinstance(close, str):
                return Markers(opening.strip(), close.strip())
            return None
        case _:
            return None


def as_tags(
    pattern: Pattern, *, names: Collection[str], arguments: Collection[str]
) -> TagFormat | None:
    """The tags of a pattern that finds a name and arguments, in groups with one of these names."""
    numbers = (
        {pattern.names.get(name) for name in names},
        {pattern.names.get(name) for name in arguments},
    )
    match _parts(pattern):
        case [str(start), Group() as name, str(sep), Group() as rest, str(end)]:
            fits = name.number in numbers[0] and rest.number in numbers[1]
            if fits and start.strip() and _is_repeated(name.inner) and _is_anything(rest.inner):
                return TagFormat(tool_start=start, tool_sep=sep, tool_end=end)
        case _:
            pass
    return None


def as_span(pattern: Pattern) -> tuple[str, str] | None:
    """The texts that a match begins and ends with, when the first end behind a beginning counts."""
    match _parts(pattern):
        case [str(opening), Group() | Repeat() as middle, str(close)]:
            inner = middle.inner if isinstance(middle, Group) else middle
            if isinstance(inner, Repeat) and inner.is_lazy and _is_anything(inner, lines=False):
                return opening, close
        case _:
            pass
    return None


def _parts(pattern: Pattern) -> list[str | Node]:
    """The items of a pattern, with neighboring characters as one text; empty when it is a choice."""
    tree = pattern.tree
    if isinstance(tree, Choice | Assert):
        return []
    parts: list[str | Node] = []
    for item in tree.items if isinstance(tree, Sequence) else (tree,):
        literal = item.literal if isinstance(item, One) else ""
        if literal and parts and isinstance(parts[-1], str):
            parts[-1] += literal
        else:
            parts.append(literal or item)
    return parts


def _is_repeated(node: Node) -> bool:
    return isinstance(node, Repeat) and isinstance(node.inner, One)


def _is_anything(node: Node, *, lines: bool = True) -> bool:
    """Whether a node matches any text; with `lines`, any text of one line will do."""
    if not isinstance(node, Repeat) or not isinstance(node.inner, One) or node.most is not None:
        return False
    return node.inner.ranges == _ANYTHING or (lines and node.inner.ranges == _ANY_LINE)

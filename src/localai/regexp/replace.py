"""Other texts in place of a pattern's matches.

Source: the documentation of Go's package regexp, "Regexp.ReplaceAllString" and "Regexp.Expand".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from localai.regexp.pattern import Captures, Charge, Pattern, span

_REFERENCE: Final = re.compile(r"\$(?:(?P<dollar>\$)|(?P<name>\w+)|\{(?P<braced>\w+)\})")


def replaced(
    pattern: Pattern,
    text: str,
    replacement: str,
    charge: Charge,
    *,
    is_literal: bool = False,
    grown: Callable[[int], None] = lambda _: None,
) -> str:
    """Give `text` with `replacement` for each match.

    `$1`, `${1}` and `${name}` in it stand for groups, unless it `is_literal`. `grown` is told the
    length of the result so far, and may raise.
    """
    pieces: list[str] = []
    length, last, pos = 0, 0, 0
    while pos <= len(text) and (found := pattern.search(text, pos, charge)):
        start, end = span(found)
        pieces.append(text[last:start])
        if end > last or start == 0:  # no empty match right after another
            new = replacement if is_literal else expanded(replacement, found, text, pattern)
            pieces.append(new)
            length += len(new)
            grown(len(text) + length)
        last = end
        pos = max(pos + 1, end)
    return "".join((*pieces, text[last:]))


def expanded(template: str, found: Captures, text: str, pattern: Pattern) -> str:
    """Put groups where `$1`, `${1}` or `${name}` stand; an unknown one is empty."""

    def group(reference: re.Match[str]) -> str:
        if reference["dollar"]:
            return "$"
        name = reference["name"] or reference["braced"]
        number = int(name[:5]) if name.isdecimal() else pattern.names.get(name, -1)
        if not 0 <= 2 * number < len(found):
            return ""
        start, end = found[2 * number], found[2 * number + 1]
        return "" if start is None or end is None else text[start:end]

    return _REFERENCE.sub(group, template)

"""Reads as much of a GBNF grammar as is needed to know how its texts must begin.

Source: llama.cpp, grammars/README.md. Only what llama.cpp's own tool grammars use is understood:
rules, literals, character classes, groups, alternatives and the repetitions `? * + {m,n}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""\s+ | "(?:[^"\\]|\\.)*" | \[(?:[^\]\\]|\\.)*\] | \{[0-9, ]*\} | [A-Za-z0-9_-]+ | [()|?*+.]""",
    re.VERBOSE,
)
_RULE = re.compile(r"^\s*([A-Za-z0-9_-]+)\s*::=\s*(.*)$", re.MULTILINE)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a text begins: `text` for certain; `is_whole` when nothing can follow it."""

    text: str
    is_whole: bool


_UNKNOWN = Beginning("", is_whole=False)


class Gbnf:
    """The rules of one grammar."""

    def __init__(self, grammar: str) -> None:
        self._rules = {match[1]: match[2] for match in _RULE.finditer(grammar)}

    def sequence(self, rule: str) -> list[str]:
        """The parts of a rule's first alternative, each with its repetition sign."""
        first = _alternatives(_tokens(self._rules.get(rule, "")))[0]
        return ["".join(item) for item in _items(first)]

    def beginning(self, part: str, *, depth: int = 0) -> Beginning:
        """How every text of `part` begins; a rule's name, a literal, or any expression."""
        if depth > _MAX_DEPTH:
            return _UNKNOWN
        options = [self._of_sequence(option, depth) for option in _alternatives(_tokens(part))]
        if len(options) == 1:
            return options[0]
        return Beginning(_common([option.text for option in options]), is_whole=False)

    def _of_sequence(self, tokens: list[str], depth: int) -> Beginning:
        text = ""
        for item in _items(tokens):
            beginning = self._of_item(item, depth)
            text += beginning.text
            if not beginning.is_whole:
                return Beginning(text, is_whole=False)
        return Beginning(text, is_whole=True)

    def _of_item(self, item: list[str], depth: int) -> Beginning:
        head, sign = item[0], item[-1] if len(item) > 1 and item[-1][0] in "?*+{" else ""
        if sign and sign != "+":
            return _UNKNOWN  # it may be absent
        if head.startswith('"'):
            inner = Beginning(_literal(head), is_whole=True)
        elif head == "(":
            body = item[1 : -2 if sign else -1]
            inner = self.beginning(" ".join(body), depth=depth + 1)
        elif head in self._rules:
            inner = self.beginning(self._rules[head], depth=depth + 1)
        else:
            inner = _UNKNOWN
        return Beginning(inner.text, is_whole=inner.is_whole and not sign)


def _common(texts: list[str]) -> str:
    """The longest text that all of `texts` begin with."""
    first, last = min(texts), max(texts)
    length = 0
    while length < len(first) and first[length] == last[length]:
        length += 1
    return first[:length]


def _tokens(text: str) -> list[str]:
    return [token for token in _TOKEN.findall(text) if not token.isspace()]


def _alternatives(tokens: list[str]) -> list[list[str]]:
    """Split at the `|` outside of groups."""
    found: list[list[str]] = [[]]
    depth = 0
    for piece in tokens:
        depth += (piece == "(") - (piece == ")")
        if piece == "|" and depth == 0:
            found.append([])
        else:
            found[-1].append(piece)
    return found


def _items(tokens: list[str]) -> list[list[str]]:
    """Split a sequence into literals, names and groups, each with its repetition sign."""
    items: list[list[str]] = []
    depth = 0
    for piece in tokens:
        if depth or (piece[0] in "?*+{" and items):
            items[-1].append(piece)
        else:
            items.append([piece])
        depth += (piece == "(") - (piece == ")")
    return items


def _literal(piece: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1]
        return (
            chr(int(code[1:], 16))
            if code[0] in "xu" and len(code) > 1
            else _ESCAPED.get(code, code)
        )

    return _ESCAPE.sub(character, piece[1:-1])

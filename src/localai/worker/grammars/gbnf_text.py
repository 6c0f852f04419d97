"""Pieces of GBNF, llama.cpp's language for grammars.

Source: llama.cpp, grammars/README.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

EMPTY: Final = '""'  # an alternative must not end a line: the next one would belong to it
MOST_REPEATS: Final = 1000  # llama.cpp refuses more than 2000 in one grammar's repetition
_LAST = 0x10FFFF
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}

Ranges = Sequence[tuple[int, int]]
"""First and last code point of ranges of characters."""


def literal(text: str) -> str:
    """A text that stands for itself."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return f"\\u{ord(character):04X}" if ord(character) < ord(" ") else character


def one_of(ranges: Ranges) -> str:
    """One character of these ranges."""
    return f"[{_members(ranges)}]"


def none_of(characters: Iterable[str]) -> str:
    """One character that is none of these, of which there is at least one."""
    return f"[^{_members([(ord(one), ord(one)) for one in sorted(set(characters))])}]"


def _members(ranges: Ranges) -> str:
    return "".join(
        _code(first) if first == last else f"{_code(first)}-{_code(last)}" for first, last in ranges
    )


def _code(point: int) -> str:
    """A character of a set; never by its two-digit code, behind which xgrammar reads on."""
    character = chr(point)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character in "[]":
        return f"\\{character}"
    if " " <= character <= "~" and character not in "^-":
        return character
    return f"\\U{point:08X}" if point > 0xFFFF else f"\\u{point:04X}"  # noqa: PLR2004 - what \u can spell


def times(item: str, least: int, most: int | None) -> str:
    """`item` repeated; bounds too large for llama.cpp are left out."""
    if most is not None and most > MOST_REPEATS:
        most = None
    least = min(least, MOST_REPEATS)
    match (least, most):
        case (_, 0):
            return ""
        case (0, None):
            return f"{item}*"
        case (1, None):
            return f"{item}+"
        case (0, 1):
            return f"{item}?"
        case (1, 1):
            return item
        case (_, None):
            return f"{item}{{{least},}}"
        case _:
            return f"{item}{{{least},{most}}}"


def joined(rules: Mapping[str, str]) -> str:
    """A whole grammar; its first rule is `root`."""
    return "\n".join(f"{name} ::= {rules[name]}" for name in sorted(rules, key="root".__ne__))


class Until:
    """Rules for any text, up to the first place where one of some texts follows.

    `follow` maps each of these texts to the rule of what comes behind it: an empty one ends the
    grammar there, and None forbids the text. It may also end before any of them if `may_end`.
    Source: A. Aho, M. Corasick, "Efficient String Matching" (1975).
    """

    def __init__(self, prefix: str, follow: Mapping[str, str | None], *, may_end: bool) -> None:
        self._prefix = prefix
        self._follow = follow
        self._may_end = may_end
        starts = {text[:length] for text in follow for length in range(len(text))} | {""}
        self._states = {state: number for number, state in enumerate(sorted(starts, key=_order))}

    @property
    def start(self) -> str:
        """The rule to begin with."""
        return self.rule("")

    def rule(self, seen: str) -> str:
        """The rule of a text that ends with `seen`, the longest possible beginning of one."""
        return f"{self._prefix}-{self._states[seen]}"

    def rules(self) -> dict[str, str]:
        """All the rules."""
        return {self.rule(state): self._alternatives(state) for state in self._states}

    def unless(self, characters: str) -> list[str]:
        """Alternatives for a text that does not begin with one of `characters`."""
        return self._alternatives_of("", frozenset(characters))

    def _alternatives(self, state: str) -> str:
        return " | ".join([*self._alternatives_of(state, frozenset()), *[EMPTY] * self._may_end])

    def _alternatives_of(self, state: str, left_out: frozenset[str]) -> list[str]:
        known = {character for text in self._follow for character in text}
        targets = {character: self._goto(state + character) for character in sorted(known)}
        special = {
            character: target
            for character, target in targets.items()
            if target != self.start and character not in left_out
        }
        parts = [
            f"{literal(character)} {target}"
            for character, target in special.items()
            if target is not None
        ]
        return [*parts, f"{none_of({*special, *left_out})} {self.start}"]

    def _goto(self, seen: str) -> str | None:
        for start in range(len(seen) + 1):
            end = seen[start:]
            if end in self._follow:
                return self._follow[end]
            if end in self._states:
                return self.rule(end)
        return self.start


def _order(text: str) -> tuple[int, str]:
    return len(text), text

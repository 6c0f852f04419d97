r"""Reads a regular expression in Go's syntax into a tree.

Source: the documentation of Go's regexp/syntax. Scripts (`\p{Greek}`) are not supported.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

Test = Callable[[str], bool]

_MOST_REPEATS: Final = 1000  # Go's own limit
_DEEPEST: Final = 100
_BOUNDS = re.compile(r"\{(\d{1,4})(,(\d{1,4})?)?\}")
_NAME = re.compile(r"\?P?<(\w+)>")
_FLAGS = re.compile(r"\?([imsU]*)(?:-([imsU]+))?([:)])")
_CODE = re.compile(r"x([0-9a-fA-F]{2})|x\{([0-9a-fA-F]{1,6})\}|([0-7]{3}|0[0-7]?)")
_UNICODE = re.compile(r"([pP])(?:\{(\^?)([A-Za-z]+)\}|([A-Z]))")
_LAST_RUNE: Final = 0x10FFFF
_CATEGORIES: Final = frozenset("LMNPSZC")
_CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_WORD: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_SETS: Final = {
    "d": frozenset("0123456789"),
    "s": frozenset("\t\n\f\r "),
    "w": _WORD,
}
_LETTERS: Final = _WORD - _SETS["d"] - {"_"}
_POSIX: Final = {
    "alnum": _WORD - {"_"},
    "alpha": _LETTERS,
    "ascii": frozenset(map(chr, range(128))),
    "blank": frozenset("\t "),
    "cntrl": frozenset(map(chr, [*range(32), 127])),
    "digit": _SETS["d"],
    "graph": frozenset(map(chr, range(33, 127))),
    "lower": frozenset(char for char in _LETTERS if char.islower()),
    "print": frozenset(map(chr, range(32, 127))),
    "punct": frozenset(map(chr, range(33, 127))) - _WORD | {"_"},
    "space": frozenset("\t\n\v\f\r "),
    "upper": frozenset(char for char in _LETTERS if char.isupper()),
    "word": _WORD,
    "xdigit": frozenset("0123456789abcdefABCDEF"),
}


class BadPattern(ValueError):
    """A pattern is not one of Go's."""


Ranges = tuple[tuple[int, int], ...]
"""First and last code point of each range of characters, in order and apart from each other."""


@dataclass(frozen=True, slots=True)
class One:
    """One character that passes a test; `ranges` are all such characters, None if not known."""

    test: Test
    ranges: Ranges | None = None

    @property
    def literal(self) -> str:
        """The character, when it is the only one that passes; else an empty text."""
        if self.ranges is None or len(self.ranges) != 1:
            return ""
        ((first, last),) = self.ranges
        return chr(first) if first == last else ""


@dataclass(frozen=True, slots=True)
class Assert:
    """A condition on a place between characters."""

    holds: Callable[[str, int], bool]


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several; earlier ones are preferred."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """From `least` to `most` times; as often as possible, unless it is lazy."""

    inner: Node
    least: int
    most: int | None
    is_lazy: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A group whose place in the text is kept."""

    inner: Node
    number: int


Node = One | Assert | Sequence | Choice | Repeat | Group


def parse_pattern(source: str) -> tuple[Node, dict[str, int], int]:
    """Give a pattern's tree, the numbers of its named groups and how many groups it has."""
    parser = _Parser(source)
    tree = parser.choice()
    if parser.pos < len(source):
        raise BadPattern("unexpected ) in the pattern")
    return tree, parser.names, parser.groups


def _is_word(text: str, pos: int) -> bool:
    return 0 <= pos < len(text) and text[pos] in _WORD


def _at_word_edge(text: str, pos: int) -> bool:
    return _is_word(text, pos - 1) != _is_word(text, pos)


_AT_START: Final = Assert(lambda _, pos: pos == 0)
_AT_END: Final = Assert(lambda text, pos: pos == len(text))
_AT_LINE_START: Final = Assert(lambda text, pos: pos == 0 or text[pos - 1] == "\n")
_AT_LINE_END: Final = Assert(lambda text, pos: pos == len(text) or text[pos] == "\n")
_ANYTHING: Final = One(bool, ((0, _LAST_RUNE),))
_NO_LINE_END: Final = One(lambda char: char != "\n", ((0, 9), (11, _LAST_RUNE)))
_EDGES: Final = {
    "A": _AT_START,
    "z": _AT_END,
    "b": Assert(_at_word_edge),
    "B": Assert(lambda text, pos: not _at_word_edge(text, pos)),
}


def _merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Bring ranges in order, and those that touch together."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _others(ranges: Ranges) -> Ranges:
    """Give all characters outside of these."""
    starts = [0, *(last + 1 for _, last in ranges)]
    ends = [*(first - 1 for first, _ in ranges), _LAST_RUNE]
    return tuple((start, end) for start, end in zip(starts, ends, strict=True) if start <= end)


def _one_of(members: frozenset[str], *, negated: bool) -> One:
    ranges = _merged((ord(char), ord(char)) for char in members)
    if negated:
        return One(lambda char: char not in members, _others(ranges))
    return One(members.__contains__, ranges)


def _category(name: str, *, negated: bool) -> One:
    if name != "Any" and name[0] not in _CATEGORIES:
        raise BadPattern(f"\\p{{{name}}} is not supported: use a general category such as \\pL")
    prefix = "" if name == "Any" else name
    return One(lambda char: unicodedata.category(char).startswith(prefix) != negated)


def _either_case(test: Test) -> Test:
    return lambda char: test(char) or test(char.lower()) or test(char.upper())


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.pos = 0
        self.groups = 0
        self.names: dict[str, int] = {}
        self._flags = frozenset[str]()
        self._depth = 0

    def _peek(self) -> str:
        return self.source[self.pos : self.pos + 1]

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.source, self.pos)
        if found:
            self.pos = found.end()
        return found

    def choice(self) -> Node:
        """Read alternatives up to a closing parenthesis or the end."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadPattern("the pattern is nested too deep")
        flags = self._flags
        options = [self._sequence()]
        while self._peek() == "|":
            self.pos += 1
            options.append(self._sequence())
        self._flags = flags
        self._depth -= 1
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Node:
        items: list[Node] = []
        while self._peek() not in {"", "|", ")"}:
            items += self._item()
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _item(self) -> list[Node]:
        char = self._peek()
        if self.source.startswith("\\Q", self.pos):
            end = self.source.find("\\E", self.pos)
            text = self.source[self.pos + 2 : end if end >= 0 else len(self.source)]
            self.pos = end + 2 if end >= 0 else len(self.source)
            literals: list[Node] = [self._literal(char) for char in text]
            return [*literals[:-1], self._repeated(literals[-1])] if literals else []
        if char in "*+?":
            raise BadPattern(f"missing argument to repetition operator: {char}")
        atom = self._atom()
        return [] if atom is None else [self._repeated(atom)]

    def _repeated(self, atom: Node) -> Node:
        start, bounds = self.pos, (0, 0)
        char = self._peek()
        most: int | None = None
        if char and char in "*+?":
            self.pos += 1
            least, most = (1 if char == "+" else 0), (1 if char == "?" else None)
        elif found := self._take(_BOUNDS):
            least = int(found[1])
            most = least if found[2] is None else int(found[3]) if found[3] else None
            bounds = (least, most or 0)
            if max(bounds) > _MOST_REPEATS or (most is not None and most < least):
                raise BadPattern(f"invalid repeat count: {found[0]}")
        else:
            return atom
        is_lazy = self._peek() == "?"
        self.pos += is_lazy
        following = self._peek()
        if (following and following in "*+?") or _BOUNDS.match(self.source, self.pos):
            raise BadPattern(f"invalid nested repetition: {self.source[start : self.pos + 1]}")
        return Repeat(atom, least, most, is_lazy != ("U" in self._flags))

    def _atom(self) -> Node | None:
        char = self._peek()
        self.pos += 1
        match char:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return _ANYTHING if "s" in self._flags else _NO_LINE_END
            case "^":
                return _AT_LINE_START if "m" in self._flags else _AT_START
            case "$":
                return _AT_LINE_END if "m" in self._flags else _AT_END
            case "\\":
                if self._peek() in _EDGES:
                    self.pos += 1
                    return _EDGES[self.source[self.pos - 1]]
                escaped = self._escape()
                return self._literal(escaped) if isinstance(escaped, str) else self._cased(escaped)
            case _:
                return self._literal(char)

    def _cased(self, one: One) -> One:
        return One(_either_case(one.test)) if "i" in self._flags else one

    def _literal(self, char: str) -> Node:
        if "i" not in self._flags:
            return One(char.__eq__, ((ord(char), ord(char)),))
        variants = {char, char.lower(), char.upper()}
        return One(lambda other: other in variants or other.lower() in variants)

    def _group(self) -> Node | None:
        number = 0
        outer = self._flags
        if name := self._take(_NAME):
            if name[1] in self.names:
                raise BadPattern(f"duplicate group name: {name[1]}")
            self.groups += 1
            number = self.names[name[1]] = self.groups
        elif flags := self._take(_FLAGS):
            self._flags = (self._flags | set(flags[1])) - set(flags[2] or "")
            if flags[3] == ")":  # from here to the end of the group around
                return None
        elif self._peek() == "?":
            raise BadPattern("invalid or unsupported group: (?" + self.source[self.pos + 1 :][:2])
        else:
            self.groups += 1
            number = self.groups
        inner = self.choice()
        if self._peek() != ")":
            raise BadPattern("missing closing )")
        self.pos += 1
        self._flags = outer
        return Group(inner, number) if number else inner

    def _escape(self) -> One | str:
        """Read what follows a backslash: a character, or one of many."""
        if found := self._take(_CODE):
            code = int(found[1] or found[2] or found[3], 8 if found[3] else 16)
            if code > _LAST_RUNE:
                raise BadPattern("invalid escape: no such character")
            return chr(code)
        if found := self._take(_UNICODE):
            negated = (found[1] == "P") != bool(found[2])
            return _category(found[3] or found[4], negated=negated)
        char = self._peek()
        self.pos += 1
        if char.lower() in _SETS:
            return _one_of(_SETS[char.lower()], negated=char.isupper())
        if char in _CONTROLS:
            return _CONTROLS[char]
        if not char or char.isalnum() or not char.isascii():
            raise BadPattern(f"invalid escape sequence: \\{char}")
        return char

    def _class(self) -> One:
        """Read a set of characters up to its closing bracket."""
        negated = self._peek() == "^"
        self.pos += negated
        items: list[One] = []
        is_first = True
        while is_first or self._peek() != "]":
            is_first = False
            item = self._class_item()
            if not isinstance(item, str):
                items.append(self._cased(item))
                continue
            items.append(self._cased(_between(item, self._last_of_range(item))))
        self.pos += 1
        tests = [item.test for item in items]
        return One(
            lambda char: any(test(char) for test in tests) != negated,
            _joined(items, negated=negated),
        )

    def _last_of_range(self, first: str) -> str:
        """Read the end of a range such as `a-z`; without one, the first character is its end."""
        if self._peek() != "-" or self.source[self.pos + 1 : self.pos + 2] in {"]", ""}:
            return first
        self.pos += 1
        last = self._class_item()
        if not isinstance(last, str) or last < first:
            raise BadPattern("invalid range in a character class")
        return last

    def _class_item(self) -> One | str:
        if self.source.startswith("[:", self.pos):
            end = self.source.find(":]", self.pos)
            name = self.source[self.pos + 2 : end] if end >= 0 else ""
            if name.removeprefix("^") not in _POSIX:
                raise BadPattern(f"invalid character class: [:{name}:]")
            self.pos = end + 2
            return _one_of(_POSIX[name.removeprefix("^")], negated=name.startswith("^"))
        char = self._peek()
        if not char:
            raise BadPattern("missing closing ]")
        self.pos += 1
        return self._escape() if char == "\\" else char


def _between(first: str, last: str) -> One:
    return One(lambda char: first <= char <= last, ((ord(first), ord(last)),))


def _joined(items: list[One], *, negated: bool) -> Ranges | None:
    found: list[tuple[int, int]] = []
    for item in items:
        if item.ranges is None:
            return None
        found += item.ranges
    return _others(_merged(found)) if negated else _merged(found)

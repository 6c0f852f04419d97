r"""Regular expressions of JSON Schema as trees over sets of characters.

Source: ECMA-262, "Patterns"; JSON Schema 2020-12 Core §6.4 says that schemas use that syntax. Also
read: Python's `(?P<name>...)`, `\A`, `\Z` and `\z`, which schemas made by Python libraries hold.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

Ranges = tuple[tuple[int, int], ...]
"""Code points, both ends included, in order and apart from each other."""

LAST: Final = sys.maxunicode
_DEEPEST: Final = 50
_MOST_REPEATS: Final = 100_000


class BadRegex(Exception):
    """The text is no regular expression, or one that no grammar can say."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other."""

    items: tuple[Regex, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """One of several."""

    options: tuple[Regex, ...]


@dataclass(frozen=True, slots=True)
class Rep:
    """From `least` to `most` times."""

    inner: Regex
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Anchor:
    """The start or the end of the text."""

    is_start: bool


Regex = Chars | Seq | Alt | Rep | Anchor

ANY: Final = Chars(((0, LAST),))
EMPTY: Final = Seq(())


def ranges(*spans: tuple[int, int]) -> Ranges:
    """Put spans in order, and join those that touch."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def without(kept: Ranges, taken: Ranges) -> Ranges:
    """The characters of `kept` that are not in `taken`."""
    out = list(kept)
    for first, last in taken:
        out = [
            piece
            for low, high in out
            for piece in ((low, min(high, first - 1)), (max(low, last + 1), high))
            if piece[0] <= piece[1]
        ]
    return tuple(out)


def _of(text: str) -> Ranges:
    return ranges(*((ord(char), ord(char)) for char in text))


_LINE_ENDS: Final = _of("\n\r\u2028\u2029")
_DIGITS: Final = _of("0123456789")
_WORD: Final = ranges((48, 57), (65, 90), (95, 95), (97, 122))
_SPACES: Final = ranges(
    (9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029),
    (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
_SETS: Final = {"d": _DIGITS, "w": _WORD, "s": _SPACES}
_CONTROLS: Final = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}
_ALL: Final = ANY.ranges
_CODE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|c([A-Za-z])")
_PROPERTY = re.compile(r"([pP])\{(?:(?:gc|General_Category)=)?([A-Za-z]{1,2})\}")
_BOUNDS = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_GROUP = re.compile(r"\?(?::|P?<([A-Za-z_$][\w$]*)>)")


def parse(source: str) -> Regex:
    """Read a regular expression. Raises BadRegex."""
    parser = _Parser(source)
    tree = parser.choice()
    if parser.pos < len(source):
        raise BadRegex("it has a ) too many")
    return tree


@lru_cache(64)
def _category(name: str) -> Ranges:
    spans = [
        (code, code) for code in range(LAST + 1) if unicodedata.category(chr(code)).startswith(name)
    ]
    if not spans:
        raise BadRegex(f"\\p{{{name}}} is no general category of Unicode")
    return ranges(*spans)


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.pos = 0
        self._depth = 0

    def _peek(self) -> str:
        return self.source[self.pos : self.pos + 1]

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.source, self.pos)
        if found:
            self.pos = found.end()
        return found

    def choice(self) -> Regex:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadRegex("it is nested too deep")
        options = [self._sequence()]
        while self._peek() == "|":
            self.pos += 1
            options.append(self._sequence())
        self._depth -= 1
        return options[0] if len(options) == 1 else Alt(tuple(options))

    def _sequence(self) -> Regex:
        items: list[Regex] = []
        while self._peek() not in {"", "|", ")"}:
            items.append(self._repeated(self._atom()))
        return items[0] if len(items) == 1 else Seq(tuple(items))

    def _repeated(self, atom: Regex) -> Regex:
        char = self._peek()
        if char and char in "*+?":
            self.pos += 1
            least, most = int(char == "+"), 1 if char == "?" else None
        elif found := self._take(_BOUNDS):
            least = int(found[1])
            most = least if not found[2] else int(found[3]) if found[3] else None
            if most is not None and most < least:
                raise BadRegex(f"{found[0]} ends before it begins")
            if max(least, most or 0) > _MOST_REPEATS:
                raise BadRegex(f"{found[0]} repeats more than {_MOST_REPEATS} times")
        else:
            return atom
        if isinstance(atom, Anchor):
            raise BadRegex("an anchor cannot be repeated")
        if self._peek() in {"?", "+"}:  # lazy or possessive: the same texts match
            self.pos += 1
        if lengths(atom)[0] == 0:  # turns that add nothing would never end
            filled = _filled(atom)
            return EMPTY if filled is None else Rep(filled, 0, most)
        return Rep(atom, least, most)

    def _atom(self) -> Regex:
        char = self._peek()
        self.pos += 1
        match char:
            case "^":
                return Anchor(is_start=True)
            case "$":
                return Anchor(is_start=False)
            case ".":
                return Chars(without(_ALL, _LINE_ENDS))
            case "(":
                return self._group()
            case "[":
                return Chars(self._class())
            case "\\":
                return self._escape_outside()
            case "*" | "+" | "?":
                raise BadRegex(f"nothing stands before {char}")
            case _:
                return Chars(_of(char))

    def _group(self) -> Regex:
        if self._peek() == "?" and not self._take(_GROUP):
            raise BadRegex(
                f"({self.source[self.pos : self.pos + 3]} looks ahead or behind, or sets a flag"
            )
        inner = self.choice()
        if self._peek() != ")":
            raise BadRegex("a ) is missing")
        self.pos += 1
        return inner

    def _escape_outside(self) -> Regex:
        char = self._peek()
        if char in {"A", "Z", "z"}:
            self.pos += 1
            return Anchor(is_start=char == "A")
        if char in {"b", "B"} or (char.isdecimal() and char != "0") or char == "k":
            what = "word boundaries" if char in "bB" else "references to groups"
            raise BadRegex(f"\\{char}: no grammar can say {what}")
        return Chars(self._escape())

    def _escape(self) -> Ranges:
        """Read what follows a backslash."""
        if found := self._take(_CODE):
            if found[4]:
                return ((ord(found[4]) % 32,) * 2,)
            code = int(found[1] or found[2] or found[3], 16)
            if code > LAST:
                raise BadRegex(f"\\{found[0]} is no character")
            return ((code, code),)
        if found := self._take(_PROPERTY):
            members = _category(found[2])
            return members if found[1] == "p" else without(_ALL, members)
        char = self._peek()
        self.pos += 1
        if char.lower() in _SETS:
            members = _SETS[char.lower()]
            return members if char.islower() else without(_ALL, members)
        if char in _CONTROLS:
            return ((_CONTROLS[char],) * 2,)
        if not char or (char.isalnum() and char.isascii()):
            raise BadRegex(f"\\{char} is not known" if char else "it ends in a backslash")
        return _of(char)

    def _class(self) -> Ranges:
        is_negated = self._peek() == "^"
        self.pos += is_negated
        spans: list[tuple[int, int]] = []
        while (char := self._peek()) != "]":
            if not char:
                raise BadRegex("a ] is missing")
            first = self._class_item()
            is_range = self._peek() == "-" and self.source[self.pos + 1 : self.pos + 2] not in {
                "]",
                "",
            }
            if not is_range or not _is_one(first):
                spans += first
                continue
            self.pos += 1
            last = self._class_item()
            if not _is_one(last):
                spans += (*first, *_of("-"), *last)
            elif last[0][0] < first[0][0]:
                raise BadRegex("a range in a character class ends before it begins")
            else:
                spans.append((first[0][0], last[0][0]))
        self.pos += 1
        return without(_ALL, ranges(*spans)) if is_negated else ranges(*spans)

    def _class_item(self) -> Ranges:
        char = self._peek()
        self.pos += 1
        if char != "\\":
            return _of(char)
        if self._peek() == "b":
            self.pos += 1
            return ((8, 8),)
        if self._peek() == "-":
            self.pos += 1
            return _of("-")
        return self._escape()


def _filled(tree: Regex) -> Regex | None:
    """The texts of a tree but for the empty one; None if there are no others."""
    match tree:
        case Chars():
            return tree
        case Alt():
            options = [found for option in tree.options if (found := _filled(option)) is not None]
            return Alt(tuple(options)) if options else None
        case Rep():
            inner = _filled(tree.inner)
            empty = inner is None or tree.most == 0
            return None if empty or inner is None else Rep(inner, max(1, tree.least), tree.most)
        case Seq():
            if lengths(tree)[0]:
                return tree
            firsts = [
                Seq((first, *tree.items[place + 1 :]))
                for place, item in enumerate(tree.items)
                if (first := _filled(item)) is not None
            ]
            return Alt(tuple(firsts)) if firsts else None
        case Anchor():
            return None


def _is_one(found: Ranges) -> bool:
    return len(found) == 1 and found[0][0] == found[0][1]


def whole(tree: Regex) -> Regex:
    """A tree without anchors for the texts in which `tree` is found. Raises BadRegex."""
    options = [_unanchored(option) for option in _options(tree)]
    return options[0] if len(options) == 1 else Alt(tuple(options))


def _options(tree: Regex) -> Iterable[Regex]:
    if isinstance(tree, Alt):
        for option in tree.options:
            yield from _options(option)
    else:
        yield tree


def _unanchored(option: Regex) -> Regex:
    items = list(option.items) if isinstance(option, Seq) else [option]
    has_start = has_end = False
    while items and items[0] == Anchor(is_start=True):
        has_start = bool(items.pop(0))
    while items and items[-1] == Anchor(is_start=False):
        has_end = bool(items.pop())
    if any(map(_has_anchor, items)):
        raise BadRegex("an anchor stands inside it, where no grammar can say it")
    lead = [] if has_start else [Rep(ANY, 0, None)]
    trail = [] if has_end else [Rep(ANY, 0, None)]
    found = (*lead, *items, *trail)
    return found[0] if len(found) == 1 else Seq(found)


def _has_anchor(tree: Regex) -> bool:
    match tree:
        case Anchor():
            return True
        case Seq(items=inner) | Alt(options=inner):
            return any(map(_has_anchor, inner))
        case Rep():
            return _has_anchor(tree.inner)
        case _:
            return False


def lengths(tree: Regex) -> tuple[int, int | None]:
    """How many characters the texts of an anchorless tree have; None means no limit."""
    match tree:
        case Chars():
            return 1, 1
        case Seq():
            found = [lengths(item) for item in tree.items]
            return sum(low for low, _ in found), _all_of(sum, [high for _, high in found])
        case Alt():
            found = [lengths(option) for option in tree.options]
            return min(low for low, _ in found), _all_of(max, [high for _, high in found])
        case Rep():
            low, high = lengths(tree.inner)
            if tree.most == 0 or high == 0:
                return 0, 0
            return low * tree.least, None if high is None or tree.most is None else high * tree.most
        case Anchor():
            return 0, 0


def _all_of(join: Callable[[Iterable[int]], int], values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return join(known) if len(known) == len(values) else None


def matches(tree: Regex, text: str) -> bool:
    """Whether all of `text` is one of the texts of an anchorless tree; takes polynomial time."""
    return len(text) in _ends(tree, text, frozenset({0}))


def _ends(tree: Regex, text: str, starts: frozenset[int]) -> frozenset[int]:
    """Where a part of `text` that `tree` matches can end, when it begins at one of `starts`."""
    match tree:
        case Chars():
            return frozenset(
                start + 1
                for start in starts
                if start < len(text) and _has(tree.ranges, ord(text[start]))
            )
        case Seq():
            for item in tree.items:
                starts = _ends(item, text, starts)
            return starts
        case Alt():
            return frozenset().union(*(_ends(option, text, starts) for option in tree.options))
        case Rep():
            return _repeated_ends(tree, text, starts)
        case Anchor():
            return starts


def _repeated_ends(tree: Rep, text: str, starts: frozenset[int]) -> frozenset[int]:
    now, found = starts, starts if tree.least == 0 else frozenset[int]()
    count = 0
    while now and (tree.most is None or count < tree.most):
        count += 1
        following = _ends(tree.inner, text, now)
        if count >= tree.least:
            if following <= found:
                break  # nothing new can come
            found |= following
        elif count > len(text) and following == now:
            return _repeated_ends(Rep(tree.inner, 0, None), text, following)  # empty matches
        now = following
    return found


def _has(members: Ranges, code: int) -> bool:
    return any(first <= code <= last for first, last in members)

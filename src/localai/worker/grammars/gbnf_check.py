"""Reads a GBNF grammar as llama.cpp does, to say where it is wrong.

llama.cpp itself only says that it is. Source: llama.cpp, grammars/README.md, and the rules of its
parser: which names and escapes there are, where a line may end, how often something may repeat.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

ROOT: Final = "root"
MOST_REPEATS: Final = 2000
_DEEPEST: Final = 200
_NAME = re.compile(r"[A-Za-z0-9-]+")
_NUMBER = re.compile(r"[0-9]+")
_TOKEN = re.compile(r"!?<(?:\[[0-9]{1,10}\]|[^>\[][^>]*)>")
_BLANK = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_ESCAPE = re.compile(r'\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([trn\\"\[\]-]))')
_ESCAPED: Final = {"t": "\t", "r": "\r", "n": "\n"}
_LAST_CODE: Final = 0x10FFFF


class GrammarProblem(Exception):
    """A grammar is wrong at a line and column, both counted from 1."""

    def __init__(self, text: str, place: int, message: str) -> None:
        before = text[:place]
        self.line = before.count("\n") + 1
        self.column = place - (before.rfind("\n") + 1) + 1
        self.message = message
        super().__init__(f"line {self.line}, column {self.column}: {message}")


@dataclass(frozen=True, slots=True)
class Literal:
    """A text."""

    text: str


@dataclass(frozen=True, slots=True)
class Characters:
    """One character of some ranges, or one outside them; no ranges, and not negated: never."""

    ranges: tuple[tuple[str, str], ...]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the model."""

    name: str


@dataclass(frozen=True, slots=True)
class Named:
    """Another rule."""

    name: str
    place: int


@dataclass(frozen=True, slots=True)
class Group:
    """One of several sequences."""

    options: tuple[tuple[Repeated, ...], ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """Something, from `least` to `most` times; None means any number."""

    item: Literal | Characters | Token | Named | Group
    least: int = 1
    most: int | None = 1


@dataclass(frozen=True, slots=True)
class Grammar:
    """The rules by their names."""

    rules: dict[str, Group]


def parse_grammar(text: str) -> Grammar:
    """Read a grammar. Raises GrammarProblem."""
    return _Parser(text).grammar()


@dataclass(slots=True)
class _Parser:
    text: str
    pos: int = 0
    depth: int = 0
    symbols: int = 0  # the rules that llama.cpp makes, named or not
    places: dict[str, int] = field(default_factory=dict)  # of the first use of each name

    def grammar(self) -> Grammar:
        rules: dict[str, Group] = {}
        starts: dict[str, int] = {}
        self._skip(_BLANK_LINES)
        while self.pos < len(self.text):
            start = self.pos
            name, body = self._rule()
            rules[name], starts[name] = body, start  # of two with one name, the last counts
        self._check(rules, starts)
        return Grammar(rules)

    def _check(self, rules: dict[str, Group], starts: dict[str, int]) -> None:
        if ROOT not in rules:
            raise self._problem(f"the rule {ROOT!r} is missing, with which every text begins", 0)
        for name, place in self.places.items():
            if name not in rules:
                near = get_close_matches(name, rules, n=1)
                meant = f"; {near[0]!r} may be meant" if near else ""
                raise self._problem(f"there is no rule {name!r}{meant}", place)
        for name in _left_recursive(rules):
            raise self._problem(
                f"the rule {name!r} begins with itself, so it never gets on", starts[name]
            )

    def _problem(self, message: str, place: int | None = None) -> GrammarProblem:
        return GrammarProblem(self.text, self.pos if place is None else place, message)

    def _skip(self, blank: re.Pattern[str]) -> None:
        found = blank.match(self.text, self.pos)
        assert found is not None
        self.pos = found.end()

    def _peek(self) -> str:
        return self.text[self.pos : self.pos + 1]

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.pos)
        if found is None:
            return None
        self.pos = found.end()
        return found[0]

    def _symbol(self, name: str, place: int) -> None:
        if name not in self.places:
            self.places[name] = place
            self.symbols += 1

    def _rule(self) -> tuple[str, Group]:
        start = self.pos
        name = self._take(_NAME)
        if name is None:
            raise self._problem(
                "a rule begins with its name: letters, digits and dashes. To go on with the rule "
                "above, end the line before with |, or put the rule into parentheses"
            )
        self._symbol(name, start)
        self._skip(_BLANK)
        if not self.text.startswith("::=", self.pos):
            raise self._problem(f"::= is missing after {name!r}")
        self.pos += 3
        self._skip(_BLANK_LINES)
        body = self._options(is_nested=False)
        if self._peek() not in {"", "\r", "\n"}:
            raise self._problem(f"{self._peek()!r} does not belong here")
        self._skip(_BLANK_LINES)
        return name, body

    def _options(self, *, is_nested: bool) -> Group:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._problem("the groups are nested too deep")
        options = [self._sequence(is_nested=is_nested)]
        while self._peek() == "|":
            self.pos += 1
            self._skip(_BLANK_LINES)
            options.append(self._sequence(is_nested=is_nested))
        self.depth -= 1
        return Group(tuple(options))

    def _sequence(self, *, is_nested: bool) -> tuple[Repeated, ...]:
        blank = _BLANK_LINES if is_nested else _BLANK
        items: list[Repeated] = []
        size = 1  # how many rules llama.cpp repeats when it repeats the last item
        while char := self._peek():
            before = self.symbols
            if char == '"':
                items.append(Repeated(Literal(self._literal())))
            elif char == "[":
                items.append(Repeated(self._characters()))
            elif char == ".":
                self.pos += 1
                items.append(Repeated(Characters((), is_negated=True)))
            elif char in "<!":
                items.append(Repeated(self._token()))
            elif char == "(":
                items.append(Repeated(self._group()))
            elif found := _NAME.match(self.text, self.pos):
                items.append(Repeated(Named(found[0], self.pos)))
                self._symbol(found[0], self.pos)
                self.pos = found.end()
            elif char in "*+?{":
                size *= self._repeat(items, size, blank)
                self._skip(blank)
                continue
            else:
                break
            size = max(1, self.symbols - before) if char == "(" else 1
            self._skip(blank)
        return tuple(items)

    def _group(self) -> Group:
        start = self.pos
        self.pos += 1
        self.symbols += 1
        self._skip(_BLANK_LINES)
        group = self._options(is_nested=True)
        if self._peek() != ")":
            raise self._problem("a ) is missing for this (", start)
        self.pos += 1
        return group

    def _token(self) -> Token:
        found = self._take(_TOKEN)
        if found is None:
            raise self._problem("a token stands in < and >")
        return Token(found)

    def _character(self, end: str, start: int) -> str:
        char = self._peek()
        if not char:
            raise self._problem(f"a {end} is missing for this", start)
        if char != "\\":
            self.pos += 1
            return char
        found = _ESCAPE.match(self.text, self.pos)
        if found is None:
            known = r"\n \r \t \\ \" \[ \] \- \xHH \uHHHH \UHHHHHHHH"
            raise self._problem(
                f"{self.text[self.pos : self.pos + 2]!r} is no escape; there are {known}"
            )
        code = int(found[1] or found[2] or found[3] or "0", 16)
        if code > _LAST_CODE:
            raise self._problem("there is no such character")
        self.pos = found.end()
        return _ESCAPED.get(found[4], found[4]) if found[4] else chr(code)

    def _literal(self) -> str:
        start = self.pos
        self.pos += 1
        text = ""
        while self._peek() != '"':
            text += self._character('"', start)
        self.pos += 1
        return text

    def _characters(self) -> Characters:
        start = self.pos
        self.pos += 1
        is_negated = self._peek() == "^"
        self.pos += is_negated
        ranges = []
        while self._peek() != "]":
            first = last = self._character("]", start)
            if self._peek() == "-" and self.text[self.pos + 1 : self.pos + 2] != "]":
                self.pos += 1
                last = self._character("]", start)
                if last < first:
                    raise self._problem(f"the range from {first!r} to {last!r} is empty")
            ranges.append((first, last))
        self.pos += 1
        return Characters(tuple(ranges), is_negated)

    def _repeat(self, items: list[Repeated], size: int, blank: re.Pattern[str]) -> int:
        """Repeat the last item; the number of times that llama.cpp writes it out."""
        start = self.pos
        if not items:
            raise self._problem(f"nothing stands before {self._peek()!r}")
        least, most = self._bounds(blank)
        if max(least, most or 0) > MOST_REPEATS:
            raise self._problem(f"something may repeat {MOST_REPEATS} times at most", start)
        if most is not None and most < least:
            raise self._problem("the second number is less than the first", start)
        times = most or least or 1
        if size * times > MOST_REPEATS:
            raise self._problem(
                f"this repeats what repeats already, {size * times} times in all; "
                f"{MOST_REPEATS} is the most. Make a rule of its own of what repeats",
                start,
            )
        self.symbols += 1 if most is None else most - least
        last = items[-1]
        is_plain = (last.least, last.most) == (1, 1)
        item = last.item if is_plain else Group(((last,),))
        items[-1] = Repeated(item, least, most)
        return times

    def _bounds(self, blank: re.Pattern[str]) -> tuple[int, int | None]:
        sign = self._peek()
        self.pos += 1
        if sign != "{":
            return int(sign == "+"), 1 if sign == "?" else None
        self._skip(blank)
        least = most = self._number()
        self._skip(blank)
        found: int | None = most
        if self._peek() == ",":
            self.pos += 1
            self._skip(blank)
            found = self._number() if self._peek().isdecimal() else None
            self._skip(blank)
        if self._peek() != "}":
            raise self._problem("a } is missing")
        self.pos += 1
        return least, found

    def _number(self) -> int:
        found = self._take(_NUMBER)
        if found is None:
            raise self._problem("a number is missing")
        return int(found[:9])


def _left_recursive(rules: dict[str, Group]) -> list[str]:
    """The rules that can begin with themselves before any character."""
    empty: set[str] = set()
    while True:
        more = {name for name, body in rules.items() if _may_be_empty(body, empty)} - empty
        if not more:
            break
        empty |= more
    firsts = {name: _firsts(body, empty) for name, body in rules.items()}
    return [name for name in rules if _reaches(name, name, firsts)]


def _may_be_empty(group: Group, empty: set[str]) -> bool:
    return any(all(_is_optional(item, empty) for item in option) for option in group.options)


def _is_optional(repeated: Repeated, empty: set[str]) -> bool:
    match repeated.item:
        case Literal(text=""):
            return True
        case Named(name=name):
            return repeated.least == 0 or name in empty
        case Group() as group:
            return repeated.least == 0 or _may_be_empty(group, empty)
        case _:
            return repeated.least == 0


_ITSELF: Final = "(itself)"


def _firsts(group: Group, empty: set[str]) -> set[str]:
    """The rules that a group may begin with; `_ITSELF` for a repetition of what may be empty."""
    found: set[str] = set()
    for option in group.options:
        for repeated in option:
            item = repeated.item
            if isinstance(item, Named):
                found.add(item.name)
            elif isinstance(item, Group):
                found |= _firsts(item, empty)
            if repeated.most is None and _is_optional(Repeated(item), empty):
                found.add(_ITSELF)
            if not _is_optional(repeated, empty):
                break
    return found


def _reaches(start: str, goal: str, firsts: dict[str, set[str]]) -> bool:
    waiting, seen = [start], set[str]()
    while waiting:
        for name in firsts.get(waiting.pop(), ()):
            if name in (goal, _ITSELF):
                return True
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return False

"""Regular expressions that match in time linear in the text, as Go's do.

Python's own engine can take ages on a pattern such as `(a+)+$`, and a model file must not be able
to ask for that. This one follows all alternatives at once, so it knows no back references and no
looking around; Go knows none either.
Sources: the documentation of Go's regexp/syntax; R. Cox, "Regular Expression Matching: the Virtual
Machine Approach" (2009).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from localai.regexp.syntax import (
    Assert,
    BadPattern,
    Choice,
    Group,
    Node,
    One,
    Repeat,
    Sequence,
    parse_pattern,
)

Charge = Callable[[int], None]
Captures = tuple[int | None, ...]
"""Start and end of the whole match, then of each group; None for a group that took no part."""

LONGEST_PATTERN: Final = 10_000
_LARGEST_PROGRAM: Final = 10_000
_CHARACTERS_PER_STEP: Final = 50
_KEPT_PATTERNS: Final = 256
_OPERATIONS_PER_STEP: Final = 2


class Operation(Enum):
    """What a machine does at one place of its program."""

    ONE = auto()
    SPLIT = auto()
    JUMP = auto()
    SAVE = auto()
    ASSERT = auto()
    MATCH = auto()


Place = tuple[Operation, Callable[[str], bool] | Assert | int | None, int]
"""An operation, what it tests or where it goes first, and where it goes else."""


class Pattern:
    """A pattern that can be looked for. Raises BadPattern.

    `names` are the numbers of the named groups; `beginning` is what every match begins with;
    `program` is what a machine runs.
    """

    def __init__(self, source: str) -> None:
        if len(source) > LONGEST_PATTERN:
            raise BadPattern(f"a pattern has at most {LONGEST_PATTERN} characters")
        self.source = source
        tree, self.names, self._groups = parse_pattern(source)
        self.tree: Node = tree
        self.beginning = _beginning(tree)
        self.program: list[Place] = []
        self._compile(Group(tree, 0))
        self._emit(Operation.MATCH)

    def search(self, text: str, start: int, charge: Charge) -> Captures | None:
        """Find the first match from `start` on; of those that start there, the preferred one."""
        matched: Captures | None = None
        nothing: Captures = (None,) * (2 * self._groups + 2)
        threads: list[tuple[int, Captures]] = []
        seen: set[int] = set()
        pos = start - 1
        while (pos := pos + 1) <= len(text):
            if matched is None:
                if not threads:
                    pos = self._leap(text, pos, charge)
                    if pos > len(text):
                        break
                self._add(threads, seen, (0, nothing), text, pos)
            elif not threads:
                break
            charge(1 + len(seen) // _OPERATIONS_PER_STEP)
            following: list[tuple[int, Captures]] = []
            seen = set()
            for place, captures in threads:
                code, test, _ = self.program[place]
                if code is Operation.MATCH:
                    matched = captures
                    break  # those behind it are less preferred
                if pos < len(text) and callable(test) and test(text[pos]):
                    self._add(following, seen, (place + 1, captures), text, pos + 1)
            threads = following
        return matched

    def _leap(self, text: str, start: int, charge: Charge) -> int:
        """Give the first place where a match can begin; behind the text if there is none."""
        if not self.beginning:
            return start
        found = text.find(self.beginning, start)
        first = found if found >= 0 else len(text) + 1
        charge((first - start) // _CHARACTERS_PER_STEP)
        return first

    def search_all(self, text: str, count: int, charge: Charge) -> Iterator[Captures]:
        """Find matches that do not overlap, at most `count` if that is not negative."""
        pos, before = 0, -1
        while count and pos <= len(text):
            found = self.search(text, pos, charge)
            if found is None:
                return
            start, end = span(found)
            is_welcome = end > pos or start != before  # no empty match right after another
            pos = end if end > pos else pos + 1
            before = end
            if is_welcome:
                count -= 1
                yield found

    def _add(
        self,
        threads: list[tuple[int, Captures]],
        seen: set[int],
        thread: tuple[int, Captures],
        text: str,
        pos: int,
    ) -> None:
        """Follow a thread to all places where it waits for a character, preferred ones first."""
        waiting = [thread]
        while waiting:
            place, captures = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            code, what, other = self.program[place]
            if code is Operation.JUMP:
                waiting.append((other, captures))
            elif code is Operation.SPLIT:
                assert isinstance(what, int)
                waiting += [(other, captures), (what, captures)]
            elif code is Operation.SAVE:
                saved = (*captures[:other], pos, *captures[other + 1 :])
                waiting.append((place + 1, saved))
            elif code is Operation.ASSERT:
                assert isinstance(what, Assert)
                if what.holds(text, pos):
                    waiting.append((place + 1, captures))
            else:
                threads.append((place, captures))

    # --- compiling

    def _emit(
        self, code: Operation, what: Callable[[str], bool] | Assert | int | None = None
    ) -> int:
        if len(self.program) >= _LARGEST_PROGRAM:
            raise BadPattern("the pattern is too large")
        self.program.append((code, what, 0))
        return len(self.program) - 1

    def _aim(self, place: int, first: int, second: int = 0, *, is_lazy: bool = False) -> None:
        code = self.program[place][0]
        if code is Operation.SPLIT:
            first, second = (second, first) if is_lazy else (first, second)
            self.program[place] = (code, first, second)
        else:
            self.program[place] = (code, None, first)

    def _compile(self, node: Node) -> None:
        match node:
            case One():
                self._emit(Operation.ONE, node.test)
            case Assert():
                self._emit(Operation.ASSERT, node)
            case Sequence():
                for item in node.items:
                    self._compile(item)
            case Group():
                self._save(2 * node.number)
                self._compile(node.inner)
                self._save(2 * node.number + 1)
            case Choice():
                self._compile_choice(node)
            case Repeat():
                self._compile_repeat(node)

    def _save(self, slot: int) -> None:
        self._aim(self._emit(Operation.SAVE), slot)

    def _compile_choice(self, node: Choice) -> None:
        ends = []
        for option in node.options[:-1]:
            split = self._emit(Operation.SPLIT)
            self._compile(option)
            ends.append(self._emit(Operation.JUMP))
            self._aim(split, split + 1, len(self.program))
        self._compile(node.options[-1])
        for end in ends:
            self._aim(end, len(self.program))

    def _compile_repeat(self, node: Repeat) -> None:
        for _ in range(node.least):
            self._compile(node.inner)
        if node.most is None:
            split = self._emit(Operation.SPLIT)
            self._compile(node.inner)
            self._aim(self._emit(Operation.JUMP), split)
            self._aim(split, split + 1, len(self.program), is_lazy=node.is_lazy)
            return
        splits = []
        for _ in range(node.most - node.least):
            splits.append(self._emit(Operation.SPLIT))
            self._compile(node.inner)
        for split in splits:
            self._aim(split, split + 1, len(self.program), is_lazy=node.is_lazy)


@lru_cache(_KEPT_PATTERNS)
def compiled(source: str) -> Pattern:
    """The pattern of a text, made once. Raises BadPattern."""
    return Pattern(source)


def _beginning(node: Node) -> str:
    """Give the text that all matches of `node` begin with, as far as that is easily seen."""
    text, _ = _certain(node)
    return text


def _certain(node: Node) -> tuple[str, bool]:
    """Give how a match begins, and whether that is all of it."""
    match node:
        case One():
            return node.literal, bool(node.literal)
        case Group():
            return _certain(node.inner)
        case Sequence():
            text = ""
            for item in node.items:
                more, is_all = _certain(item)
                text += more
                if not is_all:
                    return text, False
            return text, True
        case _:
            return "", False


def span(captures: Captures) -> tuple[int, int]:
    """Give the start and end of a whole match."""
    start, end = captures[0], captures[1]
    assert start is not None
    assert end is not None
    return start, end

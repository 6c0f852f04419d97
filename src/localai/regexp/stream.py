"""Looks for a pattern in a text that comes in pieces, and lets go of what cannot be a match.

It finds what `Pattern.search_all` finds in the whole text, but for empty matches. Source: R. Cox,
"Regular Expression Matching: the Virtual Machine Approach" (2009); a thread here remembers where
its match began, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from localai.regexp.pattern import Operation, Pattern
from localai.regexp.syntax import Assert, BadPattern

STEPS_BETWEEN_PAUSES: Final = 20_000
"""Some milliseconds of work, after which others should have their turn."""

LARGEST_PROGRAM: Final = 1_000
FREE_STEPS: Final = 1_000_000
"""What a text may cost beyond one pass of the program over each of its characters: a second or so."""

_TRIM_AFTER: Final = 1_024  # characters that are let go of, before the window moves


class TooSlow(Exception):
    """The pattern takes too long on this text: its matches begin at many places and end far away."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of the text; `is_match` when it is a match, and all of it."""

    text: str
    is_match: bool = False


PAUSE: Final = Piece("")
"""Stands between pieces where the caller should let others have their turn."""

_Thread = tuple[int, int]  # a place in the program, and where in the window its match began


class Finder:
    """One pattern in one text. Raises TooSlow."""

    def __init__(self, pattern: Pattern) -> None:
        self._program = pattern.program
        self._begins: dict[str, bool] = {}
        self._window = ""  # what is not sent on yet, after one character that is, if there is one
        self._sent = 0  # places in the window
        self._pos = 0
        self._pending: list[_Thread] = []  # preferred ones first
        self._matched: _Thread | None = None
        self._budget = FREE_STEPS
        self._until_pause = STEPS_BETWEEN_PAUSES

    def feed(self, text: str) -> Iterator[Piece]:
        """What is certain, now that `text` has come."""
        self._window += text
        self._budget += len(text) * (len(self._program) + 1)
        yield from self._run(is_end=False)
        yield from self._let_go()

    def end(self) -> Iterator[Piece]:
        """The rest."""
        yield from self._run(is_end=True)
        if rest := self._window[self._sent :]:
            self._sent = len(self._window)
            yield Piece(rest)

    def _run(self, *, is_end: bool) -> Iterator[Piece]:
        while self._pos < len(self._window) or (is_end and self._pos == len(self._window)):
            if not self._pending and self._matched is None:
                self._skip()
                if self._pos == len(self._window):
                    return  # nothing can begin and end here but an empty match
            self._step()
            if self._until_pause < 0:
                self._until_pause = STEPS_BETWEEN_PAUSES
                yield PAUSE
            if not self._pending and self._matched is not None:
                yield from self._conclude()

    def _skip(self) -> None:
        """Go to the next character that a match may begin with."""
        window, begins, start = self._window, self._begins, self._pos
        for pos in range(start, len(window)):
            char = window[pos]
            may_begin = begins.get(char)
            if may_begin is None:
                may_begin = begins[char] = self._may_begin(char)
            if may_begin:
                break
        else:
            pos = len(window)
        self._pos = pos
        self._charge((pos - start) // 8)

    def _may_begin(self, char: str) -> bool:
        threads: list[_Thread] = []
        self._follow(threads, set(), (0, 0), lambda _: True)
        return any(
            not callable(test := self._program[place][1]) or test(char) for place, _ in threads
        )

    def _step(self) -> None:
        """Read one character, or the end of the text."""
        window, pos = self._window, self._pos
        threads: list[_Thread] = []
        seen: set[int] = set()
        for thread in self._pending:
            self._follow(threads, seen, thread, lambda what: what.holds(window, pos))
        if self._matched is None:
            self._follow(threads, seen, (0, pos), lambda what: what.holds(window, pos))
        self._charge(1 + len(seen))
        self._pending = []
        for place, start in threads:
            test = self._program[place][1]
            if not callable(test):  # the end of the program
                self._matched = (start, pos)
                break  # those behind it are less preferred
            if pos < len(window) and test(window[pos]):
                self._pending.append((place + 1, start))
        self._pos += 1

    def _follow(
        self,
        threads: list[_Thread],
        seen: set[int],
        thread: _Thread,
        holds: Callable[[Assert], bool],
    ) -> None:
        """Follow a thread to all places where it waits for a character, preferred ones first."""
        waiting, start = [thread[0]], thread[1]
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            operation, what, other = self._program[place]
            if operation is Operation.JUMP:
                waiting.append(other)
            elif operation is Operation.SPLIT:
                assert isinstance(what, int)
                waiting += [other, what]
            elif operation is Operation.SAVE:
                waiting.append(place + 1)
            elif operation is Operation.ASSERT:
                assert isinstance(what, Assert)
                if holds(what):
                    waiting.append(place + 1)
            else:
                threads.append((place, start))

    def _conclude(self) -> Iterator[Piece]:
        """Nothing can make the match longer: give it, and look on behind it."""
        assert self._matched is not None
        start, end = self._matched
        self._matched = None
        if start == end:
            self._pos = end + 1
            return
        if start > self._sent:
            yield Piece(self._window[self._sent : start])
        yield Piece(self._window[start:end], is_match=True)
        self._sent = self._pos = end

    def _let_go(self) -> Iterator[Piece]:
        """Give what lies before everything that may yet be a match."""
        if self._matched is not None:
            sure = self._matched[0]
        elif self._pending:
            sure = self._pending[0][1]  # the first to begin is the most preferred
        else:
            sure = min(self._pos, len(self._window))
        if sure > self._sent:
            text, self._sent = self._window[self._sent : sure], sure
            yield Piece(text)
        shift = self._sent - 1  # assertions look at the character before
        if shift > _TRIM_AFTER or (shift > 0 and not self._pending and self._matched is None):
            self._window = self._window[shift:]
            self._sent -= shift
            self._pos -= shift
            self._pending = [(place, start - shift) for place, start in self._pending]
            if self._matched is not None:
                start, end = self._matched
                self._matched = (start - shift, end - shift)

    def _charge(self, steps: int) -> None:
        self._budget -= steps
        self._until_pause -= steps
        if self._budget < 0:
            raise TooSlow


def streamed(source: str) -> Pattern:
    """A pattern for texts that come in pieces. Raises BadPattern."""
    pattern = Pattern(source)
    if len(pattern.program) > LARGEST_PROGRAM:
        raise BadPattern(
            f"the pattern is too large: it has {len(pattern.program)} steps, "
            f"and {LARGEST_PROGRAM} are the most"
        )
    return pattern

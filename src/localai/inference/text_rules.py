"""Rules that change a text while it comes, each holding back only what it must.

A rule takes texts and gives texts; None among them is a place where others should have their turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Protocol

from localai.catalog.edits import OutputEdits, pattern
from localai.catalog.gotemplate.text_functions import SPACES
from localai.regexp.stream import PAUSE, Finder, Piece

Texts = Iterable[str | None]


class Rule(Protocol):
    """One change. Raises TooSlow."""

    def feed(self, texts: Texts) -> Iterator[str | None]:
        """What is certain, now that `texts` have come."""
        ...

    def end(self) -> Iterator[str | None]:
        """The rest."""
        ...


def rules(edits: OutputEdits) -> tuple[Rule, ...]:
    """The rules for one text, in their order."""
    cuts = (Cut(source) for source in edits.cut)
    extracts = (Extract(edits.extract),) if edits.extract else ()
    prefixes = (TrimPrefix(prefix) for prefix in edits.prefixes)
    suffixes = (TrimSuffix(suffix) for suffix in edits.suffixes)
    return (*cuts, *extracts, *prefixes, *suffixes)


def fed(chained: tuple[Rule, ...], text: str) -> Iterator[str | None]:
    """What comes out of the last rule when `text` goes into the first."""
    texts: Texts = (text,)
    for rule in chained:
        texts = rule.feed(texts)
    return iter(texts)


def ended(chained: tuple[Rule, ...]) -> Iterator[str | None]:
    """What still comes out of the last rule when nothing more goes into the first."""
    texts: Texts = ()
    for rule in chained:
        texts = chain(rule.feed(texts), rule.end())
    return iter(texts)


class Cut:
    """Leaves out what matches a pattern."""

    def __init__(self, source: str) -> None:
        self._finder = Finder(pattern(source))

    def feed(self, texts: Texts) -> Iterator[str | None]:
        """See `Rule`."""
        for text in texts:
            if text is None:
                yield None
                continue
            for piece in self._finder.feed(text):
                if not piece.is_match:
                    yield piece.text or None

    def end(self) -> Iterator[str | None]:
        """See `Rule`."""
        for piece in self._finder.end():
            if not piece.is_match:
                yield piece.text or None


class Extract:
    """Keeps what matches: all matches of the first pattern, then those of the second, and so on.

    A text in which nothing matches stays whole, so it comes at its end.
    """

    def __init__(self, sources: tuple[str, ...]) -> None:
        self._finders = [Finder(pattern(source)) for source in sources]
        self._found: list[list[str]] = [[] for _ in sources]
        self._whole: list[str] = []
        self._matches = False

    def feed(self, texts: Texts) -> Iterator[str | None]:
        """See `Rule`."""
        for text in texts:
            if text is None:
                yield None
                continue
            if not self._matches:
                self._whole.append(text)
            for number, finder in enumerate(self._finders):
                yield from self._look(number, finder.feed(text))

    def end(self) -> Iterator[str | None]:
        """See `Rule`."""
        for number, finder in enumerate(self._finders):
            yield from self._look(number, finder.end())
        yield from chain.from_iterable(self._found)
        if not self._matches:
            yield "".join(self._whole)

    def _look(self, number: int, pieces: Iterable[Piece]) -> Iterator[str | None]:
        """Give the matches of the first pattern at once, and remember those of the others."""
        for piece in pieces:
            if piece is PAUSE:
                yield None
            elif piece.is_match:
                self._matches = True
                if number == 0:
                    yield piece.text
                else:
                    self._found[number].append(piece.text)


class TrimPrefix:
    """Takes `prefix` away from the start, and then the white space at both ends."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._held = ""
        self._is_begun = False  # the start is decided
        self._has_text = False  # and some text followed

    def feed(self, texts: Texts) -> Iterator[str | None]:
        """See `Rule`."""
        for text in texts:
            if text is None:
                yield None
                continue
            self._held += text
            if not self._is_begun and not self._begin():
                continue
            yield from self._without_space()

    def end(self) -> Iterator[str | None]:
        """See `Rule`."""
        yield from self._without_space()

    def _begin(self) -> bool:
        """Decide whether the prefix is there, as soon as it can be known."""
        if self._held.startswith(self._prefix):
            self._held = self._held[len(self._prefix) :]
        elif self._prefix.startswith(self._held):
            return False
        self._is_begun = True
        return True

    def _without_space(self) -> Iterator[str]:
        if not self._has_text:
            self._held = self._held.lstrip(SPACES)
        sure = self._held.rstrip(SPACES)
        if sure:
            self._has_text = True
            self._held = self._held[len(sure) :]
            yield sure


class TrimSuffix:
    """Takes `suffix` away from the end, and then the white space at both ends."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._held = ""
        self._has_text = False

    def feed(self, texts: Texts) -> Iterator[str | None]:
        """See `Rule`."""
        for text in texts:
            if text is None:
                yield None
                continue
            self._held += text
            yield from self._up_to(len(self._held) - self._overlap())

    def end(self) -> Iterator[str | None]:
        """See `Rule`."""
        yield from self._up_to(len(self._held.removesuffix(self._suffix)))

    def _overlap(self) -> int:
        """The length of the longest end of the text that begins the suffix, or is all of it."""
        for length in range(min(len(self._held), len(self._suffix)), 0, -1):
            if self._suffix.startswith(self._held[-length:]):
                return length
        return 0

    def _up_to(self, length: int) -> Iterator[str]:
        sure = self._held[:length].rstrip(SPACES)
        self._held = self._held[len(sure) :]
        if not self._has_text:
            sure = sure.lstrip(SPACES)
        if sure:
            self._has_text = True
            yield sure

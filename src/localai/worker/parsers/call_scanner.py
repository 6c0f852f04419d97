"""Finds calls in a text that comes in pieces, by what they begin with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from localai.worker.parsers.overlaps import overlap
from localai.worker.parsers.pieces import Body, CallStarted, Piece, Rejected, Said


@dataclass(frozen=True, slots=True)
class Opening:
    """A text that begins a call, and what reads on from there.

    With `at_start` it counts only where nothing but white space came before. What reads gets the
    opening too if it is `read_too`.
    """

    text: str
    make: Callable[[], Body]
    at_start: bool = False
    read_too: bool = False


class CallScanner:
    """Cuts a text into calls and what is said around them.

    Of several openings the one that begins first counts, then the longest, then the first given.
    White space around calls belongs to their form.
    """

    def __init__(self, openings: Sequence[Opening]) -> None:
        self._openings = sorted(openings, key=lambda opening: -len(opening.text))
        self._texts = tuple({opening.text for opening in openings})
        self._held = ""  # text outside of calls that was not passed on yet
        self._body: Body | None = None
        self._taken = ""  # text from the opening on, as long as the body may yet reject it
        self._tries: list[Opening] = []  # the openings at the same place that are still to be tried
        self._opening: Opening | None = None  # the one that is being tried
        self._spaces = ""  # white space at the beginning, or behind a call
        self._said = False  # whether there was text behind that
        self._called = False

    def feed(self, text: str) -> list[Piece]:
        """Read more; what is certain."""
        out: list[Piece] = []
        if self._body is not None and self._opening is not None:
            self._taken += text
        self._go_on(text, out)
        return out

    def end(self) -> list[Piece]:
        """What is left at the end of the text."""
        out: list[Piece] = []
        while self._body is not None:
            try:
                out += self._body.end()
            except Rejected:
                rest = self._retry(out)
            else:
                rest = self._body.rest or ""
                self._body = None
            self._go_on(rest, out, is_last=True)
        if self._held:
            self._go_on("", out, is_last=True)
            return out + self.end()
        if self._spaces and not self._called:
            out.append(Said(self._spaces))
        self._held = self._spaces = ""
        return out

    def _go_on(self, text: str, out: list[Piece], *, is_last: bool = False) -> None:
        rest: str | None = text
        while rest is not None:
            if self._body is None:
                rest = self._outside(rest, out, is_last=is_last)
            else:
                rest = self._inside(rest, out)

    def _outside(self, text: str, out: list[Piece], *, is_last: bool) -> str | None:
        """Look for an opening; what the body is fed if there is one."""
        held = self._held + text
        sure = len(held) if is_last else len(held) - overlap(held, self._texts)
        found = [
            (place, opening)
            for opening in self._openings
            if (place := self._place(opening, held)) >= 0
        ]
        first = min((place for place, _ in found), default=sure)
        if first >= sure:  # none, or one that may yet turn out to be a longer one
            self._held = held[sure:]
            self._say(held[:sure], out)
            return None
        self._tries = [opening for place, opening in found if place == first]
        self._say(held[:first], out)
        self._held, self._taken = "", held[first:]
        return self._start()

    def _start(self) -> str:
        """Begin with the next opening to try; the text that it is fed."""
        self._opening = self._tries.pop(0)
        self._body = self._opening.make()
        return self._taken[0 if self._opening.read_too else len(self._opening.text) :]

    def _inside(self, text: str, out: list[Piece]) -> str | None:
        """Feed the body; the text behind the call when that has ended."""
        assert self._body is not None
        try:
            pieces = self._body.feed(text)
        except Rejected:
            return self._retry(out)
        out += pieces
        if any(isinstance(piece, CallStarted) for piece in pieces):
            self._called, self._said, self._spaces = True, False, ""
            self._opening, self._taken = None, ""
        rest = self._body.rest
        if rest is not None:
            self._body = None
        return rest

    def _retry(self, out: list[Piece]) -> str:
        """Try the next opening at the same place, or take this one for text."""
        assert self._opening is not None
        if self._tries:
            return self._start()
        opening = self._opening.text
        self._body = None
        self._say(opening, out)
        return self._taken[len(opening) :]

    def _place(self, opening: Opening, text: str) -> int:
        place = text.find(opening.text)
        begun = self._said or self._called or text[: max(place, 0)].strip()
        is_late = opening.at_start and begun
        return -1 if is_late else place

    def _say(self, text: str, out: list[Piece]) -> None:
        """Pass on text that is no call."""
        if not text or (not self._said and not text.strip()):
            self._spaces += text
            return
        text, self._spaces, self._said = self._spaces + text, "", True
        if out and isinstance(out[-1], Said):
            out[-1] = Said(out[-1].text + text)
        else:
            out.append(Said(text))

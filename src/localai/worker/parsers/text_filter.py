"""Takes out of an answer what its model file says: matches to replace, and to keep for later."""

from __future__ import annotations

from collections.abc import Sequence

from localai.regexp import compiled, replaced
from localai.regexp.steps import Steps
from localai.wire.functions import Replacement
from localai.worker.parsers.overlaps import first_place, overlap
from localai.worker.parsers.shapes import as_span


class TextFilter:
    """Replaces matches in a text that comes in pieces, and remembers what was captured.

    Text is passed on as soon as no match can change it.
    """

    def __init__(
        self, replacements: Sequence[Replacement], captures: Sequence[str], steps: Steps
    ) -> None:
        self._replacements = [(compiled(item.key), item.value) for item in replacements]
        self._captures = [compiled(text) for text in captures]
        self._steps = steps
        self._captured: dict[int, str] = {}
        patterns = [pattern for pattern, _ in self._replacements] + self._captures
        self._beginnings = tuple({pattern.beginning for pattern in patterns})
        spans = [as_span(pattern) for pattern in patterns]
        self._spans = None if None in spans else tuple({span for span in spans if span})
        self._held = ""

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to look for."""
        return not self._beginnings

    @property
    def captured(self) -> str:
        """The first group of the first capturing pattern that has matched so far."""
        return self._captured[min(self._captured)].strip() if self._captured else ""

    def feed(self, text: str) -> str:
        """Read more; the text that is certain."""
        if self.is_idle:
            return text
        self._held += text
        out = ""
        while self._held:
            place = first_place(self._held, self._beginnings)
            if place is None:
                keep = overlap(self._held, self._beginnings)
                out += self._held[: len(self._held) - keep]
                self._held = self._held[len(self._held) - keep :]
                return out
            out += self._held[:place]
            self._held = self._held[place:]
            end = self._span_end()
            if end is None:
                return out
            out += self._applied(self._held[:end])
            self._held = self._held[end:]
        return out

    def end(self) -> str:
        """What is left at the end of the text."""
        held, self._held = self._held, ""
        return self._applied(held) if held else ""

    def _span_end(self) -> int | None:
        """The end of the match that begins here, when nothing can change it any more."""
        ends = [
            self._held.find(close, len(opening))
            for opening, close in self._spans or ()
            if self._held.startswith(opening)
        ]
        if self._spans is None or not ends or min(ends) < 0:
            return None
        closes = [close for opening, close in self._spans if self._held.startswith(opening)]
        return max(end + len(close) for end, close in zip(ends, closes, strict=True))

    def _applied(self, text: str) -> str:
        for number, pattern in enumerate(self._captures):
            found = pattern.search(text, 0, self._steps) if number not in self._captured else None
            if found is not None:
                start, end = found[2:4] if len(found) > 2 else found  # noqa: PLR2004 - the first group
                self._captured[number] = text[start or 0 : end or 0]
        for pattern, value in self._replacements:
            text = replaced(pattern, text, value, self._steps)
        return text

"""Finds stop sequences in a stream of deltas, for engines that cannot, or not exactly enough."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localai.domain.events import Delta


class StopGuard:
    """Passes deltas on as soon as no stop sequence can begin in them.

    After a match `found` is the sequence, and the text before it has been passed on.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held: list[Delta] = []
        self.found: str | None = None

    def feed(self, delta: Delta) -> list[Delta]:
        """The deltas that may go out now."""
        self._held.append(delta)
        text = "".join(held.text for held in self._held)
        matches = [(text.index(stop), stop) for stop in self._stops if stop in text]
        if matches:
            position, self.found = min(matches)
            return self._take(position, cut=True)
        return self._take(len(text) - _overlap(text, self._stops), cut=False)

    def release(self) -> list[Delta]:
        """The deltas held back, when the text has ended."""
        held, self._held = self._held, []
        return held

    def _take(self, length: int, *, cut: bool) -> list[Delta]:
        """The held deltas within the first `length` characters; `cut` splits the one across."""
        out: list[Delta] = []
        while self._held and len(self._held[0].text) <= length:
            delta = self._held.pop(0)
            length -= len(delta.text)
            out.append(delta)
        if cut and length and self._held:
            out.append(
                dataclasses.replace(self._held[0], text=self._held[0].text[:length], logprobs=())
            )
        return out


def _overlap(text: str, stops: tuple[str, ...]) -> int:
    """The length of the longest end of `text` that begins a stop sequence."""
    longest = min(len(text), max(map(len, stops), default=0))
    for length in range(longest, 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return length
    return 0

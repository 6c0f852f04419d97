"""Token ids to text, a token at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HOLE = "�"
_WINDOW = 8  # tokens decoded again, so that those before them keep their form


class Pieces:
    """The text that each token adds; a character of several tokens comes with the last of them.

    Tokens are decoded together with a few before them, because what one decodes to depends on its
    neighbors (a space in front, half a character). The window moves on behind finished text.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._start = 0  # of the window
        self._known = 0  # ids whose text was given
        self._shown = ""  # what the window's known ids decode to

    def add(self, token_id: int) -> str:
        """The text that is certain now."""
        self._ids.append(token_id)
        text = self._decode(self._ids[self._start :])
        if text.endswith(_HOLE):
            return ""
        new = text[len(self._shown) :]
        self._known = len(self._ids)
        self._start = max(self._start, self._known - _WINDOW)
        self._shown = self._decode(self._ids[self._start :])
        return new

    def rest(self) -> str:
        """What is left at the end: an unfinished character is shown as U+FFFD."""
        if self._known == len(self._ids):
            return ""
        text = self._decode(self._ids[self._start :])
        self._known = len(self._ids)
        return text[len(self._shown) :]

"""A text in pieces that can be spoken one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

LONGEST: Final = 400  # characters of a piece: about half a minute of speech

# A sentence ends at its mark, with what closes it, before a space; in scripts without spaces at
# the mark itself; and at an empty line. After a short word with a capital the dot may be that of an
# abbreviation (Dr. Who), so the sentence goes on.
_CLOSING: Final = "\"'”»)\\]\u2019"
_WIDE_MARKS: Final = "。｡\uff01\uff1f"
_WIDE_CLOSING: Final = "」』”\u2019\uff09"
_CONTROLS: Final = {code: " " for code in range(32) if chr(code) not in "\n\t"}
_END: Final = re.compile(
    rf"(?:(?<!\b[A-Z])(?<!\b[A-Z][a-z])(?<!\b[A-Z][a-z][a-z])\.|[.!?…]{{2,}}|[!?…।؟])[{_CLOSING}]*(?=\s)"
    rf"|[{_WIDE_MARKS}]+[{_WIDE_CLOSING}]*"
    r"|\n\s*\n"
)
_PAUSE: Final = re.compile(r"[,;:،、，；：]\s*|\s+[-–—]\s+")  # noqa: RUF001 - marks of other scripts


def sentences(text: str, *, longest: int = LONGEST) -> Iterator[str]:
    """The sentences of `text`, without the spaces between them.

    Control characters are taken for spaces. A longer one than `longest` characters is cut at a pause, else between words, else anywhere.
    Pieces in which nothing can be spoken are left out.
    """
    text = text.translate(_CONTROLS)
    start = 0
    for end in _END.finditer(text):
        yield from _pieces(text[start : end.end()], longest)
        start = end.end()
    yield from _pieces(text[start:], longest)


def _pieces(sentence: str, longest: int) -> Iterator[str]:
    rest = sentence.strip()
    while len(rest) > longest:
        cut = _cut(rest, longest)
        yield from _spoken(rest[:cut])
        rest = rest[cut:].lstrip()
    yield from _spoken(rest)


def _cut(text: str, longest: int) -> int:
    head = text[:longest]
    pauses = [found.end() for found in _PAUSE.finditer(head) if found.end() > longest // 4]
    if pauses:
        return pauses[-1]
    space = max(head.rfind(" "), head.rfind("\n"), head.rfind("\t"))
    return space if space > 0 else longest


def _spoken(piece: str) -> Iterator[str]:
    if any(character.isalnum() for character in piece):
        yield piece.strip()

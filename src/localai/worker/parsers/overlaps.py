"""Texts that are looked for in a text that comes in pieces."""

from __future__ import annotations

from collections.abc import Sequence


def first_place(text: str, beginnings: Sequence[str]) -> int | None:
    """Where the first of these texts is; 0 when one of them is empty."""
    places = [place for beginning in beginnings if (place := text.find(beginning)) >= 0]
    return min(places, default=None)


def overlap(text: str, beginnings: Sequence[str]) -> int:
    """The length of the longest end of `text` that one of these begins with."""
    longest = min(len(text), max(map(len, beginnings), default=1) - 1)
    for length in range(longest, 0, -1):
        end = text[-length:]
        if any(beginning.startswith(end) for beginning in beginnings):
            return length
    return 0

"""Finding entries by words."""

from __future__ import annotations

from collections.abc import Iterable

from localai.gallery.entry import Entry

# What a word counts for where it is found; the best place of each word adds up.
_IS_NAME = 100
_BEGINS_NAME = 50
_IN_NAME = 30
_IS_TAG = 20
_IN_TAG = 10
_IN_ADDRESS = 5
_IN_TEXT = 1


def search(entries: Iterable[Entry], text: str) -> list[Entry]:
    """The entries that have every word of `text`, the best match first; all for an empty text.

    Names count most, then tags, addresses and descriptions. Between equals the order stays.
    """
    words = text.lower().split()
    if not words:
        return list(entries)
    found: list[tuple[int, int, Entry]] = []
    for entry in entries:
        score = _score(entry, words)
        if score:
            found.append((-score, len(found), entry))
    found.sort(key=lambda item: item[:2])
    return [entry for _, _, entry in found]


def _score(entry: Entry, words: list[str]) -> int:
    """How well all words fit together; 0 when one of them is nowhere."""
    name = entry.name.lower()
    tags = [tag.lower() for tag in entry.tags]
    total = 0
    for word in words:
        score = _score_of(word, name, tags, entry)
        if not score:
            return 0
        total += score
    return total


def _score_of(word: str, name: str, tags: list[str], entry: Entry) -> int:
    if word == name or word == entry.entry_id.lower():
        return _IS_NAME
    if name.startswith(word):
        return _BEGINS_NAME
    if word in name:
        return _IN_NAME
    if word in tags:
        return _IS_TAG
    if any(word in tag for tag in tags):
        return _IN_TAG
    if any(word in url.lower() for url in entry.urls) or word == entry.license.lower():
        return _IN_ADDRESS
    return _IN_TEXT if word in entry.description.lower() else 0

"""Words from the tokens of a speech model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from localai.domain.audio import Word

# Written without spaces: each piece that is whole letters counts as a word, as Whisper does it.
_UNSPACED: Final = frozenset({"zh", "ja", "th", "lo", "my", "yue"})


class Token(NamedTuple):
    """A text token; a letter may be spread over several. Times are in seconds."""

    data: bytes
    start_s: float
    end_s: float
    probability: float


def words_of(tokens: Sequence[Token], language: str) -> tuple[Word, ...]:
    """Words with their times: a space begins one; punctuation belongs to the word before it."""
    groups: list[list[Token]] = []
    for piece in _letters(tokens):
        text = b"".join(token.data for token in piece).decode(errors="replace")
        begins = text[:1].isspace() or language in _UNSPACED
        if groups and not (begins and any(c.isalnum() for c in text)):
            groups[-1] += piece
        else:
            groups.append(list(piece))
    words = (_word(group) for group in groups)
    return tuple(word for word in words if word.text)


def _letters(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Tokens together until their bytes are whole letters."""
    open_tokens: list[Token] = []
    for token in tokens:
        open_tokens.append(token)
        try:
            b"".join(one.data for one in open_tokens).decode()
        except UnicodeDecodeError:
            continue
        yield open_tokens
        open_tokens = []
    if open_tokens:
        yield open_tokens


def _word(group: Sequence[Token]) -> Word:
    text = b"".join(token.data for token in group).decode(errors="replace").strip()
    probability = sum(token.probability for token in group) / len(group)
    return Word(
        text=text,
        start_s=group[0].start_s,
        end_s=max(token.end_s for token in group),
        probability=round(probability, 4),
    )

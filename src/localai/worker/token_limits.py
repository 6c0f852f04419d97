"""How many tokens a text has, without counting where that is clear: for encoders with a limit."""

from __future__ import annotations

import asyncio
import copy
import math
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from localai.domain.errors import ContextTooLong, InvalidRequest, Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

Parts = tuple[str, ...]  # a text, or the texts of a pair

NO_LIMIT: Final = 1 << 20
_SPECIAL_TOKENS: Final = 4  # a pair of texts has three
_CHARACTERS_PER_TOKEN: Final = 4  # a guess, which only decides what goes into one batch
_MOST_CHARACTERS: Final = 64  # of a token, as a rule; a text is long white space where it is more
_COUNTING_FROM_PADDING: Final = (
    "roberta",
    "camembert",
    "mpnet",
)  # their first positions are unused


class TokenLimit:
    """The limit of a tokenizer of transformers. `tokenizer` None is one that has no limit.

    It counts with a copy: a tokenizer fails when two threads cut and pad with it at once.
    """

    def __init__(self, tokenizer: Any, limit: int) -> None:
        self._tokenizer = copy.deepcopy(tokenizer)
        self._alone = Lock()
        self.limit = limit

    def text_of(self, item: str | tuple[int, ...], place: int) -> str:
        """An input as text; token ids are those of the model's own tokenizer. Raises RequestError."""
        if isinstance(item, str):
            return item
        param = f"input[{place}]"
        if self._tokenizer is None:
            raise Unsupported("This model takes texts, and no token ids.", param=param)
        with self._alone:
            if not all(0 <= token_id < len(self._tokenizer) for token_id in item):
                message = f"{param} holds a number that is no token id of this model."
                raise InvalidRequest(message, param=param)
            return str(self._tokenizer.decode(list(item), skip_special_tokens=True))

    async def fit(
        self, texts: Sequence[Parts], *, cuts: bool, param: str
    ) -> list[tuple[Parts, int]]:
        """The texts with their tokens, counted or guessed, at most the limit.

        Raises ContextTooLong for the first text over the limit, unless it `cuts`: then the engine's
        tokenizer cuts it exactly, and here only what would keep others waiting.
        """
        fitting = []
        for place, parts in enumerate(texts):
            if self._surely_fits(parts):
                fitting.append((parts, min(_guess(parts), self.limit)))
                continue
            kept, tokens = await asyncio.to_thread(self._measure, parts, cuts=cuts)
            if tokens > self.limit and not cuts:
                where = f"{param}[{place}]"
                raise ContextTooLong(limit=self.limit, requested=tokens, param=where)
            fitting.append((kept, min(tokens, self.limit)))
        return fitting

    def count(self, parts: Parts) -> int:
        """The tokens of a text, special ones included."""
        with self._alone:
            return len(self._tokenizer(*parts, truncation=False, verbose=False)["input_ids"])

    def _surely_fits(self, parts: Parts) -> bool:
        """Whether counting is needless: no character of ASCII is more than one token."""
        if self._tokenizer is None:
            return True
        length = sum(map(len, parts)) + _SPECIAL_TOKENS
        return length <= self.limit and all(map(str.isascii, parts))

    def _measure(self, parts: Parts, *, cuts: bool) -> tuple[Parts, int]:
        most = self.limit * _MOST_CHARACTERS
        if cuts and max(map(len, parts)) > most:
            rough = tuple(part[:most] for part in parts)
            tokens = self.count(rough)
            if tokens > self.limit:
                return rough, tokens
        return parts, self.count(parts)


def own_limit(tokenizer_limit: float | None) -> int:
    """A tokenizer's own limit, NO_LIMIT where it names none, or a number that means none."""
    if tokenizer_limit is None or not math.isfinite(tokenizer_limit):
        return NO_LIMIT
    return min(int(tokenizer_limit), NO_LIMIT)


def positions(config: Any) -> int:
    """How many tokens a model can tell apart by their place; NO_LIMIT where nothing limits them."""
    trained = int(getattr(config, "max_position_embeddings", 0) or 0)
    kind = str(getattr(config, "model_type", ""))
    if trained and any(name in kind for name in _COUNTING_FROM_PADDING):
        return trained - int(getattr(config, "pad_token_id", None) or 0) - 1
    return trained or NO_LIMIT


def text_limit(tokenizer: Any, config: Any, asked: int = 0) -> int:
    """How many tokens a text may have: as many as tokenizer and model take, or `asked` if fewer."""
    own = min(own_limit(tokenizer.model_max_length), positions(config))
    return min(asked, own) if asked > 0 else own


def _guess(parts: Parts) -> int:
    return sum(map(len, parts)) // _CHARACTERS_PER_TOKEN + _SPECIAL_TOKENS

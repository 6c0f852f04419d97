"""Log probabilities, in the two forms that this API has."""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterable
from typing import Any

from localai.domain.events import TokenLogprob

IMPOSSIBLE = -9999.0  # OpenAI's number for a token that cannot come; JSON has no infinity


def chat_logprobs(tokens: Iterable[TokenLogprob]) -> dict[str, Any]:
    """Spell tokens as `choices[].logprobs` of a chat."""
    content = [
        _chat_token(token) | {"top_logprobs": [_chat_token(other) for other in token.top]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _chat_token(token: TokenLogprob) -> dict[str, Any]:
    return {
        "token": token.text,
        "bytes": list(token.data),
        "logprob": _finite(token.logprob),
    }


def _finite(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else IMPOSSIBLE


class CompletionLogprobs:
    """Spells tokens as `choices[].logprobs` of a completion, counting their places in its text.

    Places are characters. A token that ends inside a character is counted with the token that
    completes it.
    """

    def __init__(self) -> None:
        self._place = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def move_to(self, place: int) -> None:
        """Say where the next token begins."""
        self._place = place
        self._decoder.reset()

    def spell(self, tokens: Iterable[TokenLogprob]) -> dict[str, list[Any]]:
        """The next tokens of the text."""
        lists: dict[str, list[Any]] = {
            "tokens": [],
            "token_logprobs": [],
            "top_logprobs": [],
            "text_offset": [],
        }
        for token in tokens:
            is_first = math.isnan(token.logprob)  # nothing stands before it, so it has no chance
            lists["tokens"].append(_name(token))
            lists["token_logprobs"].append(None if is_first else _finite(token.logprob))
            lists["top_logprobs"].append(None if is_first else _likeliest(token))
            lists["text_offset"].append(self._place)
            self._place += len(self._decoder.decode(token.data))
        return lists


def _likeliest(token: TokenLogprob) -> dict[str, float]:
    """The likeliest tokens, and always the one that came."""
    named = {_name(other): _finite(other.logprob) for other in token.top}
    return named | {_name(token): _finite(token.logprob)}


def _name(token: TokenLogprob) -> str:
    """The token's text, or its bytes where it is no text, so that no two tokens look the same."""
    try:
        return token.data.decode() if token.data else token.text
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.data)

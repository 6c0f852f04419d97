"""Log probabilities of tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from localai.domain.events import TokenLogprob

IMPOSSIBLE = -9999.0  # for a token that cannot come; JSON has no infinity


def spelled_logprobs(tokens: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """Spell tokens as `logprobs` of a line or of a whole answer."""
    return [
        _token(token) | {"top_logprobs": [_token(other) for other in token.top]} for token in tokens
    ]


def _token(token: TokenLogprob) -> dict[str, Any]:
    return {
        "token": token.text,
        "logprob": token.logprob if math.isfinite(token.logprob) else IMPOSSIBLE,
        "bytes": list(token.data),
    }

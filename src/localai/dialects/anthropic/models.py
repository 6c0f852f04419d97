"""The list of models, for clients that say in a header that they are Anthropic's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What the list says of a model."""

    model_id: str
    created_unix_s: int


def encode_models(cards: Sequence[ModelCard]) -> bytes:
    """Spell the answer of GET /v1/models, in the order given; all of it is one page."""
    page = {
        "data": [_model(card) for card in cards],
        "has_more": False,
        "first_id": cards[0].model_id if cards else None,
        "last_id": cards[-1].model_id if cards else None,
    }
    return msgspec.json.encode(page)


def encode_model(card: ModelCard) -> bytes:
    """Spell the answer of GET /v1/models/{model}."""
    return msgspec.json.encode(_model(card))


def _model(card: ModelCard) -> dict[str, Any]:
    return {
        "type": "model",
        "id": card.model_id,
        "display_name": card.model_id,
        "created_at": datetime.fromtimestamp(card.created_unix_s, UTC),
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": None,
        "max_input_tokens": None,
        "max_tokens": None,
    }

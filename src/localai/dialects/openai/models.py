"""The list of models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What the list says of a model."""

    model_id: str
    created_unix_s: int
    owner: str = "local-ai"


def encode_models(cards: Iterable[ModelCard]) -> bytes:
    """Spell the answer of GET /v1/models, in the order given."""
    return msgspec.json.encode({"object": "list", "data": [_model(card) for card in cards]})


def encode_model(card: ModelCard) -> bytes:
    """Spell the answer of GET /v1/models/{model}."""
    return msgspec.json.encode(_model(card))


def _model(card: ModelCard) -> dict[str, Any]:
    return {
        "id": card.model_id,
        "object": "model",
        "created": card.created_unix_s,
        "owned_by": card.owner,
    }

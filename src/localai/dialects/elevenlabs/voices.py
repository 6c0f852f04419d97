"""The list of voices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from localai.domain.audio import VoiceCard


def encode_voices(cards: Iterable[VoiceCard]) -> bytes:
    """Spell the answer of GET /v1/voices, and of /v2/voices, which has pages: all is on one."""
    voices = [_voice(card) for card in cards]
    page = {"has_more": False, "total_count": len(voices), "next_page_token": None}
    return msgspec.json.encode({"voices": voices} | page)


def encode_voice(card: VoiceCard) -> bytes:
    """Spell the answer of GET /v1/voices/{voice_id}."""
    return msgspec.json.encode(_voice(card))


def _voice(card: VoiceCard) -> dict[str, Any]:
    labels = {"language": card.language} if card.language else {}
    return {
        "voice_id": card.voice_id,
        "name": card.name,
        "category": "premade",
        "labels": labels,
        "description": f"A voice of the model {card.model}.",
        "preview_url": None,
        "available_for_tiers": [],
        "settings": None,
        "high_quality_base_model_ids": [card.model],
    }

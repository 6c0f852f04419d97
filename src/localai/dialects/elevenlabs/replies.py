"""The answers, as the OpenAPI description shows them; tests hold what the encoders send against it."""

from __future__ import annotations

from typing import Any

import msgspec


class Voice(msgspec.Struct, kw_only=True):
    """A voice of a model."""

    voice_id: str
    name: str
    category: str
    labels: dict[str, str]
    description: str
    preview_url: None
    available_for_tiers: list[Any]
    settings: None
    high_quality_base_model_ids: list[str]


class VoiceList(msgspec.Struct, kw_only=True):
    """All voices of a model, which are one page."""

    voices: list[Voice]
    has_more: bool
    total_count: int
    next_page_token: None


class ErrorDetails(msgspec.Struct, kw_only=True):
    """What is wrong, and what to do about it."""

    status: str
    message: str


class Error(msgspec.Struct, kw_only=True):
    """An error, as a body."""

    detail: ErrorDetails

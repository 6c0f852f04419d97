"""The answers, as the OpenAPI description shows them; tests hold what the encoders send against it."""

from __future__ import annotations

import msgspec


class TokenIds(msgspec.Struct, kw_only=True):
    """A text in tokens."""

    tokens: list[int]


class PlainText(msgspec.Struct, kw_only=True):
    """The text of tokens."""

    content: str


class SpeechSpan(msgspec.Struct, kw_only=True):
    """When somebody speaks, in seconds."""

    start: float
    end: float


class SpeechSpans(msgspec.Struct, kw_only=True):
    """All the time that somebody speaks."""

    segments: list[SpeechSpan]


class Version(msgspec.Struct, kw_only=True):
    """The version of this server."""

    version: str


class NotReady(msgspec.Struct, kw_only=True):
    """Why the server cannot take requests yet."""

    status: str
    reason: str

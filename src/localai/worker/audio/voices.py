"""Which of its voices a model uses for the name that a caller gives."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from localai.domain.audio import GENERIC_VOICES
from localai.domain.errors import InvalidRequest

_MOST_SHOWN: Final = 12


def generic_number(name: str) -> int | None:
    """The place of a name in OpenAI's list of voices; None for any other name."""
    lowered = name.strip().lower()
    return GENERIC_VOICES.index(lowered) if lowered in GENERIC_VOICES else None


def no_such_voice(name: str, known: Sequence[str]) -> InvalidRequest:
    """The error for a voice that a model does not have."""
    near = get_close_matches(name.lower(), known, n=1)
    more = f", and {len(known) - _MOST_SHOWN} more" if len(known) > _MOST_SHOWN else ""
    listed = f"It has {', '.join(known[:_MOST_SHOWN])}{more}."
    hint = f"Did you mean {near[0]!r}?" if near else listed
    return InvalidRequest(f"This model has no voice {name[:60]!r}.", param="voice", hint=hint)


def no_such_language(name: str, known: str) -> InvalidRequest:
    """The error for a language that a voice does not speak."""
    message = f"This voice does not speak {name[:40]!r}; it speaks {known}."
    hint = "Leave the language out, or use a model that speaks it."
    return InvalidRequest(message, param="language", hint=hint)

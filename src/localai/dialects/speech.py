"""What the APIs that speak have in common."""

from __future__ import annotations

from typing import Final

from localai.domain.errors import InvalidRequest

MOST_CHARACTERS: Final = 50_000
"""An hour of speech. OpenAI takes 4096, ElevenLabs up to 40 000."""


def text_to_speak(text: str, param: str) -> str:
    """`text`. Raises InvalidRequest when it is empty or too long to be spoken at once."""
    if not text.strip():
        raise InvalidRequest(f"{param} is empty; it must be a text to speak.", param=param)
    if len(text) > MOST_CHARACTERS:
        message = f"{param} has {len(text)} characters; at most {MOST_CHARACTERS} are spoken."
        raise InvalidRequest(message, param=param, hint="Send it in several parts.")
    return text

"""The ElevenLabs API: text to speech, and the list of voices.

`speech` holds the endpoint, `voices` the list, `errors` the table of errors. Source:
https://elevenlabs.io/docs/api-reference, "Create speech", "Stream speech", "List voices".
"""

from localai.dialects.elevenlabs.errors import error_reply
from localai.dialects.elevenlabs.speech import (
    DEFAULT_FORMAT,
    OUTPUT_FORMATS,
    SpeechEndpoint,
    TextToSpeechBody,
)
from localai.dialects.elevenlabs.voices import encode_voice, encode_voices

__all__ = [
    "DEFAULT_FORMAT",
    "OUTPUT_FORMATS",
    "SpeechEndpoint",
    "TextToSpeechBody",
    "encode_voice",
    "encode_voices",
    "error_reply",
]

"""LocalAI's own endpoints: POST /v1/tokenize and /v1/detokenize."""

from localai.dialects.native.tokens import (
    DetokenizeBody,
    DetokenizeEndpoint,
    TokenizeBody,
    TokenizeEndpoint,
)

__all__ = ["DetokenizeBody", "DetokenizeEndpoint", "TokenizeBody", "TokenizeEndpoint"]

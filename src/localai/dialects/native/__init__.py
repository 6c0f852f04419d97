"""LocalAI's own endpoints: POST /v1/tokenize and /v1/detokenize, and jobs below /backends."""

from localai.dialects.native.jobs import (
    ApplyBody,
    decode_apply,
    encode_job,
    encode_jobs,
    encode_started,
)
from localai.dialects.native.tokens import (
    DetokenizeBody,
    DetokenizeEndpoint,
    TokenizeBody,
    TokenizeEndpoint,
)

__all__ = [
    "ApplyBody",
    "DetokenizeBody",
    "DetokenizeEndpoint",
    "TokenizeBody",
    "TokenizeEndpoint",
    "decode_apply",
    "encode_job",
    "encode_jobs",
    "encode_started",
]

"""LocalAI's own endpoints: POST /v1/tokenize, /v1/detokenize and /v1/vad, and jobs below /backends."""

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
from localai.dialects.native.vad import VadBody, VadEndpoint, VadForm

__all__ = [
    "ApplyBody",
    "DetokenizeBody",
    "DetokenizeEndpoint",
    "TokenizeBody",
    "TokenizeEndpoint",
    "VadBody",
    "VadEndpoint",
    "VadForm",
    "decode_apply",
    "encode_job",
    "encode_jobs",
    "encode_started",
]

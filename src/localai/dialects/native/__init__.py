"""LocalAI's own endpoints: POST /v1/tokenize, /v1/detokenize and /v1/vad, and jobs below /backends and /models."""

from localai.dialects.native.jobs import (
    ApplyBody,
    decode_apply,
    encode_job,
    encode_jobs,
    encode_started,
)
from localai.dialects.native.models import (
    ImportUriBody,
    ModelApplyBody,
    decode_import_uri,
    decode_model_apply,
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
    "ImportUriBody",
    "ModelApplyBody",
    "TokenizeBody",
    "TokenizeEndpoint",
    "VadBody",
    "VadEndpoint",
    "VadForm",
    "decode_apply",
    "decode_import_uri",
    "decode_model_apply",
    "encode_job",
    "encode_jobs",
    "encode_started",
]

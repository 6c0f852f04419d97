"""Pulling, copying and deleting models."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from localai.dialects.json_body import read_body
from localai.dialects.ollama.spelling import to_json
from localai.domain.errors import InvalidRequest
from localai.domain.jobs import Job, JobState

_DEFAULT_TAG = ":latest"


class PullBody(msgspec.Struct, kw_only=True):
    """POST /api/pull and DELETE /api/delete; `name` is the older name of `model`."""

    model: Annotated[str | None, Meta(description="Name of the model")] = None
    name: Annotated[str | None, Meta(description="Older name of model")] = None
    insecure: Annotated[bool | None, Meta(description="Has no effect")] = None
    stream: Annotated[
        bool | None, Meta(description="Tell how far it is, as lines; on unless it is false")
    ] = None

    @property
    def asked(self) -> str:
        """The name, without the tag that means nothing."""
        return (self.model or self.name or "").strip().removesuffix(_DEFAULT_TAG)


class CopyBody(msgspec.Struct, kw_only=True):
    """POST /api/copy."""

    source: Annotated[str, Meta(description="Name of the model to copy")]
    destination: Annotated[str, Meta(description="Name of the copy")]


_pull_decoder = msgspec.json.Decoder(PullBody)
_copy_decoder = msgspec.json.Decoder(CopyBody)


def decode_pull(body: bytes) -> PullBody:
    """Read the body. Raises InvalidRequest."""
    read = read_body(_pull_decoder, body)
    if not read.asked:
        raise InvalidRequest("model is missing.", param="model")
    return read


def decode_copy(body: bytes) -> tuple[str, str]:
    """The names of the source and of the copy. Raises InvalidRequest."""
    read = read_body(_copy_decoder, body)
    names = read.source.strip(), read.destination.strip().removesuffix(_DEFAULT_TAG)
    for field, name in zip(("source", "destination"), names, strict=True):
        if not name:
            raise InvalidRequest(f"{field} is missing.", param=field)
    return names


def encode_progress(job: Job) -> bytes:
    """How far a pull is, as one line says it."""
    if job.state is JobState.DONE:
        return to_json({"status": "success"})
    if job.error is not None:
        return to_json({"error": job.error.sentence})
    if job.is_over or job.state is JobState.PAUSED:
        return to_json({"error": "The pull was stopped."})
    if not job.total_bytes:
        return to_json({"status": "pulling manifest"})
    said: dict[str, Any] = {
        "status": job.step or "pulling",
        "digest": f"sha256:{job.job_id.replace('-', '')}",
        "total": job.total_bytes,
        "completed": min(job.done_bytes, job.total_bytes),
    }
    return to_json(said)

"""Installing engines and models over HTTP: LocalAI's bodies and status objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from localai.dialects.json_body import read_body
from localai.domain.errors import InvalidRequest
from localai.domain.jobs import Job, JobState

_GIB, _MIB, _KIB = 1 << 30, 1 << 20, 1 << 10
_FINISHED = "completed"


class ApplyBody(msgspec.Struct, kw_only=True):
    """The body of a call that installs an engine."""

    id: Annotated[str, Meta(description="Name of the backend, or `gallery@name`")] = ""
    name: Annotated[str, Meta(description="The same as id")] = ""
    variant: Annotated[
        str | None, Meta(description="Which build, for example cpu; default: what fits")
    ] = None
    force: Annotated[bool, Meta(description="Install anew what is installed already")] = False

    @property
    def backend(self) -> str:
        """The name alone. Engines come from one place, so a gallery's name says nothing here."""
        return (self.id or self.name).rpartition("@")[2].strip()


_apply_decoder = msgspec.json.Decoder(ApplyBody)


def decode_apply(body: bytes) -> ApplyBody:
    """Read the body. Raises InvalidRequest."""
    decoded = read_body(_apply_decoder, body)
    if not decoded.backend:
        raise InvalidRequest("id is missing: the name of the backend to install.", param="id")
    return decoded


def encode_started(job: Job, status_url: str) -> bytes:
    """What a call that started a job answers."""
    return msgspec.json.encode({"uuid": job.job_id, "status": status_url})


def encode_jobs(jobs: Mapping[str, Job]) -> bytes:
    """Every job, by id."""
    return msgspec.json.encode({job_id: _status(job) for job_id, job in jobs.items()})


def encode_job(job: Job) -> bytes:
    """LocalAI's status object. `processed` says that it is over, `error` that it failed."""
    return msgspec.json.encode(_status(job))


def _status(job: Job) -> dict[str, Any]:
    status: dict[str, Any] = {
        "deletion": job.is_removal,
        "file_name": "",
        "processed": job.is_over,
        "message": _FINISHED if job.state is JobState.DONE else job.step or str(job.state),
        "progress": _percent(job),
        "phase": str(job.state),
        "current_bytes": job.done_bytes,
        "total_bytes": job.total_bytes,
        "file_size": _size(job.total_bytes),
        "downloaded_size": _size(job.done_bytes),
        "gallery_element_name": job.subject,
        "cancelled": job.state is JobState.CANCELLED,
        "cancellable": not job.is_over,
        "paused": job.state is JobState.PAUSED,
        "eta_seconds": None if job.left_s is None else round(job.left_s),
    }
    if job.error is not None:
        status["error"] = job.error.sentence
    elif job.state is JobState.CANCELLED:
        status["error"] = "It was cancelled."
    elif job.state is JobState.FAILED:
        status["error"] = "It failed for a reason that is in the server's log."
    return status


def _percent(job: Job) -> float:
    if job.state is JobState.DONE:
        return 100.0
    return round(100.0 * job.done_bytes / job.total_bytes, 1) if job.total_bytes else 0.0


def _size(size_bytes: int) -> str:
    for unit, name in ((_GIB, "GiB"), (_MIB, "MiB"), (_KIB, "KiB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.1f} {name}"
    return f"{size_bytes} B" if size_bytes else ""

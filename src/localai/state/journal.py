"""The jobs under way, as files: what a server had begun is known to its successor."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

from localai.domain.jobs import Job

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_S: Final = 7 * 24 * 3600.0  # nobody asks for older ones
_MOST: Final = 200


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    subject: str
    is_removal: bool = False
    created_unix_s: int = 0


class JobJournal:
    """One small file in `folder` for each job that has begun and is not over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, job: Job) -> None:
        """Remember a job. A disk that takes no file costs only the memory of it."""
        entry = _Entry(
            kind=job.kind,
            subject=job.subject,
            is_removal=job.is_removal,
            created_unix_s=job.created_unix_s,
        )
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._path(job.job_id).write_bytes(msgspec.json.encode(entry))

    def end(self, job_id: str) -> None:
        """Forget a job that is over."""
        with contextlib.suppress(OSError):
            self._path(job_id).unlink(missing_ok=True)

    def left(self, now_unix_s: float) -> list[Job]:
        """The jobs that earlier servers did not end, the oldest first; those of last week are dropped."""
        found = []
        for path in self._folder.glob("*.json"):
            try:
                entry = msgspec.json.decode(path.read_bytes(), type=_Entry)
            except (OSError, msgspec.DecodeError):
                self.end(path.stem)  # its server died while it was written
                continue
            if now_unix_s - entry.created_unix_s > _LONGEST_S:
                self.end(path.stem)
                continue
            found.append(Job(job_id=path.stem, **msgspec.structs.asdict(entry)))
        found.sort(key=lambda job: job.created_unix_s)
        for job in found[:-_MOST]:
            self.end(job.job_id)
        return found[-_MOST:]

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"

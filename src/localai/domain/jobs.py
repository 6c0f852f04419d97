"""Work that goes on after its request was answered, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from localai.domain.errors import LocalAIError


@dataclass(frozen=True, slots=True)
class Step:
    """How far a job is. `total_bytes` is 0 while nobody knows; `text` says what is done now.

    `left_s` is how long it will take at the present speed, None while nobody knows.
    """

    text: str
    done_bytes: int = 0
    total_bytes: int = 0
    left_s: float | None = None


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as it is at one moment.

    `subject` is what it is about, the name of a backend for one; `step` what is done now.
    `done_bytes` of `total_bytes`, 0 while nobody knows, tell how far it is. `request` is what it
    was asked for, as JSON has it; a job with one can be begun again.
    """

    job_id: str
    kind: str
    subject: str
    is_removal: bool = False
    state: JobState = JobState.RUNNING
    step: str = ""
    done_bytes: int = 0
    total_bytes: int = 0
    left_s: float | None = None
    error: LocalAIError | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    created_unix_s: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state not in (JobState.RUNNING, JobState.PAUSED)

"""Jobs: work that outlives its request, watched by whoever asks for its id."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from localai.domain.errors import InstallFailed, LocalAIError
from localai.domain.jobs import Job, JobState, Step
from localai.observe.log import logger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from localai.state import JobJournal

_log = logger(__name__)
_KEPT = 200  # finished jobs; the oldest are forgotten


class Jobs:
    """The jobs of this server, and those that earlier ones could not end, as `journal` has them."""

    def __init__(self, now: Callable[[], float], journal: JobJournal) -> None:
        self._now = now
        self._journal = journal
        self._closing = False
        self._jobs: dict[str, Job] = {job.job_id: _cut_off(job) for job in journal.left(now())}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def all(self) -> Mapping[str, Job]:
        """Every job that is remembered, by id, the oldest first."""
        return self._jobs

    def start(
        self,
        kind: str,
        subject: str,
        steps: AsyncGenerator[Step, None],
        *,
        is_removal: bool = False,
    ) -> Job:
        """Run `steps` to its end. It is closed when the job is cancelled."""
        job = Job(
            job_id=str(uuid.uuid4()),
            kind=kind,
            subject=subject,
            is_removal=is_removal,
            created_unix_s=int(self._now()),
        )
        self._jobs[job.job_id] = job
        self._journal.begin(job)
        self._forget()
        task = asyncio.create_task(self._run(job.job_id, steps))
        self._tasks[job.job_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.job_id, None))
        return job

    def running(self, kind: str, subject: str) -> Job | None:
        """The job that works on `subject` already."""
        return next(
            (
                job
                for job in self._jobs.values()
                if job.kind == kind and job.subject == subject and not job.is_over
            ),
            None,
        )

    async def cancel(self, job_id: str) -> Job | None:
        """Stop a job; it is over when this returns. None for an id that nobody knows."""
        task = self._tasks.get(job_id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        return self._jobs.get(job_id)

    async def close(self) -> None:
        """Stop every job; the next server tells that this one ended too early for them."""
        self._closing = True
        for job_id in list(self._tasks):
            await self.cancel(job_id)

    async def _run(self, job_id: str, steps: AsyncGenerator[Step, None]) -> None:
        try:
            async with aclosing(steps):
                async for step in steps:
                    self._change(
                        job_id,
                        step=step.text,
                        done_bytes=step.done_bytes,
                        total_bytes=step.total_bytes,
                    )
            self._change(job_id, state=JobState.DONE)
        except LocalAIError as error:
            _log.error("%s %s: %s", self._jobs[job_id].kind, self._jobs[job_id].subject, error.sentence)  # fmt: skip
            self._change(job_id, state=JobState.FAILED, error=error)
        except asyncio.CancelledError:
            self._change(job_id, state=JobState.CANCELLED)
        except BaseException:
            self._change(job_id, state=JobState.FAILED)
            raise
        finally:
            if not (self._closing and self._jobs[job_id].state is JobState.CANCELLED):
                self._journal.end(job_id)

    def _change(self, job_id: str, **fields: object) -> None:
        self._jobs[job_id] = replace(self._jobs[job_id], **fields)  # type: ignore[arg-type]  # fields of Job

    def _forget(self) -> None:
        over = [job_id for job_id, job in self._jobs.items() if job.is_over]
        for job_id in over[: max(0, len(over) - _KEPT)]:
            del self._jobs[job_id]
            self._journal.end(job_id)


def _cut_off(job: Job) -> Job:
    error = InstallFailed(
        "The server ended before this was done.",
        hint="Start it again: it goes on from what was done already.",
    )
    return replace(job, state=JobState.FAILED, error=error)

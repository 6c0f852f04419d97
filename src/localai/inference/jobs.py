"""Work that goes on after its request was answered: started, watched, paused, cancelled.

Jobs are kept in the store. One that says what it was asked for goes on when the server was
restarted: its kind's runner begins anew, and finds what came before. Others are told as failed.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from localai.domain.errors import InstallFailed, InvalidRequest, LocalAIError
from localai.domain.jobs import Job, JobState, Step
from localai.observe.log import logger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

_log = logger(__name__)
_KEPT = 200  # finished jobs; the oldest are forgotten


class Runner(Protocol):
    """Does the jobs of one kind, from what they were asked for."""

    def run(self, request: Mapping[str, Any]) -> AsyncGenerator[Step, None]:
        """The steps of a job. Closing the generator stops it; what is done is kept."""
        ...

    async def discard(self, request: Mapping[str, Any]) -> None:
        """Remove what a job that was cancelled has left behind."""
        ...


class Store(Protocol):
    """Keeps jobs over a restart."""

    async def put(self, job: Job) -> None:
        """Keep a job as it is now."""
        ...

    async def take_over(self) -> tuple[Job, ...]:
        """Every job that is kept, the oldest first, but those that another server works on."""
        ...


@dataclass(frozen=True, slots=True)
class _Work:
    """A job at work, and how it is to be left when it is stopped."""

    task: asyncio.Task[None]
    stop_as: list[JobState]


class Jobs:
    """The jobs of this server."""

    def __init__(self, now: Callable[[], float], store: Store | None = None) -> None:
        self._now = now
        self._store = store
        self._jobs: dict[str, Job] = {}
        self._work: dict[str, _Work] = {}
        self._runners: dict[str, Runner] = {}

    def run_with(self, kind: str, runner: Runner) -> None:
        """Let `runner` do the jobs of one kind."""
        self._runners[kind] = runner

    @property
    def all(self) -> Mapping[str, Job]:
        """Every job that is remembered, by id, the oldest first."""
        return self._jobs

    async def recover(self) -> int:
        """Go on with what processes left that are dead; gives how many jobs that are."""
        if self._store is None:
            return 0
        begun = 0
        for job in await self._store.take_over():
            self._jobs[job.job_id] = job
            if job.state is not JobState.RUNNING:
                continue
            if job.request and job.kind in self._runners:
                self._begin(job)
                begun += 1
            else:
                self._change(job.job_id, state=JobState.FAILED, error=_cut_off())
                await self._keep(self._jobs[job.job_id])
        return begun

    def start(
        self,
        kind: str,
        subject: str,
        steps: AsyncGenerator[Step, None],
        *,
        is_removal: bool = False,
    ) -> Job:
        """Run `steps` to its end. It is closed when the job is cancelled."""
        job = self._new(kind, subject, is_removal=is_removal)
        self._run_in_task(job, steps)
        return job

    async def submit(
        self, kind: str, subject: str, request: Mapping[str, Any], *, is_removal: bool = False
    ) -> Job:
        """Have the kind's runner do what is asked for; the job outlives this process."""
        job = self._new(kind, subject, is_removal=is_removal, request=request)
        await self._keep(job)  # before the caller is told that it will be done
        self._begin(job)
        return self._jobs[job.job_id]

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
        """Stop a job and remove what it has left; None for an id that nobody knows."""
        job = self._jobs.get(job_id)
        if job is None or job.is_over:
            return job
        await self._stop(job_id, JobState.CANCELLED)
        if self._jobs[job_id].state is JobState.PAUSED:
            self._change(job_id, state=JobState.CANCELLED)
            await self._keep(self._jobs[job_id])
        runner = self._runners.get(job.kind)
        if runner is not None and job.request:
            await runner.discard(job.request)
        return self._jobs[job_id]

    async def pause(self, job_id: str) -> Job | None:
        """Stop a job for now; None for an id that nobody knows.

        Raises InvalidRequest for a job that cannot be begun again.
        """
        job = self._jobs.get(job_id)
        if job is None or job.is_over or job.state is JobState.PAUSED:
            return job
        if not job.request:
            raise InvalidRequest(
                f"The job {job_id!r} cannot be paused.", hint="It can be cancelled."
            )
        await self._stop(job_id, JobState.PAUSED)
        return self._jobs[job_id]

    async def resume(self, job_id: str) -> Job | None:
        """Go on with a paused job, or with one that failed; None for an id that nobody knows."""
        job = self._jobs.get(job_id)
        if job is None or not job.request or job.kind not in self._runners:
            return job
        if job.state in (JobState.PAUSED, JobState.FAILED):
            self._change(job_id, state=JobState.RUNNING, error=None)
            await self._keep(self._jobs[job_id])
            self._begin(self._jobs[job_id])
        return self._jobs[job_id]

    async def wait(self, job_id: str, timeout_s: float) -> Job | None:
        """The job after it ended, or after `timeout_s`."""
        work = self._work.get(job_id)
        if work is not None:
            await asyncio.wait({work.task}, timeout=timeout_s)
        return self._jobs.get(job_id)

    async def close(self) -> None:
        """Stop every job; those that are kept go on in the next process."""
        for job_id in list(self._work):
            await self._stop(job_id, JobState.RUNNING)

    def _new(
        self,
        kind: str,
        subject: str,
        *,
        is_removal: bool,
        request: Mapping[str, Any] | None = None,
    ) -> Job:
        job = Job(
            job_id=str(uuid.uuid4()),
            kind=kind,
            subject=subject,
            is_removal=is_removal,
            created_unix_s=int(self._now()),
            request=request or {},
        )
        self._jobs[job.job_id] = job
        self._forget()
        return job

    def _begin(self, job: Job) -> None:
        self._run_in_task(job, self._runners[job.kind].run(job.request))

    def _run_in_task(self, job: Job, steps: AsyncGenerator[Step, None]) -> None:
        stop_as: list[JobState] = []
        task = asyncio.create_task(self._run(job.job_id, steps, stop_as))
        self._work[job.job_id] = _Work(task, stop_as)
        task.add_done_callback(lambda _: self._work.pop(job.job_id, None))

    async def _stop(self, job_id: str, state: JobState) -> None:
        work = self._work.get(job_id)
        if work is not None:
            work.stop_as.append(state)
            work.task.cancel()
            await asyncio.wait({work.task})

    async def _run(
        self, job_id: str, steps: AsyncGenerator[Step, None], stop_as: list[JobState]
    ) -> None:
        try:
            async with aclosing(steps):
                await self._keep(self._jobs[job_id])
                async for step in steps:
                    self._change(
                        job_id,
                        step=step.text,
                        done_bytes=step.done_bytes,
                        total_bytes=step.total_bytes,
                        left_s=step.left_s,
                    )
            self._change(job_id, state=JobState.DONE)
        except LocalAIError as error:
            _log.error("%s %s: %s", self._jobs[job_id].kind, self._jobs[job_id].subject, error.sentence)  # fmt: skip
            self._change(job_id, state=JobState.FAILED, error=error)
        except asyncio.CancelledError:
            self._change(job_id, state=stop_as[-1] if stop_as else JobState.CANCELLED)
        except BaseException:
            self._change(job_id, state=JobState.FAILED)
            raise
        finally:
            await self._keep(self._jobs[job_id])

    def _change(self, job_id: str, **fields: object) -> None:
        self._jobs[job_id] = replace(self._jobs[job_id], **fields)  # type: ignore[arg-type]  # fields of Job

    async def _keep(self, job: Job) -> None:
        if self._store is not None:
            await self._store.put(job)

    def _forget(self) -> None:
        over = [job_id for job_id, job in self._jobs.items() if job.is_over]
        for job_id in over[: max(0, len(over) - _KEPT)]:
            del self._jobs[job_id]


def _cut_off() -> InstallFailed:
    return InstallFailed(
        "The server ended before this was done.",
        hint="Start it again: it goes on from what was done already.",
    )

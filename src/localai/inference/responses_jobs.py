"""Responses that are generated in the background: they outlive the client that asked for them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from localai.domain.errors import EngineFailed, LocalAIError, QueueFull, ShuttingDown
from localai.domain.events import Event, Failed, Finished, Started
from localai.observe.log import logger
from localai.state import StoredResponse

if TYPE_CHECKING:
    from localai.catalog.spec import ModelSpec
    from localai.inference.responses_calls import (
        Generate,
        ResponsesCall,
        Spelling,
        StreamEncoder,
    )
    from localai.state import ResponseStore

_log = logger(__name__)
_RETRY_AFTER_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many jobs may run, and how much of the events of one is kept: the newest."""

    jobs: int = 64
    events: int = 65_536
    event_bytes: int = 64 * 1024 * 1024


@dataclass(slots=True)
class _Kept:
    """The sizes of the events that are kept, oldest first."""

    sizes: deque[int] = field(default_factory=deque)
    size_bytes: int = 0
    count: int = 0

    def add(self, events: Sequence[tuple[bytes, str]], limits: Limits) -> int | None:
        """Count new events; gives the number before which old ones have to go, if they have to."""
        self.sizes.extend(len(data) for data, _ in events)
        self.size_bytes += sum(len(data) for data, _ in events)
        self.count += len(events)
        if len(self.sizes) <= limits.events and self.size_bytes <= limits.event_bytes:
            return None
        most, most_bytes = limits.events * 7 // 8, limits.event_bytes * 7 // 8  # not one by one
        while self.sizes and (len(self.sizes) > most or self.size_bytes > most_bytes):
            self.size_bytes -= self.sizes.popleft()
        return self.count - len(self.sizes)


@dataclass(slots=True)
class _Job:
    """One running response. `error` None means that it was cancelled, if it is stopped."""

    row: StoredResponse
    model: str
    encoder: StreamEncoder
    more: asyncio.Event = field(default_factory=asyncio.Event)
    kept: _Kept = field(default_factory=_Kept)
    error: LocalAIError | None = None
    task: asyncio.Task[None] | None = None

    def tell(self) -> None:
        """Wake everyone who follows."""
        self.more.set()
        self.more = asyncio.Event()


class Jobs:
    """All background responses of this server."""

    def __init__(
        self,
        store: ResponseStore,
        generate: Generate,
        spelling: Spelling,
        limits: Limits,
        observe: Callable[[str, Sequence[Event]], None] | None,
    ) -> None:
        self._store = store
        self._generate = generate
        self._spelling = spelling
        self._limits = limits
        self._observe = observe
        self._jobs: dict[str, _Job] = {}
        self._closed = False

    async def recover(self) -> int:
        """Mark as failed what a dead server left running."""

        def ending(row: StoredResponse, number: int) -> tuple[bytes, Sequence[tuple[bytes, str]]]:
            error = EngineFailed("The server stopped while it worked on this response.")
            return self._spelling.cut_off(row.response, number, error)

        count = await self._store.recover(ending)
        if count:
            _log.warning("%d background responses were cut off when the server stopped", count)
        return count

    async def start(self, call: ResponsesCall, spec: ModelSpec, *, model: str, owner: str) -> bytes:
        """Keep the call as queued and begin. Raises QueueFull, ShuttingDown."""
        if self._closed:
            raise ShuttingDown
        if len(self._jobs) >= self._limits.jobs:
            raise QueueFull(model, limit=self._limits.jobs, retry_after_s=_RETRY_AFTER_S)
        body = call.queued(model)
        row = StoredResponse(
            response_id=call.response_id, created_unix_s=call.created_unix_s, status="queued",
            owner=owner, response=body, streams=call.streams,
            previous_id=call.previous_response_id, conversation_id=call.conversation_id,
        )  # fmt: skip
        job = _Job(row, spec.name, call.stream_encoder(model))
        self._jobs[row.response_id] = job
        # A caller who hangs up now must not leave a row behind that nobody works on.
        await asyncio.shield(asyncio.ensure_future(self._begin(job, call, spec)))
        return body

    def more(self, response_id: str) -> asyncio.Event | None:
        """Set as soon as there is more of a response; None when no more will come."""
        job = self._jobs.get(response_id)
        return None if job is None else job.more

    async def cancel(self, response_id: str) -> None:
        """Stop a job, and wait until that is written down."""
        job = self._jobs.get(response_id)
        if job is not None and job.task is not None:
            job.task.cancel()
            await asyncio.wait({job.task})

    async def close(self) -> None:
        """End all jobs as failed."""
        self._closed = True
        jobs = [job for job in self._jobs.values() if job.task is not None]
        for job in jobs:
            job.error = ShuttingDown()
        await asyncio.gather(*(self.cancel(job.row.response_id) for job in jobs))

    async def _begin(self, job: _Job, call: ResponsesCall, spec: ModelSpec) -> None:
        try:
            await self._store.add(job.row, call.input_items)
        except LocalAIError:
            del self._jobs[job.row.response_id]
            raise
        job.task = asyncio.create_task(self._run(job, call, spec))

    async def _run(self, job: _Job, call: ResponsesCall, spec: ModelSpec) -> None:
        try:
            await self._work(job, call, spec)
        except asyncio.CancelledError:
            await self._stop(job)
        except LocalAIError as error:  # the store's own: the stream never raises
            _log.error("the response %s was lost: %s", job.row.response_id, error.sentence)
            job.error = error
            await self._stop(job)
        finally:
            del self._jobs[job.row.response_id]
            job.tell()

    async def _work(self, job: _Job, call: ResponsesCall, spec: ModelSpec) -> None:
        await self._publish(job, job.encoder.queued())
        request = replace(call.requests[0], model=spec.name)
        async with aclosing(self._generate(request, spec)) as batches:
            async for batch in batches:
                frames = [frame for event in batch for frame in job.encoder.feed(event)]
                if self._observe is not None:
                    self._observe(spec.name, batch)
                if isinstance(batch[-1], Finished | Failed):
                    await self._end(job, job.encoder.response, frames)
                    return
                await self._publish(job, frames)
                if any(isinstance(event, Started) for event in batch):
                    body = job.encoder.response
                    await self._store.update(job.row.response_id, "in_progress", body)

    async def _publish(self, job: _Job, frames: Sequence[tuple[bytes, str]]) -> None:
        """Keep frames, then tell those who follow."""
        if not (job.row.streams and frames):
            return
        first = job.kept.count
        too_old = job.kept.add(frames, self._limits)
        await self._store.append_events(job.row.response_id, first, frames)
        if too_old is not None:
            await self._store.drop_events(job.row.response_id, too_old)
        job.tell()

    async def _end(self, job: _Job, body: bytes, frames: Sequence[tuple[bytes, str]]) -> None:
        status, said = self._spelling.status_and_output(body)
        row = replace(job.row, status=status, response=body)
        await self._store.end(row, said, job.kept.count, frames if row.streams else ())

    async def _stop(self, job: _Job) -> None:
        """Write down that a job was stopped, unless it had ended already."""
        frames = job.encoder.stop(job.error)
        try:
            await self._end(job, job.encoder.response, frames)
        except LocalAIError as error:
            _log.error("the response %s stays unended: %s", job.row.response_id, error.sentence)

"""One model over time: its worker, who waits for it, and what went wrong lately."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from localai.domain.errors import (
    BackendNotInstalled,
    CoolingDown,
    LocalAIError,
    QueueFull,
    ShuttingDown,
)
from localai.observe.log import logger
from localai.supervisor import worker
from localai.supervisor.policy import Backoff
from localai.supervisor.room import Room, Ticket
from localai.supervisor.worker import Begin, Callers, Patience, Worker, WorkerGone
from localai.wire.messages import LoadRequest

if TYPE_CHECKING:
    from localai.catalog.spec import ModelSpec
    from localai.domain.batches import Take
    from localai.domain.tasks import Task
    from localai.engines.manifest import BackendEntry
    from localai.supervisor.engine_supply import EngineSupply
    from localai.supervisor.launcher import Launcher

_log = logger(__name__)
_TRIES = 3
_FIRST_GUESS_S = 5.0  # how long an answer takes, before any was measured
_SMOOTHING = 0.2
_RETRY_LIMIT_S = 60.0

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """How the pool behaves. `idle_s` and `max_workers` 0 mean never and no limit."""

    patience: Patience = Patience()
    cooldown_s: float = 10.0
    queue_limit: int = 256
    max_workers: int = 0
    idle_s: float = 0.0


@dataclass(slots=True, eq=False)
class _Start:
    """A worker on its way. `callers` are those who wait for it; the worker takes them over."""

    ticket: Ticket
    callers: Callers = field(default_factory=Callers)
    task: asyncio.Task[Worker] | None = None


class Lane:
    """The way of every request to one model. Only this class starts and ends its workers."""

    def __init__(
        self,
        name: str,
        *,
        launcher: Launcher,
        engines: EngineSupply,
        settings: PoolSettings,
        room: Room,
    ) -> None:
        self.name = name
        self.is_pinned = False
        self.keep_s: float | None = None  # asked for by a caller; None leaves it to the settings
        self.backend = ""  # of the last worker
        self.waiting = 0
        self.worker: Worker | None = None
        self._launcher = launcher
        self._engines = engines
        self._patience = settings.patience
        self._queue_limit = settings.queue_limit
        self._room = room
        self._backoff = Backoff(first_s=settings.cooldown_s)
        self._starting: _Start | None = None
        self._retired: set[asyncio.Task[Any]] = set()
        self._leaving: set[Worker] = set()
        self._typical_s = _FIRST_GUESS_S
        self._newest: ModelSpec | None = None  # what a fresh worker is made from
        self._closed = False

    @property
    def running(self) -> int:
        """How many calls run in the current worker, and in those that are to end."""
        return sum(one.running for one in (self.worker, *self._leaving) if one is not None)

    @property
    def is_busy(self) -> bool:
        """Whether ending the worker now would disturb anybody."""
        is_needed = self.worker is not None and self.worker.callers.count > 0
        return is_needed or self.waiting > 0 or self._starting is not None

    @property
    def is_loading(self) -> bool:
        """Whether a worker is on its way that has its place already."""
        return self._starting is not None and self._starting.ticket.is_loading

    @property
    def is_unwanted(self) -> bool:
        """Whether everybody who waited for a worker has gone, and it would still take a place."""
        start = self._starting
        if start is None or start.callers.count:
            return False
        return start.ticket.is_waiting or start.ticket.is_loading

    async def run(
        self, spec: ModelSpec, begin: Begin[Item], take: Take[Item], *, client: str
    ) -> None:
        """Wait for a worker and a place in it, then hand its events to `take`. Raises LocalAIError.

        `begin` starts the call; it is asked again when a worker ends before it got there.
        """
        self._admit(spec)
        for _ in range(_TRIES):
            try:
                current = await self._place(client)
                began_s = time.monotonic()
                try:
                    await current.run(begin, take)
                finally:
                    self._leave(current, began_s)
            except WorkerGone:
                continue
            return
        raise self._gone()

    async def call(self, spec: ModelSpec, task: Task, request: object, *, client: str) -> Any:
        """Wait as `run` does, then give the result of a one-shot task. Raises LocalAIError."""
        self._admit(spec)
        for _ in range(_TRIES):
            try:
                current = await self._place(client)
                began_s = time.monotonic()
                try:
                    return await current.call(task, request)
                finally:
                    self._leave(current, began_s)
            except WorkerGone:
                continue
        raise self._gone()

    def _gone(self) -> CoolingDown:
        return CoolingDown(
            self.name, retry_after_s=1.0, reason="its worker ended before the request reached it"
        )

    async def ensure_ready(self, spec: ModelSpec) -> Worker:
        """The worker of `spec`, started if need be; all callers share one start."""
        self._wish(spec)
        current = await self._promised()
        self._let_go(current.callers)
        return current

    async def _promised(self) -> Worker:
        """The worker of the newest spec: who has waited long does not bring an older one back.

        It stays for this caller, too, until `_let_go`.
        """
        while True:
            if self._closed:
                raise ShuttingDown
            spec = self._wanted()
            current = self.worker
            if current is not None and not current.ended.is_set() and not current.is_stopping:
                if current.revision == spec.worker_revision and not current.is_lost:
                    current.callers.count += 1
                    return current
                why = "the files of %s, or the context asked of it, have changed"
                why = "the worker of %s cannot be reached any more" if current.is_lost else why
                _log.info(f"{why}; its next requests go to a fresh worker", self.name)
                _ = self._retire(current, drain_s=math.inf)
            start = self._starting or self._begin(spec)
            start.callers.count += 1
            try:
                assert start.task is not None, "a start has begun"
                started = await asyncio.shield(start.task)
            except BaseException:
                self._let_go(start.callers)
                raise
            if started.revision == self._wanted().worker_revision:
                return started
            self._let_go(start.callers)

    def _let_go(self, callers: Callers) -> None:
        """One caller less, perhaps the last one of a start that others wait to see the end of."""
        callers.count -= 1
        if self.is_unwanted:
            self._room.look()

    def _wanted(self) -> ModelSpec:
        assert self._newest is not None, "every call brings one"
        return self._newest

    def expires_in_s(self, *, now_s: float) -> float | None:
        """Seconds until an idle worker is unloaded because a caller wanted so; None means never."""
        if self.worker is None or self.keep_s is None or self.keep_s == math.inf:
            return None
        return max(0.0, self.worker.last_used_s + self.keep_s - now_s)

    async def unload(self, *, drain_s: float) -> None:
        """End the worker; the next request starts a new one."""
        if self.worker is not None:
            await asyncio.shield(self._retire(self.worker, drain_s=drain_s))

    def make_way(self) -> None:
        """End the worker as soon as those who have come before are served."""
        if self.worker is not None:
            _ = self._retire(self.worker, drain_s=math.inf)

    def give_up(self) -> None:
        """Stop the start of a worker."""
        if self._starting is not None and self._starting.task is not None:
            self._starting.task.cancel()
            self._keep_until_done(self._starting.task)
            self._starting = None

    async def close(self, *, drain_s: float) -> None:
        """End the worker for good."""
        self._closed = True
        self.give_up()
        for leaving in self._leaving:
            leaving.hurry(drain_s=drain_s)
        await self.unload(drain_s=drain_s)
        await asyncio.gather(*self._retired, return_exceptions=True)

    def _admit(self, spec: ModelSpec) -> None:
        """Raise QueueFull when too many wait already."""
        limit = self._queue_limit
        full = self.waiting >= limit
        if spec.max_concurrent:
            limit = spec.max_concurrent
            full = self.waiting + self.running >= limit
        if full:
            slots = self.worker.facts.slots if self.worker else 1
            expected_s = self._typical_s * max(1, self.waiting) / slots
            retry_s = spec.retry_after_s or min(max(1.0, expected_s), _RETRY_LIMIT_S)
            raise QueueFull(self.name, limit=limit, retry_after_s=retry_s)
        self._wish(spec)

    def _wish(self, spec: ModelSpec) -> None:
        self._newest = spec
        self.is_pinned = spec.pinned

    async def _place(self, client: str) -> Worker:
        """A ready worker with a place in it, which `_leave` gives back."""
        self.waiting += 1
        try:
            while True:
                current = await self._promised()
                try:
                    await current.queue.acquire(client)
                except WorkerGone:
                    self._let_go(current.callers)
                    continue
                except BaseException:
                    self._let_go(current.callers)
                    raise
                return current
        finally:
            self.waiting -= 1

    def _leave(self, current: Worker, began_s: float) -> None:
        current.queue.release()
        self._let_go(current.callers)
        self._typical_s += _SMOOTHING * (time.monotonic() - began_s - self._typical_s)

    def _begin(self, spec: ModelSpec) -> _Start:
        start = self._starting = _Start(Ticket(self.name))
        start.task = asyncio.create_task(self._start(spec, start))
        return start

    async def _start(self, spec: ModelSpec, start: _Start) -> Worker:
        try:
            return await self._load(spec, start)
        finally:
            if self._starting is start:
                self._starting = None
            self._room.look()  # there is another worker that can leave, or another place

    async def _load(self, spec: ModelSpec, start: _Start) -> Worker:
        now_s = time.monotonic()
        remaining_s = self._backoff.remaining_s(now_s=now_s, revision=spec.worker_revision)
        if remaining_s > 0:
            raise CoolingDown(self.name, retry_after_s=remaining_s, reason=self._backoff.reason)
        entry = self._engines.manifest.find(spec.backend or "")
        await self._engine_there(entry)
        await self._room.enter(start.ticket)
        _log.info("loading %s with %s", self.name, entry.name)
        order = LoadRequest(
            model=spec.name,
            model_path=str(spec.model_path or ""),
            model_id=spec.model_id,
            settings=dict(spec.settings),
            options=list(spec.options),
        )
        try:
            started = await worker.start(
                launcher=self._launcher, entry=entry, order=order, revision=spec.worker_revision,
                patience=self._patience, on_end=self._ended,
            )  # fmt: skip
        except BaseException as error:
            self._room.give_back(start.ticket)
            if isinstance(error, LocalAIError):
                self._backoff.failed(
                    now_s=time.monotonic(), reason=error.message, revision=spec.worker_revision
                )
                _log.error("%s", error.sentence)
            raise
        start.ticket.is_loading = False  # the place is the worker's now, and so are its callers
        started.callers = start.callers
        self.backend = entry.name
        self.worker = started
        for warning in started.facts.warnings:
            _log.warning("%s: %s", spec.origin or self.name, warning)
        seconds = time.monotonic() - now_s
        facts = started.facts
        _log.info(
            "%s is ready after %.1f s (%s; %s%d at once; device: %s)",
            self.name, seconds, started.description,
            f"{facts.context_size} tokens of context, " if facts.context_size else "",
            facts.slots, facts.device,
        )  # fmt: skip
        return started

    async def _engine_there(self, entry: BackendEntry) -> None:
        """Have the engine installed. Raises BackendNotInstalled, InstallFailed; no try is counted."""
        try:
            self._launcher.check(entry)
        except BackendNotInstalled:
            if self._engines.obtain is None:
                raise
            _log.info("%s needs the engine of %s; installing it", self.name, entry.name)
            await self._engines.obtain(entry)

    def _ended(self, ended: Worker, error: LocalAIError) -> None:
        """The worker's process has ended, asked for or not."""
        if self.worker is ended:
            self.worker = None
        self._leaving.discard(ended)
        self._room.leave()
        if not ended.is_stopping:
            now_s = time.monotonic()
            uptime_s = now_s - ended.started_s
            self._backoff.crashed(
                now_s=now_s, uptime_s=uptime_s, reason=error.message, revision=ended.revision
            )

    def _retire(self, old: Worker, *, drain_s: float) -> asyncio.Task[None]:
        """Let a worker finish what it does, then end it; `close` waits for that at the latest."""
        self.worker = None
        self._leaving.add(old)
        task = asyncio.create_task(old.stop(drain_s=drain_s))
        self._keep_until_done(task)
        return task

    def _keep_until_done(self, task: asyncio.Task[Any]) -> None:
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

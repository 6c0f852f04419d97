"""All lanes of this server: the way from a model to its events."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any

from localai.domain.batches import Batches
from localai.domain.errors import ShuttingDown
from localai.observe.log import logger
from localai.supervisor.engine_supply import EngineSupply
from localai.supervisor.lane import Lane, PoolSettings
from localai.supervisor.policy import Resident, capacity, to_evict
from localai.supervisor.room import Room

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localai.catalog.spec import ModelSpec
    from localai.domain.audio import AudioEvent, AudioRequest, AudioSource
    from localai.domain.events import Event
    from localai.domain.generation import GenerationRequest
    from localai.domain.tasks import Task
    from localai.supervisor.launcher import Launcher
    from localai.supervisor.worker_client import WorkerClient
    from localai.wire.messages import ModelFacts

_log = logger(__name__)
_IDLE_CHECK_S = 1.0
_EVICT_DRAIN_S = 30.0


class Pool:
    """Runs requests in workers, one lane per model."""

    def __init__(
        self, launcher: Launcher, settings: PoolSettings, engines: EngineSupply | None = None
    ) -> None:
        self._launcher = launcher
        self._engines = engines or EngineSupply()
        self._settings = settings
        self._lanes: dict[str, Lane] = {}
        self._closed = False
        self._idle_task: asyncio.Task[None] | None = None
        self._room = Room(self._capacity, self._make_way)

    @property
    def lanes(self) -> Mapping[str, Lane]:
        """The lanes, for showing; never for deciding."""
        return self._lanes

    def run(self, spec: ModelSpec, request: GenerationRequest) -> Batches[Event]:
        """The events of one request. Raises LocalAIError."""
        lane = self._lane(spec.name)

        def begin(worker: WorkerClient) -> Batches[Event]:
            return worker.generate(request)

        return Batches(lambda take: lane.run(spec, begin, take, client=request.client))

    def audio(
        self,
        spec: ModelSpec,
        request: AudioRequest,
        source: AudioSource | None = None,
        *,
        client: str = "",
    ) -> Batches[AudioEvent]:
        """The events of a task with sound. Raises LocalAIError."""
        lane = self._lane(spec.name)

        def begin(worker: WorkerClient) -> Batches[AudioEvent]:
            return worker.audio(request, source)

        return Batches(lambda take: lane.run(spec, begin, take, client=client))

    async def call(self, spec: ModelSpec, task: Task, request: object, *, client: str = "") -> Any:
        """The result of a one-shot task (`domain.tasks.ONE_SHOT`). Raises LocalAIError."""
        return await self._lane(spec.name).call(spec, task, request, client=client)

    async def load(self, spec: ModelSpec) -> ModelFacts:
        """Have the model ready before the first request. Raises LocalAIError."""
        return (await self._lane(spec.name).ensure_ready(spec)).facts

    def is_in_use(self, name: str) -> bool:
        """Whether a worker of the model is loaded, or about to be."""
        lane = self._lanes.get(name)
        return lane is not None and (lane.worker is not None or lane.is_busy)

    def loaded(self) -> dict[str, str]:
        """What each worker was loaded from, as `worker_revision` has it, by the model's name."""
        return {
            name: lane.worker.revision
            for name, lane in self._lanes.items()
            if lane.worker is not None
        }

    def is_outdated(self, name: str) -> bool:
        """Whether the engine of a model's worker was replaced; may block, so not for the event loop."""
        lane = self._lanes.get(name)
        current = None if lane is None else lane.worker
        return current is not None and current.is_outdated()

    def pin(self, name: str, *, is_on: bool) -> None:
        """Keep a model loaded from now on, or not."""
        if name in self._lanes:
            self._lanes[name].is_pinned = is_on
            self._room.look()

    def retire(self, name: str) -> None:
        """Have the worker of a model end as soon as those who came before are served."""
        if name in self._lanes:
            _log.info("unloading %s: it or its engine was removed, or has changed", name)
            self._lanes[name].make_way()

    async def keep(self, name: str, keep_s: float) -> None:
        """Unload an idle model after `keep_s` seconds from now on; 0 does it at once, inf never."""
        lane = self._lanes.get(name)
        if lane is None:
            return
        lane.keep_s = keep_s
        if keep_s == 0 and not lane.is_busy:
            await lane.unload(drain_s=0.0)
        self._watch_idle()

    async def unload(self, name: str) -> None:
        """End the worker of one model, after the calls that run in it."""
        lane = self._lanes.get(name)
        if lane is not None:
            await lane.unload(drain_s=_EVICT_DRAIN_S)

    async def unload_backend(self, backend: str) -> None:
        """End every worker of one backend, after the calls that run in it."""
        lanes = [lane for lane in self._lanes.values() if lane.backend == backend]
        await asyncio.gather(*(lane.unload(drain_s=_EVICT_DRAIN_S) for lane in lanes))

    async def close(self, *, drain_s: float) -> None:
        """Take no new work, let the running calls end for `drain_s` seconds, stop all workers."""
        self._closed = True
        if self._idle_task is not None:
            self._idle_task.cancel()
        await asyncio.gather(*(lane.close(drain_s=drain_s) for lane in self._lanes.values()))
        await self._launcher.close()

    def _lane(self, name: str) -> Lane:
        if self._closed:
            raise ShuttingDown
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(
                name,
                launcher=self._launcher,
                engines=self._engines,
                settings=self._settings,
                room=self._room,
            )
            if self._settings.idle_s:
                self._watch_idle()
        return lane

    def _watch_idle(self) -> None:
        if self._idle_task is None:
            self._idle_task = asyncio.create_task(self._unload_idle())

    def _residents(self) -> list[Resident]:
        """The workers that take calls."""
        return [
            Resident(
                name=lane.name,
                last_used_s=lane.worker.last_used_s,
                is_busy=lane.is_busy,
                is_pinned=lane.is_pinned,
            )
            for lane in self._lanes.values()
            if lane.worker is not None
        ]

    def _capacity(self) -> int:
        limit = self._settings.max_workers
        return capacity(limit, self._residents()) if limit else 0

    def _make_way(self) -> None:
        """Have as many workers leave as others wait to start."""
        for lane in self._lanes.values():
            if lane.is_unwanted:
                _log.info("%s is not loaded: nobody waits for it any more", lane.name)
                lane.give_up()
        waiting = self._room.waiting
        residents = self._residents()
        loading = sum(lane.is_loading for lane in self._lanes.values())
        leaving = self._room.taken - len(residents) - loading
        for name in to_evict(residents, len(waiting) - leaving):
            _log.info("unloading %s to make room for %s", name, waiting[0])
            self._lanes[name].make_way()

    async def _unload_idle(self) -> None:
        while True:
            await asyncio.sleep(_IDLE_CHECK_S)
            now_s = time.monotonic()
            for lane in list(self._lanes.values()):
                current = lane.worker
                if current is None or lane.is_busy or lane.is_pinned:
                    continue
                limit_s = self._idle_limit_s(lane)
                if now_s - current.last_used_s > limit_s:
                    _log.info("unloading %s after %.0f s without a request", lane.name, limit_s)
                    await lane.unload(drain_s=0.0)

    def _idle_limit_s(self, lane: Lane) -> float:
        if lane.keep_s is not None:
            return lane.keep_s
        return self._settings.idle_s or math.inf

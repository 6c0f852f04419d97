"""One running worker: its calls, its queue, and the watch over both."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from localai.domain.batches import Batches, Take
from localai.domain.errors import Crashed, EngineFailed, LocalAIError, StartFailed, TimedOut
from localai.domain.exit_codes import hint_about, how_it_ended
from localai.domain.vectors import EmbedRequest, RerankRequest
from localai.observe.log import logger
from localai.supervisor.fair_queue import FairQueue
from localai.supervisor.worker_client import WorkerClient
from localai.wire.http_client import CutShort, NotReached

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localai.domain.tasks import Task
    from localai.engines.manifest import BackendEntry
    from localai.supervisor.launcher import Launched, Launcher
    from localai.wire.messages import LoadRequest, ModelFacts

_log = logger(__name__)
_WATCH_INTERVAL_S = 1.0
_SILENT_BEFORE_PROBE_S = 5.0
_NO_IMPORT = re.compile(r"(ModuleNotFound|Import)Error\b")
_EXIT_WAIT_S = 2.0
_DRAIN_STEP_S = 0.05
_ERROR_LINES = 4

Item = TypeVar("Item")

# Makes a call of a worker.
Begin = Callable[[WorkerClient], Batches[Item]]


class WorkerGone(Exception):
    """The worker ended before this call reached it; another worker can take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, in seconds, before something counts as failed.

    `start_s`: from the start of the process to a loaded model. `probe_s`: for a sign of life from
    a worker that says nothing. `stall_s`: without any event of a running call; 0 waits for ever.
    `stop_s`: for a polite end.
    """

    start_s: float = 900.0
    probe_s: float = 20.0
    stall_s: float = 300.0
    stop_s: float = 5.0


@dataclass(slots=True, eq=False)
class _RunningCall:
    """A call as the watch sees it; `awaits` is the next thing it gives, for people.

    One that has a single result may be silent as long as an event may take for each of its `items`.
    """

    last_event_s: float
    awaits: str = "The next token"
    items: int = 1
    has_begun: bool = False

    async def wait_for_reader(self, pending: Awaitable[None]) -> None:
        """Let a slow reader read: that is no sick worker."""
        self.last_event_s = math.inf
        await pending
        self.last_event_s = time.monotonic()


@dataclass(slots=True, eq=False)
class Callers:
    """How many have been promised a worker: they wait for its start or for a place, or are in it."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class Connection:
    """A launched worker and the client that speaks to it."""

    launched: Launched
    client: WorkerClient


class Worker:
    """A loaded worker. Made by `start`; ends once, for whatever reason."""

    def __init__(
        self,
        order: LoadRequest,
        revision: str,
        *,
        connection: Connection,
        facts: ModelFacts,
        patience: Patience,
        on_end: Callable[[Worker, LocalAIError], None],
    ) -> None:
        self.model = order.model
        self.revision = revision
        self.facts = facts
        self.queue = FairQueue(max(1, facts.slots))
        self.started_s = time.monotonic()
        self.last_used_s = self.started_s
        self.is_stopping = False
        self.is_lost = False  # nobody listens where it should, though it runs
        self.callers = Callers()
        self._leaves_at_s = math.inf
        self._launched = connection.launched
        self._client = connection.client
        self._patience = patience
        self._on_end = on_end
        self._calls: set[_RunningCall] = set()
        self._killed_because: LocalAIError | None = None
        self.ended = asyncio.Event()
        self._end_error: LocalAIError | None = None
        self._tasks = [
            asyncio.create_task(self._wait_for_end()),
            asyncio.create_task(self._watch()),
        ]

    @property
    def running(self) -> int:
        """How many calls run."""
        return len(self._calls)

    @property
    def description(self) -> str:
        """What a log line calls it."""
        return self._launched.description

    def memory_bytes(self) -> int | None:
        """The worker's resident memory, where the launcher can tell."""
        return self._launched.memory_bytes()

    def is_outdated(self) -> bool:
        """Whether its engine was replaced by another install; may block."""
        return self._launched.is_outdated()

    async def run(self, begin: Begin[Item], take: Take[Item]) -> None:
        """Hand the events of one call to `take`.

        Raises WorkerGone if the call never reached the worker, Crashed after.
        """
        call = self._began()

        def watched(batch: Sequence[Item]) -> Awaitable[None] | None:
            call.has_begun = True
            call.last_event_s = time.monotonic()
            pending = take(batch)
            return None if pending is None else call.wait_for_reader(pending)

        try:
            await begin(self._client).into(watched)
        except ConnectionError as error:
            raise await self._why(error, has_begun=call.has_begun) from error
        finally:
            self._finished(call)

    async def call(self, task: Task, request: object) -> Any:
        """The result of a one-shot task. Raises WorkerGone and Crashed as `run` does."""
        call = self._began()
        call.awaits, call.items = "The result", _items_of(request)
        try:
            return await self._client.call(task, request)
        except ConnectionError as error:
            raise await self._why(error, has_begun=False) from error
        finally:
            self._finished(call)

    def _began(self) -> _RunningCall:
        if self.ended.is_set():
            raise WorkerGone
        call = _RunningCall(time.monotonic())
        self._calls.add(call)
        return call

    def _finished(self, call: _RunningCall) -> None:
        self._calls.discard(call)
        self.last_used_s = time.monotonic()

    async def _why(self, error: Exception, *, has_begun: bool) -> Exception:
        """What a broken connection means: the worker has ended, before or after it saw the call."""
        await self._wait_briefly_for_end()
        if isinstance(error, NotReached):
            nobody = isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError)
            self.is_lost = self.is_lost or (nobody and not self.ended.is_set())
            return WorkerGone()
        cut_short = isinstance(error, CutShort) and self.is_stopping
        return WorkerGone() if cut_short and not has_begun else self._why_it_ended()

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """End the worker when nobody needs it any more, or after `drain_s` seconds."""
        self.is_stopping = True
        self.hurry(drain_s=drain_s)
        while self._must_wait():  # noqa: ASYNC110 - three conditions
            await asyncio.sleep(_DRAIN_STEP_S)
        if self._calls and self._killed_because is None:
            message = f"The model {self.model!r} was unloaded before its answer was whole."
            self._killed_because = EngineFailed(message, hint="Ask again: it is loaded anew.")
        await self._launched.stop(grace_s=self._patience.stop_s)
        await self.ended.wait()
        for task in self._tasks:
            task.cancel()
        await self._client.close()

    def _must_wait(self) -> bool:
        is_time_left = time.monotonic() < self._leaves_at_s
        return self.callers.count > 0 and is_time_left and not self.ended.is_set()

    def hurry(self, *, drain_s: float) -> None:
        """Let a worker that is to end wait for nobody longer than `drain_s` seconds from now."""
        self._leaves_at_s = min(self._leaves_at_s, time.monotonic() + drain_s)

    async def _wait_for_end(self) -> None:
        code = await self._launched.exited()
        tail = self._launched.log_tail()
        self._end_error = self._killed_because or Crashed(self.model, exit_code=code, log_tail=tail)
        self.ended.set()
        self.queue.fail_all(WorkerGone())
        self._on_end(self, self._end_error)
        if not self.is_stopping:
            _log.error("%s\n%s", self._end_error.sentence, tail)
            await self._client.close()

    async def _watch(self) -> None:
        """Kill the worker when it gives no sign of life, or when a call stands still."""
        while not self.ended.is_set():
            await asyncio.sleep(_WATCH_INTERVAL_S)
            if not self._calls:
                continue
            silent_s = time.monotonic() - max(call.last_event_s for call in self._calls)
            if silent_s > _SILENT_BEFORE_PROBE_S and not await self._is_alive():
                await self._kill(TimedOut(f"A sign of life from the worker of {self.model!r}",
                                          timeout_s=self._patience.probe_s))  # fmt: skip
            elif self._patience.stall_s:
                await self._kill_if_stalled(self._patience.stall_s)

    async def _kill_if_stalled(self, stall_s: float) -> None:
        now_s = time.monotonic()
        for call in self._calls:
            limit_s = stall_s * call.items
            if now_s - call.last_event_s > limit_s:
                await self._kill(TimedOut(f"{call.awaits} of {self.model!r}", timeout_s=limit_s))
                return

    async def _is_alive(self) -> bool:
        try:
            await self._client.health(timeout_s=self._patience.probe_s)
        except OSError:  # TimeoutError is one
            return False
        return True

    async def _kill(self, because: LocalAIError) -> None:
        _log.error("%s The worker (%s) is killed.", because.message, self.description)
        self._killed_because = because
        await self._launched.stop(grace_s=0.0)

    async def _wait_briefly_for_end(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), _EXIT_WAIT_S)

    def _why_it_ended(self) -> LocalAIError:
        return (
            self._end_error
            or self._killed_because
            or Crashed(self.model, log_tail=self._launched.log_tail())
        )


def _items_of(request: object) -> int:
    """How many results one call is for."""
    if isinstance(request, EmbedRequest):
        return max(1, len(request.inputs))
    return max(1, len(request.documents)) if isinstance(request, RerankRequest) else 1


async def start(
    *, launcher: Launcher, entry: BackendEntry, order: LoadRequest, revision: str, patience: Patience,
    on_end: Callable[[Worker, LocalAIError], None],
) -> Worker:  # fmt: skip
    """Start a worker and load its model. Raises the reason why that failed, with the log's end."""
    launched = await launcher.launch(entry, order.model)
    client = WorkerClient(launched.endpoint)
    loading = asyncio.ensure_future(client.load(order))
    ending = asyncio.ensure_future(launched.exited())
    try:
        await asyncio.wait(
            {loading, ending}, timeout=patience.start_s, return_when=asyncio.FIRST_COMPLETED
        )
        if loading.done() and loading.exception() is None:
            facts = loading.result()
            return Worker(
                order,
                revision,
                connection=Connection(launched, client),
                facts=facts,
                patience=patience,
                on_end=on_end,
            )
        error = await _start_error(order, loading, ending, patience)
    except BaseException:
        await _abandon(launched, client, loading)
        raise
    finally:
        if not ending.done():
            ending.cancel()
    await _abandon(launched, client, loading)
    raise _with_log(error, launched.log_tail(), entry)


async def _start_error(
    order: LoadRequest,
    loading: asyncio.Future[ModelFacts],
    ending: asyncio.Future[int | None],
    patience: Patience,
) -> LocalAIError:
    if loading.done():
        error = loading.exception()
        if isinstance(error, LocalAIError):
            return error
    if not ending.done():  # the connection may break a moment before the process is seen to end
        await asyncio.wait({ending}, timeout=_EXIT_WAIT_S)
    if ending.done():
        code = ending.result()
        how = how_it_ended(code) or "nobody knows how"
        message = f"The worker of the model {order.model!r} died while it loaded ({how})."
        return StartFailed(message, hint=hint_about(code))
    if loading.done():
        return StartFailed(
            f"The worker of the model {order.model!r} failed to answer: {loading.exception()}"
        )
    return TimedOut(
        f"Loading the model {order.model!r}",
        timeout_s=patience.start_s,
        hint="Raise --worker-start-timeout if the model is large and the disk slow.",
    )


async def _abandon(
    launched: Launched, client: WorkerClient, loading: asyncio.Future[ModelFacts]
) -> None:
    loading.cancel()
    await launched.stop(grace_s=0.0)
    await client.close()


def _with_log(error: LocalAIError, tail: str, entry: BackendEntry) -> LocalAIError:
    """The same error, a failed start with the last lines that the engine printed.

    An engine that cannot be imported is damaged: its environment has changed since it was checked.
    """
    if not isinstance(error, StartFailed):
        return error
    lines = [line for line in tail.splitlines() if line.strip() and "Traceback" not in line][
        -_ERROR_LINES:
    ]
    printed = f" The engine's last lines: {' | '.join(lines)}" if lines else ""
    hint = error.hint
    if not hint and not entry.is_bundled and lines and _NO_IMPORT.match(lines[-1]):
        hint = f"The engine is damaged. Install it anew: local-ai backends install {entry.name} --force"
    return StartFailed(error.message + printed, log_tail=tail, hint=hint)

"""uvicorn, with the life of our workers tied to it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn

from localai.domain.errors import LocalAIError
from localai.http import app
from localai.http.connection import Connection
from localai.http.services import Services
from localai.inference.preload import load_models
from localai.inference.stale_workers import end_stale_workers

_KEEP_ALIVE_S = 120
_START_STEP_S = 0.002


class Server(uvicorn.Server):
    """One server on one listening socket."""

    def __init__(self, services: Services) -> None:
        config = uvicorn.Config(
            app.build(services),
            http=Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=int(services.settings.shutdown_timeout),
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        super().__init__(config)
        self._services = services

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Catch signals as uvicorn does, but do not raise them again in the end.

        That would end this process before its workers are stopped and their sockets removed. One
        more that asks for what is happening already changes nothing.
        """
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

    async def run_on(
        self,
        listener: socket.socket,
        *,
        load: tuple[str, ...],
        report: Callable[[str, str], None],
        started: Callable[[], None],
    ) -> None:
        """Serve until a signal.

        Loads the models `load` first, telling `report` the name and how it goes; then calls
        `started`. Raises the error of a model that cannot be loaded.
        """
        services = self._services
        serving = asyncio.create_task(self.serve(sockets=[listener]))
        tidying = asyncio.create_task(end_stale_workers(services.library, services.pool))
        try:
            await self._services.responses.recover()
            await self._services.files.recover()
            await self._services.models.recover()
            await asyncio.to_thread(self._services.creation.blobs.clean)
            await self._until_it_serves(serving)
            await self._load(serving, load, report)
            if not serving.done():
                self._services.not_ready = ""
                started()
            await serving
        except LocalAIError:
            self.should_exit = True
            await serving
            raise
        finally:
            tidying.cancel()
            await self._services.jobs.close()
            await self._services.responses.close()
            await self._services.fetcher.close()
            await self._services.autoload.close()
            await self._services.supply.close()
            await self._services.pool.close(drain_s=0.0)

    async def _until_it_serves(self, serving: asyncio.Task[None]) -> None:
        while not (self.started or serving.done()):  # noqa: ASYNC110 - uvicorn tells it by a flag
            await asyncio.sleep(_START_STEP_S)

    async def _load(
        self, serving: asyncio.Task[None], load: tuple[str, ...], report: Callable[[str, str], None]
    ) -> None:
        """Load models while the server answers already; give up when it is told to stop."""

        def tell(name: str, state: str) -> None:
            self._services.not_ready = f"{name}: {state}"
            report(name, state)

        loading = asyncio.create_task(self._prepare(load, tell))
        await asyncio.wait({loading, serving}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            loading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loading

    async def _prepare(self, load: tuple[str, ...], report: Callable[[str, str], None]) -> None:
        """Fetch what model files name and is not there, and load models."""
        services = self._services
        catalog = await asyncio.to_thread(services.library.catalog)
        for spec in catalog.specs.values():
            if spec.downloads and services.library.wanting(spec.name) is not None:
                report(spec.name, "fetching")
                try:
                    await services.autoload.ensure(spec.name)
                except LocalAIError as error:  # the others are served; a request tries it again
                    report(spec.name, f"is not complete: {error.sentence}")
        if load:
            await load_models(load, library=services.library, pool=services.pool, report=report)

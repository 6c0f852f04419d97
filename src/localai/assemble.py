"""Builds every object and hands it down. Nothing else constructs across rooms."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from localai.catalog.defaults import AppDefaults
from localai.catalog.folder import ModelFolder
from localai.dialects.openai import error_reply
from localai.dialects.openresponses import ResponsesSpelling
from localai.documents import DocumentReader
from localai.downloads.blobs import Blobs
from localai.downloads.download import Downloader
from localai.downloads.install import Installer
from localai.downloads.settings import DownloadSettings
from localai.engines.stock import Stock
from localai.gallery import galleries_of
from localai.gallery.supply import ModelSupply, SupplySettings, make_supply
from localai.hardware import available_memory_bytes, probe
from localai.http.services import Services
from localai.inference.autoload import Autoload
from localai.inference.generate import generate
from localai.inference.jobs import Jobs
from localai.inference.library import Library
from localai.inference.model_creation import ModelCreation
from localai.inference.model_jobs import ModelJobs
from localai.inference.responses import Responses
from localai.inference.responses_conversations import Conversations
from localai.observe.log import logger
from localai.observe.metrics import Metrics, server_memory
from localai.outbound import Fetcher, FetchSettings
from localai.settings import process_environment
from localai.sources import source_settings
from localai.state import Database, FileStore, JobStore, SqliteStore
from localai.supervisor.engine_supply import EngineSupply
from localai.supervisor.lane import PoolSettings
from localai.supervisor.launcher import LocalLauncher
from localai.supervisor.pool import Pool
from localai.supervisor.worker import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from localai.domain.batches import Batches
    from localai.domain.events import Event
    from localai.domain.generation import GenerationRequest
    from localai.settings import ServerSettings

_log = logger(__name__)
_STARTER = "starter/starter.gguf"


@dataclass(frozen=True, slots=True)
class _Collector:
    """Adapts a function to what prometheus_client asks for."""

    read: Callable[[], Iterator[Metric]]

    def collect(self) -> Iterator[Metric]:
        """The present values."""
        return self.read()


def starter_path() -> Path | None:
    """The model that comes with the package, if it was built in."""
    path = Path(str(resources.files("localai").joinpath(_STARTER)))
    return path if path.is_file() else None


def model_folder(settings: ServerSettings) -> ModelFolder:
    """The models of this server. Raises SettingInvalid for a folder that cannot be used."""
    formats = {
        kind for entry in engine_stock(settings).manifest.entries() for kind in entry.formats
    }
    folder = ModelFolder(
        settings.models_path,
        starter=starter_path(),
        config_file=settings.models_config_file,
        formats=formats,
    )
    folder.check()
    return folder


def engine_stock(settings: ServerSettings) -> Stock:
    """The engines of this host."""
    return Stock(settings.backends_path or settings.data_path / "backends", process_environment())


def model_supply(
    settings: ServerSettings, stock: Stock, *, may_read_files: bool = False
) -> ModelSupply:
    """Where models come from. `may_read_files`: paths may be named, as for this machine's user."""
    surroundings = process_environment()

    def backends() -> frozenset[str]:
        entries = stock.manifest.entries()
        return frozenset(name for entry in entries for name in (entry.name, *entry.aliases))

    return make_supply(
        SupplySettings(
            galleries=galleries_of(settings.galleries),
            sources=source_settings(surroundings, may_read_files=may_read_files),
            models_path=settings.models_path,
            cache=settings.data_path / "galleries",
            allow_private=settings.allow_private_fetch,
        ),
        surroundings,
        free_bytes=available_memory_bytes,
        backends=backends,
        gpu=stock.gpu,
    )


def model_installer(settings: ServerSettings, supply: ModelSupply) -> Installer:
    """What installs models into this server's folder."""
    limits = DownloadSettings(
        connections=settings.download_connections,
        bytes_per_s=settings.download_limit * 1e6 if settings.download_limit else None,
    )
    downloader = Downloader(settings.models_path.absolute(), supply.client, limits)
    return Installer(settings.models_path.absolute(), downloader, limits)


def model_library(settings: ServerSettings, stock: Stock) -> Library:
    """The installed models. Raises SettingInvalid."""
    return Library(
        model_folder(settings),
        probe,
        AppDefaults(
            context_size=settings.context_size, threads=settings.threads, f16=settings.f16,
            parallel=settings.parallel,
            disable_guessing=settings.disable_guessing,
        ),
        {"grpc_servers": settings.grpc_servers} if settings.grpc_servers else {},
        stock,
    )  # fmt: skip


def model_pool(settings: ServerSettings, stock: Stock) -> Pool:
    """The workers of this process."""
    patience = Patience(
        start_s=settings.worker_start_timeout, stall_s=settings.watchdog_busy_timeout
    )
    return Pool(
        LocalLauncher(process_environment(), stock.environments),
        PoolSettings(
            patience=patience,
            cooldown_s=settings.model_load_failure_cooldown,
            queue_limit=settings.max_queued_requests,
            max_workers=1 if settings.single_active_backend else settings.max_active_backends,
            idle_s=settings.watchdog_idle_timeout if settings.enable_watchdog_idle else 0.0,
        ),
        EngineSupply(stock.manifest, stock.obtain if settings.autoload_backends else None),
    )


@dataclass(frozen=True, slots=True)
class Runner:
    """Models without a server, for the terminal."""

    library: Library
    pool: Pool

    async def load(self, name: str) -> None:
        """Have the model ready. Raises LocalAIError."""
        spec = self.library.find(name)
        await self.pool.load(await self.library.prepare(spec))

    def answer(self, request: GenerationRequest) -> Batches[Event]:
        """The events of one answer, in batches. Raises ModelNotFound, ModelDisabled."""
        spec = self.library.find(request.model)
        return generate(request, spec, library=self.library, pool=self.pool)

    async def close(self) -> None:
        """Stop the workers."""
        await self.pool.close(drain_s=0.0)


def build_runner(settings: ServerSettings) -> Runner:
    """What running a model in the terminal needs."""
    stock = engine_stock(settings)
    return Runner(model_library(settings, stock), model_pool(settings, stock))


def build_services(settings: ServerSettings) -> Services:
    """Every object of a server."""
    stock = engine_stock(settings)
    library = model_library(settings, stock)
    pool = model_pool(settings, stock)
    metrics = Metrics()
    metrics.register(_Collector(server_memory))
    metrics.register(_Collector(lambda: _pool_metrics(pool)))
    database = Database(settings.data_path / "responses.db")
    store = SqliteStore(database, ttl_s=settings.open_responses_store_ttl)
    files = FileStore(
        settings.data_path / "files",
        database,
        limit_bytes=settings.file_limit * 1_000_000,
        ttl_s=settings.files_ttl,
    )
    supply = model_supply(settings, stock)
    jobs = Jobs(time.time, JobStore(database))
    installer = model_installer(settings, supply)
    autoload = Autoload(
        library,
        supply.planner,
        installer.install,
        is_on=settings.autoload_galleries and not settings.disable_gallery_endpoint,
    )
    return Services(
        settings=settings,
        library=library,
        pool=pool,
        metrics=metrics,
        responses=Responses(
            store, partial(generate, library=library, pool=pool), ResponsesSpelling()
        ),
        conversations=Conversations(store, lambda: uuid.uuid4().hex),
        stock=stock,
        supply=supply,
        autoload=autoload,
        jobs=jobs,
        creation=ModelCreation(
            library,
            Blobs(installer.models_path, settings.model_upload_limit * 1_000_000),
            installer.models_path,
        ),
        models=ModelJobs(jobs, supply.planner, installer, library, pool),
        files=files,
        documents=DocumentReader(environment=_for_programs()),
        fetcher=Fetcher(FetchSettings(allow_private=settings.allow_private_fetch)),
        spell_error=error_reply,
    )


def _for_programs() -> dict[str, str]:
    """What a Python without an environment of its own may need to find its libraries."""
    names = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    surroundings = process_environment()
    return {name: surroundings[name] for name in names if name in surroundings}


def _pool_metrics(pool: Pool) -> Iterator[Metric]:
    """The lanes at this moment: running and waiting requests, workers and their memory."""
    rows = {
        "localai_running_requests": "Requests that are being answered.",
        "localai_waiting_requests": "Requests that wait for a place.",
        "localai_workers": "Loaded workers.",
        "localai_worker_memory_bytes": "Resident memory of the worker.",
    }
    gauges = {name: GaugeMetricFamily(name, text, labels=["model"]) for name, text in rows.items()}
    for name, lane in pool.lanes.items():
        gauges["localai_running_requests"].add_metric([name], lane.running)
        gauges["localai_waiting_requests"].add_metric([name], lane.waiting)
        gauges["localai_workers"].add_metric([name], 1 if lane.worker else 0)
        memory = lane.worker.memory_bytes() if lane.worker else None
        if memory is not None:
            gauges["localai_worker_memory_bytes"].add_metric([name], memory)
    yield from gauges.values()

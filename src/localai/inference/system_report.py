"""What a report of a fault needs: this machine, the engines, the models, the versions."""

from __future__ import annotations

import platform
import shutil
import sys
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from localai.catalog.defaults import DEFAULT_BACKEND
from localai.domain.errors import LocalAIError
from localai.hardware import accelerators, gpus, probe
from localai.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from localai.engines.stock import Shelf, Stock
    from localai.inference.library import Library
    from localai.supervisor.pool import Pool

# Packages whose versions explain most of what can go wrong.
_TOLD: Final = ("xllamacpp", "uvicorn", "starlette", "aiohttp", "httptools", "uvloop", "msgspec")


def system_report(
    stock: Stock, library: Library, models_path: Path, pool: Pool | None = None
) -> dict[str, Any]:
    """Hardware, versions, engines and models as JSON can hold them; sizes are in bytes.

    `pool` has the loaded models, None where there is no server. `backends` and `loaded_models` are
    LocalAI's keys.
    """
    hardware = probe()
    shelves = [shelf for shelf in _shelves(stock) if shelf.is_installed]
    catalog = library.catalog()
    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "packages": {name: version for name in _TOLD if (version := _version(name))},
        "cores": hardware.cores,
        "memory_bytes": hardware.memory_bytes,
        "available_memory_bytes": hardware.available_bytes,
        "accelerators": [{"variant": one.variant, "why": one.why} for one in accelerators()],
        "gpus": [
            {"name": one.name, "memory_bytes": one.memory_bytes, "free_bytes": one.free_bytes}
            for one in gpus()
        ],
        "models_path": str(models_path.absolute()),
        "models_disk_free_bytes": _free_bytes(models_path),
        "models": len(catalog.specs),
        "model_problems": list(catalog.problems),
        "backends": [shelf.entry.name for shelf in shelves],
        "engines": [_engine(shelf) for shelf in shelves],
        "loaded_models": _loaded(library, pool) if pool is not None else [],
    }


def processor() -> str:
    """The name of the processor, as the system says it; the architecture where it does not."""
    if sys.platform == "linux":
        try:
            with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:  # noqa: PTH123 - read line by line
                for line in lines:
                    name, _, value = line.partition(":")
                    if name.strip() in {"model name", "Model", "Hardware"}:
                        return value.strip()
        except OSError:
            pass
    return platform.processor() or platform.machine()


def _shelves(stock: Stock) -> tuple[Shelf, ...]:
    try:
        return stock.shelves()
    except LocalAIError:  # a user's own entry is wrong; `backends available` says what
        return ()


def _engine(shelf: Shelf) -> dict[str, Any]:
    return {
        "name": shelf.entry.name,
        "is_bundled": shelf.entry.is_bundled,
        "environments": [
            {
                "variant": one.receipt.variant,
                "packages": one.receipt.packages,
                "is_outdated": one.receipt.variant in shelf.outdated,
            }
            for one in shelf.installed
        ],
    }


def _loaded(library: Library, pool: Pool) -> list[dict[str, Any]]:
    now_s = time.monotonic()
    return [
        {
            "id": name,
            "backend": _backend(library, name),
            "worker": lane.worker.description,
            "device": lane.worker.facts.device,
            "running": lane.running,
            "waiting": lane.waiting,
            "memory_bytes": lane.worker.memory_bytes() or 0,
            "context_size": lane.worker.facts.context_size,
            "loaded_for_s": round(now_s - lane.worker.started_s),
        }
        for name, lane in pool.lanes.items()
        if lane.worker is not None
    ]


def _backend(library: Library, name: str) -> str:
    """The engine of a loaded model, whose file may be gone by now."""
    model, _, other = name.partition("@")
    spec = library.catalog().specs.get(model)
    if other or spec is None:
        return other or model
    try:
        entry = library.engine(spec).entry
    except LocalAIError:
        return ""
    return entry.name if entry else DEFAULT_BACKEND


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _free_bytes(path: Path) -> int:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return 0

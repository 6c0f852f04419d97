"""Installs as tests make them: short pauses, and a folder that is looked at from outside."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from localai.domain.downloads import ModelPlan, RemoteFile
from localai.domain.jobs import Step
from localai.downloads.download import Downloader
from localai.downloads.install import Installer
from localai.downloads.names import HIDDEN
from localai.downloads.settings import DownloadSettings
from localai.outbound import Client, ClientSettings, Proxies

QUICK: dict[str, Any] = {
    "attempts": 3,
    "pause_s": 0.01,
    "longest_pause_s": 0.05,
    "longest_wait_s": 1.0,
    "piece_bytes": 1 << 18,
    "spare_bytes": 0,
}


class Bench:
    """One models folder, and installs into it. Use it inside one event loop."""

    def __init__(
        self,
        folder: Path,
        *,
        stall_s: float = 0.5,
        allow_private: bool = True,
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.client = Client(
            ClientSettings(allow_private=allow_private, stall_s=stall_s),
            Proxies(environment or {}),
        )
        chosen = DownloadSettings(**{**QUICK, **settings})
        self.downloader = Downloader(folder, self.client, chosen)
        self.installer = Installer(folder, self.downloader, chosen)

    async def install(self, plan: ModelPlan, **options: Any) -> list[Step]:
        async with aclosing(self.installer.install(plan, **options)) as steps:
            return [step async for step in steps]

    async def close(self) -> None:
        await self.client.close()
        self.downloader.close()


def install(folder: Path, plan: ModelPlan, *, force: bool = False, **settings: Any) -> list[Step]:
    """Install in an event loop of its own. Raises what the install raises."""

    async def run() -> list[Step]:
        bench = Bench(folder, **settings)
        try:
            return await bench.install(plan, force=force)
        finally:
            await bench.close()

    return asyncio.run(run())


def plan_of(address: str, data: bytes | None, *, name: str = "m", **fields: Any) -> ModelPlan:
    """A model of one file; its checksum and size are announced when `data` is given."""
    announced: dict[str, Any] = {}
    if data is not None:
        announced = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return ModelPlan(
        name=name, files=(RemoteFile(name=f"{name}.gguf", address=address, **{**announced, **fields}),)
    )  # fmt: skip


def visible(folder: Path) -> dict[str, bytes]:
    """What anybody else sees in a models folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and HIDDEN not in path.parts
    }


def quarantined(folder: Path) -> list[str]:
    """The parts of files that are kept for the next try."""
    return sorted(path.name for path in (folder / HIDDEN / "downloads").glob("*.part"))

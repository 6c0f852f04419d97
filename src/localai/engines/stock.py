"""All that can be said and done about engines on this host, in one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localai.domain.errors import BackendNotInstalled, LocalAIError
from localai.domain.jobs import Step
from localai.engines.environments import Environments, Installed
from localai.engines.install import Able, Installer
from localai.engines.manifest import Manifest, as_json
from localai.engines.plan import InstallPlan, choose_variant, computes_on_cuda, make_plan
from localai.hardware import Gpu, accelerators, gpus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from localai.engines.manifest import BackendEntry


@dataclass(frozen=True, slots=True)
class Shelf:
    """One backend and its environments; `is_outdated` when this version of the server pins others."""

    entry: BackendEntry
    installed: tuple[Installed, ...]
    outdated: tuple[str, ...]

    @property
    def is_installed(self) -> bool:
        """Whether a worker of it can be started."""
        return self.entry.is_bundled or bool(self.installed)


class Stock:
    """The engines of this host: what there is, what is installed, and installing it."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self.environments = Environments(root)
        self.manifest = Manifest(self.environments.custom)
        self._installer = Installer(self.environments, environment)

    def has(self, entry: BackendEntry) -> bool:
        """Whether a worker of `entry` can be started."""
        return entry.is_bundled or self.environments.find(entry) is not None

    def gpu(self, name: str) -> Gpu | None:
        """The GPU that a worker of `name` computes on by itself; None where that is the processor.

        It decides where a model has to fit: an engine whose variant is for CUDA holds the whole
        model on the first GPU.
        """
        try:
            entry = self.manifest.find(name)
            installed = self.environments.find(entry)
            variant = installed.receipt.variant if installed is not None else None
            is_there = computes_on_cuda(entry, accelerators(), variant)
        except LocalAIError:
            return None
        return next(iter(gpus()), None) if is_there else None

    def shelves(self) -> tuple[Shelf, ...]:
        """Every backend, in the manifest's order. Raises SpecInvalid for a user's bad entry."""
        return tuple(self._shelf(entry) for entry in self.manifest.entries())

    def shelf(self, name: str) -> Shelf:
        """One backend. Raises BackendNotInstalled when there is none of that name."""
        return self._shelf(self.manifest.find(name))

    def plan(
        self, name: str, *, variant: str | None = None, wheels: Path | None = None
    ) -> InstallPlan:
        """What installing `name` takes. Raises InstallFailed, BackendNotInstalled."""
        entry = self.manifest.find(name)
        chosen, why = choose_variant(entry, accelerators(), asked=variant)
        return make_plan(entry, chosen, why, wheels=wheels)

    def install(self, plan: InstallPlan, *, force: bool = False) -> AsyncGenerator[Step, None]:
        """Install. Closing the generator stops it. Raises InstallFailed, InstallBusy."""
        return self._installer.install(plan, force=force)

    async def obtain(self, entry: BackendEntry) -> None:
        """Install the best variant, without anybody watching. Raises InstallFailed, InstallBusy."""
        async for _ in self._installer.install(self.plan(entry.name)):
            pass

    async def uninstall(self, name: str, *, variant: str | None = None) -> tuple[str, ...]:
        """Remove a backend's environments; gives the variants removed.

        Raises BackendNotInstalled when there is nothing to remove, InstallBusy.
        """
        entry = self.manifest.find(name)
        found = [
            one.receipt.variant
            for one in self.shelf(name).installed
            if variant in (None, one.receipt.variant)
        ]
        if not found:
            what = f"{entry.name!r} in the variant {variant!r}" if variant else f"{entry.name!r}"
            reason = "It comes with the server." if entry.is_bundled else ""
            raise BackendNotInstalled(
                f"The backend {what} has no environment that could be removed.", hint=reason
            )
        for one in found:
            await self._installer.uninstall(entry.name, one)
        return tuple(found)

    async def check(self, name: str) -> Able | None:
        """Import the engine in its environment; None for one that comes with the server.

        Raises BackendNotInstalled, InstallFailed with the reason.
        """
        shelf = self.shelf(name)
        if shelf.entry.is_bundled:
            return None
        installed = self.environments.find(shelf.entry)
        if installed is None:
            command = f"local-ai backends install {shelf.entry.name}"
            raise BackendNotInstalled(
                f"The engine of the backend {shelf.entry.name!r} is not installed.",
                command=command,
                hint=f"Install it: {command}",
            )
        plan = self.plan(shelf.entry.name, variant=installed.receipt.variant)
        return await self._installer.check(plan, installed)

    def _shelf(self, entry: BackendEntry) -> Shelf:
        installed = [
            one
            for variant in entry.variants
            if (one := self.environments.read(entry.name, variant.name)) is not None
        ]
        outdated = [one.receipt.variant for one in installed if self._is_outdated(entry, one)]
        return Shelf(entry, tuple(installed), tuple(outdated))

    def _is_outdated(self, entry: BackendEntry, installed: Installed) -> bool:
        variant = entry.variant(installed.receipt.variant)
        assert variant is not None
        try:
            plan = make_plan(entry, variant, "", wheels=None)
        except LocalAIError:
            return False
        wanted = self.environments.environment(entry.name, variant.name, plan.digest).name
        return not installed.folder.name.startswith(wanted)


def shelf_json(shelf: Shelf) -> dict[str, Any]:
    """What listings say of a backend and its environments."""
    return {
        **as_json(shelf.entry),
        "installed": shelf.is_installed,
        "environments": [
            {
                "variant": one.receipt.variant,
                "why": one.receipt.why,
                "python": one.receipt.python,
                "size_bytes": one.receipt.size_bytes,
                "installed_unix_s": one.receipt.installed_unix_s,
                "folder": str(one.folder),
                "is_outdated": one.receipt.variant in shelf.outdated,
                "packages": one.receipt.packages,
            }
            for one in shelf.installed
        ],
    }

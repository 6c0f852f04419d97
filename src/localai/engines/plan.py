"""What an install has to do: a pure function of the backend, the machine and what was asked for."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

from localai.domain.errors import InstallFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localai.engines.manifest import BackendEntry, Variant
    from localai.hardware import Accelerator

# The names that PyTorch's own indexes have for our variants, as uv knows them.
TORCH_BUILDS: Final = {
    "cpu": "cpu",
    "cuda12": "cu128",
    "cuda13": "cu130",
    "rocm": "rocm6.4",
    "intel": "xpu",
    "vulkan": "cpu",
    "metal": "cpu",
}
# What the worker around an engine needs in its environment, beside what the engine does.
WORKER_PACKAGES: Final = ("msgspec>=0.22,<1",)
DISK_MARGIN: Final = 1.1  # what an install needs for a moment, over what it takes in the end


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallPlan:
    """The steps of one install.

    `digest` changes with everything that goes into the environment. `why` says in a sentence how
    the variant was chosen. `wheels` is a folder to install from without a network.
    """

    entry: BackendEntry
    variant: Variant
    why: str
    digest: str
    disk_bytes: int
    wheels: Path | None = None


def choose_variant(
    entry: BackendEntry, found: Sequence[Accelerator], *, asked: str | None = None
) -> tuple[Variant, str]:
    """The variant to install, and why. Raises InstallFailed when there is none."""
    names = [variant.name for variant in entry.variants]
    if not names:
        raise InstallFailed(
            f"The backend {entry.name!r} comes with the server; there is nothing to install."
        )
    if asked is not None:
        variant = entry.variant(asked)
        if variant is None:
            raise InstallFailed(
                f"The backend {entry.name!r} has no variant {asked!r}.",
                hint=f"It has {', '.join(names)}.",
            )
        return variant, "it was asked for"
    for accelerator in found:
        variant = entry.variant(accelerator.variant)
        if variant is not None:
            return variant, accelerator.why
    variant = entry.variant("cpu") or entry.variants[0]
    if not found:
        return variant, "no accelerator was found on this machine"
    kinds = ", ".join(dict.fromkeys(accelerator.variant for accelerator in found))
    return variant, f"this engine has no build for what was found here ({kinds})"


def computes_on_cuda(
    entry: BackendEntry, found: Sequence[Accelerator], installed: str | None
) -> bool:
    """Whether an engine uses an NVIDIA GPU: in the variant `installed`, or in what would be.

    Raises InstallFailed for an engine without a variant for this machine.
    """
    if entry.is_bundled:
        return False
    variant = installed or choose_variant(entry, found)[0].name
    return variant.startswith("cuda")


def make_plan(
    entry: BackendEntry, variant: Variant, why: str, *, wheels: Path | None
) -> InstallPlan:
    """The plan of one install. Raises InstallFailed where this machine cannot have it."""
    here = platform_name()
    if entry.platforms and here not in entry.platforms:
        raise InstallFailed(
            f"The engine of {entry.name!r} does not exist for {here}.",
            hint=f"It exists for {', '.join(entry.platforms)}.",
        )
    if wheels is not None and not wheels.is_dir():
        raise InstallFailed(f"{wheels} is no folder.", hint="Name the folder with the wheel files.")
    pinned = (
        variant.lock.read_text(encoding="utf-8") if variant.lock else "\n".join(variant.requires)
    )
    said = f"{entry.name} {variant.name} torch={variant.torch} python={entry.python}\n{pinned}"
    return InstallPlan(
        entry=entry,
        variant=variant,
        why=why,
        digest=blake2b(said.encode(), digest_size=16).hexdigest(),
        disk_bytes=int(variant.disk_bytes * DISK_MARGIN),
        wheels=wheels,
    )


def platform_name() -> str:
    """This platform as the manifest writes it, for example `linux-x86_64` or `macos-arm64`."""
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    return f"{system}-{ {'amd64': 'x86_64', 'aarch64': 'arm64'}.get(machine, machine) }"

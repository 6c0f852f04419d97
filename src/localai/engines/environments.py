"""The virtual environments of engines on this host: one folder per backend and variant.

    <root>/<backend>/<variant>/<digest>/        the environment, named after what is in it
    <root>/<backend>/<variant>/installed.json   the receipt, which names the environment in use

The receipt is replaced in one step, and only after everything else: whatever stops an install, the
receipt names an environment that is whole, the old one or the new one. A folder that no receipt
names is the rest of an install that stopped; the next install goes on from it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localai.engines.manifest import BackendEntry

RECEIPT: Final = "installed.json"
CUSTOM: Final = "custom"  # the folder of a user's own backends
_SHOWN_DIGEST: Final = 12


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What an install left behind. `packages` are name -> version, `size_bytes` is on the disk."""

    backend: str
    variant: str
    digest: str
    why: str = ""
    python: str = ""
    packages: dict[str, str] = {}
    size_bytes: int = 0
    installed_unix_s: int = 0


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment that is whole and ready."""

    receipt: Receipt
    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return interpreter(self.folder)


class Environments:
    """The environments below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def custom(self) -> Path:
        """Where a user's own backends lie."""
        return self.root / CUSTOM

    def find(self, entry: BackendEntry) -> Installed | None:
        """The environment a worker of `entry` runs in: of several variants the newest install."""
        found = [
            installed
            for variant in entry.variants
            if (installed := self.read(entry.name, variant.name)) is not None
        ]
        return max(found, key=lambda one: one.receipt.installed_unix_s, default=None)

    def all(self) -> Iterator[Installed]:
        """Every environment, by backend and variant."""
        for receipt in sorted(self.root.glob(f"*/*/{RECEIPT}")):
            installed = self.read(receipt.parent.parent.name, receipt.parent.name)
            if installed is not None:
                yield installed

    def read(self, backend: str, variant: str) -> Installed | None:
        """One environment, or None when it is not there or not whole."""
        folder = self.folder(backend, variant)
        try:
            receipt = msgspec.json.decode((folder / RECEIPT).read_bytes(), type=Receipt)
        except (OSError, msgspec.DecodeError):
            return None
        environment = folder / receipt.digest
        return Installed(receipt, environment) if interpreter(environment).exists() else None

    def write(self, receipt: Receipt) -> Installed:
        """Put `receipt` in force, in one step."""
        folder = self.folder(receipt.backend, receipt.variant)
        new = folder / f".{RECEIPT}.{os.getpid()}"
        new.write_bytes(msgspec.json.encode(receipt))
        new.replace(folder / RECEIPT)
        return Installed(receipt, folder / receipt.digest)

    def remove(self, backend: str, variant: str) -> None:
        """Remove an environment: first the receipt, so that a half-removed one is never used."""
        folder = self.folder(backend, variant)
        (folder / RECEIPT).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()

    def sweep(self, backend: str, variant: str) -> None:
        """Remove what no receipt names: environments that were replaced, installs that stopped."""
        installed = self.read(backend, variant)
        for folder in self.folder(backend, variant).glob("*/"):
            if installed is None or folder != installed.folder:
                shutil.rmtree(folder, ignore_errors=True)

    def folder(self, backend: str, variant: str) -> Path:
        """The folder of one backend's variant."""
        return self.root / backend / variant

    def environment(self, backend: str, variant: str, digest: str) -> Path:
        """Where the environment with that content belongs."""
        return self.folder(backend, variant) / digest[:_SHOWN_DIGEST]


def interpreter(environment: Path) -> Path:
    """The Python of a virtual environment."""
    if sys.platform == "win32":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"

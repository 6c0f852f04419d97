"""The virtual environments of engines on this host: one folder per backend and variant.

    <root>/<backend>/<variant>/<digest>/        the environment, named after what is in it
    <root>/<backend>/<variant>/installed.json   the receipt, which names the environment in use

The receipt is replaced in one step, and only after everything else: whatever stops an install, the
receipt names an environment that is whole, the old one or the new one. A folder that no receipt
names is the rest of an install that stopped; the next install goes on from it.

Whoever runs something in an environment holds its file `.in-use`, with a lock that the system frees
when the process ends, however it ends. An environment that was replaced stays until nobody does.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from localai.domain.errors import InstallBusy

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localai.engines.manifest import BackendEntry

RECEIPT: Final = "installed.json"
CUSTOM: Final = "custom"  # the folder of a user's own backends
_SHOWN_DIGEST: Final = 12
_MARK: Final = ".in-use"
_TRIES: Final = 3


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

    def hold(self, entry: BackendEntry) -> tuple[Installed, int] | None:
        """The environment to run a worker of `entry` in, and an open file that keeps it.

        As long as that file is open anywhere, in a process that inherited it for one, nobody removes
        the environment. -1 where it cannot be held: it is somebody else's, who may not remove it.
        """
        for _ in range(_TRIES):
            installed = self.find(entry)
            if installed is None:
                break
            mark = _lock(installed.folder, is_shared=True)
            if mark is not None:
                return installed, mark
        return None  # or replaced again and again

    def release(self, installed: Installed) -> None:
        """Remove an environment that was replaced, if nobody uses it any more."""
        if self._is_current(installed) or not installed.folder.exists():
            return
        with suppress(InstallBusy), self.locked(installed.receipt.backend):
            if not self._is_current(installed):
                _remove_unused(installed.folder)

    def is_replaced(self, installed: Installed) -> bool:
        """Whether there is another install in its place; not when it was only removed."""
        now = self.read(installed.receipt.backend, installed.receipt.variant)
        return now is not None and now.folder != installed.folder

    def _is_current(self, installed: Installed) -> bool:
        now = self.read(installed.receipt.backend, installed.receipt.variant)
        return now is not None and now.folder == installed.folder

    @contextmanager
    def locked(self, backend: str) -> Iterator[None]:
        """Nobody else installs this backend meanwhile. The system frees the lock of a dead process.

        Raises InstallBusy.
        """
        from filelock import FileLock, Timeout

        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / f".{backend}.lock", timeout=0):
                yield
        except Timeout:
            raise InstallBusy(backend) from None

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
        self.sweep(backend, variant)
        if any(folder.glob("*/")):
            return  # in use; it goes with the next install, or when its worker ends
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            folder.parent.rmdir()

    def sweep(self, backend: str, variant: str) -> None:
        """Remove what no receipt names: environments that were replaced, installs that stopped."""
        installed = self.read(backend, variant)
        for folder in self.folder(backend, variant).glob("*/"):
            if installed is None or folder != installed.folder:
                _remove_unused(folder)

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


def _lock(environment: Path, *, is_shared: bool) -> int | None:
    """The open mark of an environment, locked; -1 where it cannot be, None when others hold it.

    It is also None when the environment was removed meanwhile.
    """
    if sys.platform == "win32":  # where no file is removed that is in use
        return -1
    path = environment / _MARK
    try:
        mark = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    except OSError:
        return -1
    try:
        fcntl.flock(mark, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        os.close(mark)
        return None
    if not path.exists():
        os.close(mark)
        return None
    return mark


def _remove_unused(environment: Path) -> None:
    mark = _lock(environment, is_shared=False)
    if mark is None:
        return
    shutil.rmtree(environment, ignore_errors=True)
    if mark >= 0:
        os.close(mark)

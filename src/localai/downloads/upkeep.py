"""Looking after what was installed: is it still what was verified, and what is left over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from localai.downloads.blobs import blobs_in
from localai.downloads.download import sha256_of
from localai.downloads.names import HIDDEN
from localai.downloads.partial import downloads_folder
from localai.downloads.receipts import Receipt


@dataclass(frozen=True, slots=True)
class Checked:
    """One file of a model; `problem` is "" when it is what was verified."""

    name: str
    problem: str = ""


def verify(receipt: Receipt, models_path: Path) -> Iterator[Checked]:
    """Compare every file of a model with what was verified when it was installed."""
    for file in receipt.files:
        path = models_path / file.name
        if not path.is_file():
            yield Checked(file.name, "is not there any more")
        elif path.stat().st_size != file.size_bytes:
            yield Checked(file.name, f"has {path.stat().st_size} bytes, not {file.size_bytes}")
        elif sha256_of(path) != file.sha256:
            yield Checked(file.name, "has other content than was installed")
        else:
            yield Checked(file.name)
    for name in receipt.texts:
        if not (models_path / name).is_file():
            yield Checked(name, "is not there any more")


def prune(models_path: Path) -> tuple[int, int]:
    """Remove what downloads and uploads left that were given up; gives the number of files and their bytes.

    What another process works on at this moment stays.
    """
    from filelock import FileLock, Timeout

    count = size = 0
    folder = downloads_folder(models_path)
    for lock in sorted({path.with_suffix(".lock") for path in folder.glob("*")}):
        with contextlib.suppress(Timeout), FileLock(lock, timeout=0):
            for path in (lock.with_suffix(".part"), lock.with_suffix(".json"), lock.with_suffix(".new")):  # fmt: skip
                if path.is_file():
                    count += path.suffix == ".part"
                    size += path.stat().st_blocks * 512
                    path.unlink()
            lock.unlink(missing_ok=True)
    for path in blobs_in(models_path):
        count, size = count + 1, size + path.stat().st_blocks * 512
        path.unlink()
    for path in (models_path / HIDDEN).glob("*.new"):
        path.unlink(missing_ok=True)
    return count, size

"""What was installed: one receipt for each model, and putting finished files in their places.

    <models>/.local-ai/models/<name>.json     a receipt
    <models>/.local-ai/placing/<name>.json    what is being put in place at this moment

Files are verified under their quarantine names first. Then a note of all that is to be done is
written, and done: whatever stops it, `Placing.apply` does the rest later. So a model is there as a
whole, or it is not there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from localai.downloads.names import HIDDEN, model_file_name, place
from localai.downloads.partial import downloads_folder

_YAML: Final = (".yaml", ".yml")
_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a model, as it was verified. `modified_ns` tells whether it was changed since."""

    name: str
    size_bytes: int
    sha256: str
    address: str = ""
    modified_ns: int = 0


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What an install left behind; `texts` are names of model files and templates."""

    name: str
    uri: str = ""
    why: str = ""
    backend: str = ""
    installed_unix_s: int = 0
    files: tuple[FileRecord, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """What its files weigh."""
        return sum(file.size_bytes for file in self.files)


class Receipts:
    """The receipts of one models folder."""

    def __init__(self, models_path: Path) -> None:
        self._models_path = models_path
        self._folder = models_path / HIDDEN / "models"

    def read(self, name: str) -> Receipt | None:
        """The receipt of a model, None when it has none."""
        return _read(self._path(name), Receipt)

    def all(self) -> Iterator[Receipt]:
        """Every receipt, by name."""
        for path in sorted(self._folder.glob("*.json")):
            receipt = _read(path, Receipt)
            if receipt is not None:
                yield receipt

    def records(self) -> dict[str, FileRecord]:
        """Every file that a receipt names."""
        return {file.name: file for receipt in self.all() for file in receipt.files}

    def write(self, receipt: Receipt) -> None:
        """Put a receipt in force, with the times that its files have now."""
        files = tuple(
            msgspec.structs.replace(file, modified_ns=_modified_ns(self._models_path / file.name))
            for file in receipt.files
        )
        write_json(self._path(receipt.name), msgspec.structs.replace(receipt, files=files))

    def remove(self, name: str) -> None:
        """Forget a model."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{model_file_name(name).removesuffix('.yaml')}.json"


class Placing(msgspec.Struct, frozen=True, kw_only=True):
    """Verified files and texts on their way to their places.

    `moves` are pairs of a file's name in quarantine and its name in the models folder. All of it
    can be done twice without harm.
    """

    receipt: Receipt
    moves: tuple[tuple[str, str], ...] = ()
    texts: dict[str, str] = {}

    def begin(self, models_path: Path) -> Path:
        """Write the note: from here on it will be done."""
        stem = model_file_name(self.receipt.name).removesuffix(".yaml")
        note = _placing_folder(models_path) / f"{stem}.json"
        write_json(note, self)
        return note

    def apply(self, models_path: Path, note: Path) -> None:
        """Do what is left to do; the model file comes last, and makes the model visible."""
        quarantine = downloads_folder(models_path)
        folders = {models_path}
        for part, name in self.moves:
            target = place(models_path, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            folders.add(target.parent)
            with contextlib.suppress(FileNotFoundError):  # moved already, before a kill
                (quarantine / part).replace(target)
            (quarantine / part).with_suffix(".json").unlink(missing_ok=True)
        for name in sorted(self.texts, key=lambda text: text.endswith(_YAML)):
            target = place(models_path, name)
            new = note.with_suffix(f".{os.getpid()}.new")  # another process may do the same
            new.write_text(self.texts[name])
            new.replace(target)
        Receipts(models_path).write(self.receipt)
        for folder in folders:
            _sync(folder)
        note.unlink(missing_ok=True)


def finish_placing(models_path: Path) -> tuple[str, ...]:
    """Do what earlier processes began; gives the names of the models that are there now."""
    finished = []
    for note in sorted(_placing_folder(models_path).glob("*.json")):
        placing = _read(note, Placing)
        if placing is None:
            note.unlink(missing_ok=True)
            continue
        placing.apply(models_path, note)
        finished.append(placing.receipt.name)
    return tuple(finished)


def write_json(path: Path, value: msgspec.Struct) -> None:
    """Replace a file in one step, after its content is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}.new")
    with new.open("wb") as file:
        file.write(msgspec.json.encode(value))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _placing_folder(models_path: Path) -> Path:
    return models_path / HIDDEN / "placing"


def _read(path: Path, kind: type[_Struct]) -> _Struct | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _modified_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _sync(folder: Path) -> None:
    """Make renames in a folder last; not every system knows how."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

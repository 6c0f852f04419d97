"""Files that callers sent for models they will create, each named by its checksum.

    <models>/.local-ai/blobs/sha256-<hex>     a whole file, verified; a model has not claimed it yet
    <models>/.local-ai/blobs/<any>.part       one on its way

A file of an installed model counts as sent, too. What no model claimed within a day is removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from pathlib import Path
from typing import Final

from localai.domain.errors import InvalidRequest
from localai.downloads.names import HIDDEN
from localai.downloads.receipts import Receipts
from localai.state import Flags, Incoming, free_bytes, remove_left_behind

_DIGEST: Final = re.compile(r"sha256[:-]([0-9a-f]{64})")
_READABLE: Final = 0o644
_KEPT_S: Final = 24 * 3600.0
_FLAGS: Final = Flags("--model-upload-limit", "--models-path")


def blobs_in(models_path: Path) -> tuple[Path, ...]:
    """The whole files that no model has claimed."""
    return tuple((models_path / HIDDEN / "blobs").glob("sha256-*"))


def checked_digest(digest: str) -> str:
    """The checksum in `sha256:<hex>`, as 64 lower-case hex digits. Raises InvalidRequest."""
    found = _DIGEST.fullmatch(digest.lower())
    if found is None:
        raise InvalidRequest(
            f"{digest[:100]!r} is no digest.",
            param="digest",
            hint="A digest is `sha256:` and 64 hexadecimal digits, those of the whole file.",
        )
    return found[1]


class Blobs:
    """The files for models of one folder; each of at most `limit_bytes`."""

    def __init__(self, models_path: Path, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._models_path = models_path
        self._folder = models_path / HIDDEN / "blobs"

    def find(self, sha256: str) -> Path | None:
        """Where a file with this checksum lies, as it was verified; None when there is none."""
        sent = self._path(sha256)
        if sent.is_file():
            return sent
        for receipt in Receipts(self._models_path).all():
            for file in receipt.files:
                path = self._models_path / file.name
                if file.sha256 == sha256 and _is_unchanged(path, file.size_bytes, file.modified_ns):
                    return path
        return None

    def receive(self, expected_bytes: int) -> Incoming:
        """Begin to take a file; blocks. Raises FileTooLarge, StorageFull, SetupError."""
        self.clean()
        return Incoming(
            self._folder,
            limit_bytes=self.limit_bytes,
            free_bytes=free_bytes,
            expected_bytes=expected_bytes,
            flags=_FLAGS,
        )

    def keep(self, incoming: Incoming, sha256: str) -> None:
        """Keep what has come, which has this checksum. Raises StorageFull, SetupError."""
        incoming.seal()
        path = self._path(sha256)
        incoming.move_to(path)
        path.chmod(_READABLE)  # as other files of models are; the folder around it is not

    def claim(self, sha256: str) -> Path | None:
        """A file with this checksum that a model may take away; None when there is none."""
        found, mine = self.find(sha256), self._path(sha256)
        if found is None or found == mine:
            return found
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            try:
                os.link(found, mine)  # one file under two names: it takes no room
            except OSError:
                new = mine.with_suffix(f".{os.getpid()}.new")
                shutil.copyfile(found, new)
                new.replace(mine)
        return mine

    def clean(self, *, now_s: float | None = None) -> None:
        """Remove what servers that died left, and what no model claimed in time."""
        remove_left_behind(self._folder)
        before_s = (time.time() if now_s is None else now_s) - _KEPT_S
        for path in blobs_in(self._models_path):
            with contextlib.suppress(OSError):
                if path.stat().st_ctime < before_s:
                    path.unlink()

    def _path(self, sha256: str) -> Path:
        return self._folder / f"sha256-{sha256}"


def _is_unchanged(path: Path, size_bytes: int, modified_ns: int) -> bool:
    try:
        said = path.stat()
    except OSError:
        return False
    return said.st_size == size_bytes and said.st_mtime_ns == modified_ns

"""What was fetched from galleries, kept on the disk: for speed, and for when there is no network."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from localai.gallery.entry import Entry

FORMAT: Final = 1  # a file of another format is read anew


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An index as it was read. `stamp` tells one state of a local file from another."""

    format: int
    url: str
    fetched_unix_s: float
    stamp: str = ""
    entries: tuple[Entry, ...] = ()
    problems: tuple[str, ...] = ()


class Cache:
    """A folder with indexes and base configurations. Whatever is damaged counts as absent."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def index(self, url: str) -> Kept | None:
        """The index of an address, if it was kept."""
        with suppress(OSError, msgspec.MsgspecError):
            path = self._path(url, "json")
            kept = msgspec.json.decode(path.read_bytes(), type=Kept) if path else None
            if kept is not None and kept.format == FORMAT and kept.url == url:
                return kept
        return None

    def keep_index(self, kept: Kept) -> None:
        """Keep an index. A folder that cannot be written only costs time."""
        self._write(self._path(kept.url, "json"), msgspec.json.encode(kept))

    def text(self, url: str) -> tuple[bytes, float] | None:
        """What was at an address, and when it was fetched."""
        with suppress(OSError):
            path = self._path(url, "yaml")
            if path is not None:
                return path.read_bytes(), path.stat().st_mtime
        return None

    def keep_text(self, url: str, data: bytes) -> None:
        """Keep what was at an address."""
        self._write(self._path(url, "yaml"), data)

    def _path(self, url: str, suffix: str) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"{blake2b(url.encode(), digest_size=16).hexdigest()}.{suffix}"

    def _write(self, path: Path | None, data: bytes) -> None:
        if path is None:
            return
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                Path(name).replace(path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise

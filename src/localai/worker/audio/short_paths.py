"""A short name for a folder: eSpeak NG cuts paths that are longer than 160 bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

LONGEST: Final = 130  # bytes; file names below the folder need the rest


class ShortPath:
    """`path` itself, or a link to it in the folder for temporary files while that is too long."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if len(str(path).encode()) > LONGEST:
            self._folder = tempfile.TemporaryDirectory(prefix="espeak-")
            self.path = Path(self._folder.name) / path.name
            self.path.symlink_to(path, target_is_directory=True)

    def close(self) -> None:
        """Remove the link."""
        if self._folder is not None:
            self._folder.cleanup()

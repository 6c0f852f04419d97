"""Files of this machine: paths and file:// addresses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from localai.domain.downloads import Listing, RemoteFile
from localai.domain.source_errors import SourceForbidden, SourceNotFound

if TYPE_CHECKING:
    from localai.sources.names import Written
    from localai.sources.settings import SourceSettings


class Local:
    """A file or folder, copied into the models folder."""

    def __init__(self, settings: SourceSettings, models_path: Path) -> None:
        self._settings = settings
        self._models_path = models_path

    def look(self, written: Written) -> Listing:
        """The file, or the files of the folder. Raises SourceNotFound, SourceForbidden."""
        path = self.path_of(written)
        if path.is_dir():
            found = sorted(one for one in path.rglob("*") if one.is_file() and not _hidden(one, path))  # fmt: skip
        else:
            found = [path]
        root = path if path.is_dir() else path.parent
        return Listing(
            source="file",
            uri=path.as_uri(),
            model_name=path.name.removesuffix(".gguf"),
            files=tuple(_file(one, one.relative_to(root).as_posix()) for one in found),
            is_exact=not path.is_dir(),
        )

    def file(self, written: Written, name: str) -> RemoteFile:
        """The one file, under `name` or its own. Raises SourceNotFound, SourceForbidden."""
        path = self.path_of(written)
        if not path.is_file():
            raise SourceNotFound(str(path), "is a folder, and a file is needed")
        return _file(path, name or path.name)

    def path_of(self, written: Written) -> Path:
        """Where a name leads. Raises SourceNotFound, SourceForbidden."""
        path = Path(written.path).expanduser()
        allowed = self._models_path.resolve()
        if not path.is_absolute():
            path = (Path.cwd() if self._settings.may_read_files else allowed) / path
        path = path.resolve()
        if not self._settings.may_read_files and not path.is_relative_to(allowed):
            raise SourceForbidden(
                written.written,
                "lies outside the models folder, and a caller may not read there",
                hint="Install it with `local-ai models install` on the server's own machine.",
            )
        if not path.exists():
            raise SourceNotFound(str(path), "does not exist")
        return path


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _file(path: Path, name: str) -> RemoteFile:
    return RemoteFile(name=name, address=path.as_uri(), size_bytes=path.stat().st_size)

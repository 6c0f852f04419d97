"""Files at plain web addresses, and files of GitHub repositories, which are served like them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from localai.domain.downloads import Listing, RemoteFile
from localai.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from localai.sources.names import Written
    from localai.sources.settings import SourceSettings


class Web:
    """Files that an address alone leads to. Nobody is asked before the download."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings

    def look(self, written: Written) -> Listing:
        """The one file. Raises InvalidRequest for an address that ends in no file name."""
        file = self.file(written, "")
        return Listing(
            source=written.source,
            uri=written.written,
            model_name=file.name.removesuffix(".gguf"),
            files=(file,),
            revision=written.revision,
            is_exact=True,
        )

    def file(self, written: Written, name: str) -> RemoteFile:
        """The one file, under `name`, or that of its address."""
        address = self.address(written)
        found = name or PurePosixPath(unquote(urlsplit(address).path)).name
        if not found:
            raise InvalidRequest(
                f"{written.written[:200]} ends in no file name.", param="id", hint="Name a file."
            )
        return RemoteFile(name=found, address=address)

    def address(self, written: Written) -> str:
        """Where the file is served."""
        if written.source == "web":
            return written.address
        place = quote(f"{written.repository}/{written.revision}/{written.path}")
        return f"{self._settings.github_raw}/{place}"

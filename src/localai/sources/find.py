"""From a written name to the source that knows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from localai.domain.downloads import Listing, RemoteFile
from localai.domain.errors import FetchFailed, InvalidRequest
from localai.domain.source_errors import DownloadFailed, SourceNotFound
from localai.downloads.names import safe_name
from localai.outbound.client import is_ok
from localai.sources.huggingface import HuggingFace
from localai.sources.local import Local
from localai.sources.names import Written, parse
from localai.sources.oci import Oci
from localai.sources.ollama import Ollama
from localai.sources.web import Web

if TYPE_CHECKING:
    from localai.outbound import Client
    from localai.sources.settings import SourceSettings


class Sources:
    """Every place that models come from."""

    def __init__(self, settings: SourceSettings, client: Client, models_path: Path) -> None:
        self._client = client
        self._web = Web(settings)
        self._local = Local(settings, models_path)
        self._hub = HuggingFace(settings)
        self._ollama = Ollama(client)
        self._oci = Oci(client)

    async def look(self, name: str) -> Listing:
        """What `name` stands for: its files with what is known of them.

        Raises InvalidRequest for a name of no known form, SourceNotFound, SourceForbidden,
        DownloadFailed when a source cannot be asked, Unsupported.
        """
        written = self._parse(name)
        match written.source:
            case "huggingface":
                return await self._hub.look(written)
            case "ollama":
                return await self._ollama.look(written)
            case "oci":
                return await self._oci.look(written)
            case "file":
                return self._local.look(written)
            case _:
                return self._web.look(written)

    async def file(self, uri: str, *, name: str = "", sha256: str = "") -> RemoteFile:
        """The one file that `uri` means, to be called `name` in the models folder.

        Sources are asked only where the name alone does not lead to the file (ollama, oci).
        `sha256` is what somebody else announced. Raises as `look`, and InvalidRequest for a name
        that may not be one.
        """
        written = self._parse(uri)
        match written.source:
            case "huggingface":
                found = self._hub.file(written, name)
            case "file":
                found = self._local.file(written, name)
            case "web" | "github":
                found = self._web.file(written, name)
            case _:
                found = (await self.look(uri)).files[0]
        announced = sha256.strip().lower().removeprefix("sha256:")
        found = replace(found, name=name or found.name, sha256=announced or found.sha256)
        safe_name(found.name)
        return found

    async def read(self, uri: str, *, limit_bytes: int) -> bytes:
        """The content of a small file. Raises as `file`."""
        file = await self.file(uri, name="text")
        if file.address.startswith("file:"):
            path = self._local.path_of(self._parse(file.address))
            if path.stat().st_size > limit_bytes:
                raise SourceNotFound(uri, f"is larger than {limit_bytes} bytes")
            return path.read_bytes()
        secret = await file.credentials(False) if file.credentials else None  # noqa: FBT003 - the form of Credentials
        try:
            status, _, body = await self._client.read(
                file.address, {}, secret, limit_bytes=limit_bytes
            )
        except FetchFailed as error:
            raise DownloadFailed(uri, error.fields["why"]) from None
        except OSError as error:
            raise DownloadFailed(uri, str(error) or type(error).__name__) from error
        if not is_ok(status):
            raise SourceNotFound(uri, f"is not there: its server answered with status {status}")
        return body

    def _parse(self, name: str) -> Written:
        written = parse(name)
        if written is None:
            raise InvalidRequest(
                f"{name[:200]!r} names no source of models.",
                param="id",
                hint="Names look like owner/repo, owner/repo/file.gguf, ollama://model:tag, https://..., or a path.",
            )
        return written

"""Ollama's registry: a manifest whose layers are a GGUF file and the texts that go with it.

Source: the media types in Ollama's own manifests, application/vnd.ollama.image.*
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from localai.domain.downloads import Listing, RemoteFile
from localai.domain.source_errors import SourceNotFound
from localai.sources.registry import Registry

if TYPE_CHECKING:
    from localai.outbound import Client
    from localai.sources.names import Written
    from localai.sources.registry import Descriptor

_KINDS: Final = "application/vnd.ollama.image."
_WEIGHTS: Final = {"model": "", "projector": "mmproj-", "adapter": "adapter-"}
_TEXTS: Final = frozenset({"template", "system", "params", "license"})
_TEXT_BYTES: Final = 1_000_000


class Ollama:
    """Models of Ollama's registry, or of another that speaks as it does."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def look(self, written: Written) -> Listing:
        """A model's files and texts. Raises SourceNotFound, DownloadFailed."""
        registry = Registry(self._client, written.host, written.repository)
        _, manifest = await registry.manifest(written.revision)
        model = written.repository.removeprefix("library/").rpartition("/")[2]
        stem = model if written.revision == "latest" else f"{model}-{written.revision}"
        files: list[RemoteFile] = []
        texts: dict[str, str] = {}
        for layer in manifest.layers:
            kind = layer.media_type.removeprefix(_KINDS)
            if kind in _WEIGHTS:
                files.append(_file(registry, layer, _numbered(files, f"{_WEIGHTS[kind]}{stem}")))
            elif kind in _TEXTS:
                texts[kind] = await registry.text(layer, limit_bytes=_TEXT_BYTES)
        if not any(layer.media_type == f"{_KINDS}model" for layer in manifest.layers):
            raise SourceNotFound(
                written.written,
                "is no model that can be downloaded: it has no weights",
                hint="Models whose name ends in -cloud run at Ollama's.",
            )
        tag = f":{written.revision}"
        return Listing(
            source="ollama",
            uri=f"ollama://{written.host}/{written.repository}{tag}",
            model_name=model if tag == ":latest" else f"{model}{tag}",
            files=tuple(files),
            revision=written.revision,
            is_exact=True,
            texts=texts,
        )


def _numbered(files: list[RemoteFile], stem: str) -> str:
    taken = {file.name for file in files}
    name, number = f"{stem}.gguf", 2
    while name in taken:
        name, number = f"{stem}-{number}.gguf", number + 1
    return name


def _file(registry: Registry, layer: Descriptor, name: str) -> RemoteFile:
    return RemoteFile(
        name=name,
        address=registry.blob_address(layer),
        size_bytes=layer.size,
        sha256=layer.digest.removeprefix("sha256:"),
        credentials=registry.credentials,
    )

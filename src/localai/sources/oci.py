"""OCI registries that hold models as files: one layer a file, with its name beside it.

Sources: OCI image specification 1.1 (annotations, artifacts), Docker's model artifacts
(application/vnd.docker.ai.*), the CNCF model format specification (application/vnd.cncf.model.*).
A layer that is an archive of a file system is refused: nothing is unpacked blindly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from localai.domain.downloads import Listing, RemoteFile
from localai.domain.errors import Unsupported
from localai.domain.source_errors import SourceNotFound
from localai.sources.registry import Registry

if TYPE_CHECKING:
    from localai.outbound import Client
    from localai.sources.names import Written
    from localai.sources.registry import Descriptor, Manifest

_ARCHIVES: Final = ("tar", "+gzip", "+zstd")
_GGUF: Final = ("application/vnd.docker.ai.gguf.v3", "application/vnd.docker.ai.gguf")
_PROJECTOR: Final = "application/vnd.docker.ai.mmproj"
_MOST_INDEXES: Final = 3


class Oci:
    """Models in registries of containers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def look(self, written: Written) -> Listing:
        """The files of an artifact. Raises SourceNotFound, Unsupported, DownloadFailed."""
        registry = Registry(self._client, written.host, written.repository)
        digest, manifest = await self._manifest(registry, written)
        model = written.repository.rpartition("/")[2]
        is_tag = not written.revision.startswith("sha256:")
        stem = f"{model}-{written.revision}" if is_tag and written.revision != "latest" else model
        files = tuple(
            _file(registry, layer, _name(layer, stem))
            for layer in manifest.layers
            if not _is_archive(layer)
        )
        if not files:
            what = "holds a file system in archives, which are not unpacked" if manifest.layers else "has no files"  # fmt: skip
            raise Unsupported(
                f"{written.written[:200]} {what}.",
                hint="Models are taken from artifacts that hold them as files, as `oras push` makes them.",
                param="id",
            )
        return Listing(
            source="oci",
            uri=f"oci://{written.host}/{written.repository}@{digest}",
            model_name=stem,
            files=files,
            revision=digest,
            is_exact=len(files) == 1,
        )

    async def _manifest(self, registry: Registry, written: Written) -> tuple[str, Manifest]:
        reference = written.revision
        for _ in range(_MOST_INDEXES):
            digest, manifest = await registry.manifest(reference)
            if not manifest.manifests:
                return digest, manifest
            reference = _for_this_host(manifest.manifests).digest
        raise SourceNotFound(written.written, "has indexes of indexes, and no manifest")


def _for_this_host(manifests: tuple[Descriptor, ...]) -> Descriptor:
    """Weights are the same for every machine; an image for Linux stands for the others."""
    real = [one for one in manifests if (one.platform or {}).get("architecture") != "unknown"]
    linux = [one for one in real if (one.platform or {}).get("os") == "linux"]
    return (linux or real or list(manifests))[0]


def _is_archive(layer: Descriptor) -> bool:
    return any(word in layer.media_type for word in _ARCHIVES)


def _name(layer: Descriptor, stem: str) -> str:
    if layer.title:
        return layer.title
    if layer.media_type.startswith(_PROJECTOR):
        return f"mmproj-{stem}.gguf"
    if layer.media_type in _GGUF or "gguf" in layer.media_type:
        return f"{stem}.gguf"
    return f"{stem}-{layer.digest.removeprefix('sha256:')[:12]}"


def _file(registry: Registry, layer: Descriptor, name: str) -> RemoteFile:
    return RemoteFile(
        name=name,
        address=registry.blob_address(layer),
        size_bytes=layer.size,
        sha256=layer.digest.removeprefix("sha256:"),
        credentials=registry.credentials,
    )

"""Registries of the OCI Distribution Specification 1.1: manifests, blobs, and their tokens.

Source: github.com/opencontainers/distribution-spec, and Docker's "Token Authentication
Specification" for who may read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

from localai.domain.downloads import Credentials
from localai.domain.errors import ChecksumMismatch, FetchFailed
from localai.domain.source_errors import DownloadFailed, SourceForbidden, SourceNotFound
from localai.outbound import Client
from localai.settings import is_loopback

MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json"
)
_LIMIT_BYTES: Final = 4_000_000  # what registries accept for a manifest
_DEFAULT_TOKEN_S: Final = 60.0
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 200, 401, 403, 404, 429
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class Descriptor(msgspec.Struct, frozen=True):
    """A blob: what it is, its digest (`sha256:...`) and size in bytes."""

    digest: str
    size: int
    media_type: str = msgspec.field(name="mediaType", default="")
    annotations: Mapping[str, str] | None = None
    artifact_type: str = msgspec.field(name="artifactType", default="")
    platform: Mapping[str, object] | None = None

    @property
    def title(self) -> str:
        """The file name that its author gave it, "" for none."""
        said = self.annotations or {}
        for key in ("org.opencontainers.image.title", "org.cncf.model.filepath"):
            if said.get(key):
                return said[key]
        return ""


class Manifest(msgspec.Struct, frozen=True):
    """A manifest, or an index of several (`manifests`)."""

    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    config: Descriptor | None = None
    media_type: str = msgspec.field(name="mediaType", default="")


class Registry:
    """One repository of one registry. Plain HTTP is spoken on this machine only."""

    def __init__(self, client: Client, host: str, repository: str) -> None:
        self._client = client
        self._repository = repository
        name = urlsplit(f"//{host}").hostname or ""
        scheme = "http" if is_loopback(name) else "https"
        self._base = f"{scheme}://{host}/v2/{repository}"
        self._shown = f"{host}/{repository}"
        self._token = ""
        self._token_until_s = 0.0
        self._challenge: dict[str, str] = {}

    async def manifest(self, reference: str) -> tuple[str, Manifest]:
        """The manifest of a tag or digest, with its own digest. Raises as `_get`."""
        headers = {"Accept": MANIFESTS}
        body, said = await self._get(f"{self._base}/manifests/{reference}", headers, reference)
        digest = _sha256(body)
        announced = reference if reference.startswith("sha256:") else said.get("Docker-Content-Digest", digest)  # fmt: skip
        if announced.startswith("sha256:") and announced != digest:
            raise ChecksumMismatch(
                f"The manifest of {self._shown} is {digest}, and {announced} was announced.",
                hint="Try again; if it stays so, the registry or a proxy changes it.",
            )
        try:
            return digest, msgspec.json.decode(body, type=Manifest)
        except msgspec.DecodeError as error:
            raise SourceNotFound(self._shown, f"has a manifest that cannot be read: {error}") from None  # fmt: skip

    async def text(self, blob: Descriptor, *, limit_bytes: int) -> str:
        """A small blob as text. Raises as `_get`, ChecksumMismatch."""
        if blob.size > limit_bytes:
            raise SourceNotFound(self._shown, f"has a text of {blob.size} bytes, where {limit_bytes} are allowed")  # fmt: skip
        body, _ = await self._get(self.blob_address(blob), {}, blob.digest)
        if _sha256(body) != blob.digest:
            raise ChecksumMismatch(f"The blob {blob.digest} of {self._shown} has other content.")
        return body.decode(errors="replace")

    def blob_address(self, blob: Descriptor) -> str:
        """Where a blob is fetched."""
        return f"{self._base}/blobs/{blob.digest}"

    @property
    def credentials(self) -> Credentials:
        """What a download sends along."""
        return self._headers

    async def _headers(self, again: bool) -> Mapping[str, str]:  # noqa: FBT001 - the form of Credentials
        """The token, asked for anew when it is used up or was refused."""
        if self._challenge and (again or time.monotonic() >= self._token_until_s):
            await self._ask_token()
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def _get(
        self, address: str, headers: Mapping[str, str], reference: str
    ) -> tuple[bytes, Mapping[str, str]]:
        """Raises SourceNotFound, SourceForbidden, DownloadFailed."""
        try:
            for again in (False, True):
                secret = await self._headers(again)
                status, said, body = await self._client.read(
                    address, headers, secret, limit_bytes=_LIMIT_BYTES
                )
                if status != _UNAUTHORIZED or again:
                    break
                self._challenge = dict(_CHALLENGE.findall(said.get("WWW-Authenticate", "")))
        except (OSError, FetchFailed) as error:
            why = error.fields["why"] if isinstance(error, FetchFailed) else str(error) or type(error).__name__  # fmt: skip
            raise DownloadFailed(self._shown, f"its registry cannot be asked: {why}") from error
        if status == _OK:
            return body, said
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            raise SourceForbidden(
                self._shown,
                f"is not open to everybody (status {status})",
                hint="Only public repositories can be read, or those of a registry on this machine.",
            )
        if status == _NOT_FOUND:
            raise SourceNotFound(self._shown, f"has no {reference!r} in its registry")
        why = f"its registry answered with status {status}"
        raise DownloadFailed(
            self._shown,
            why,
            hint="It allows no more at this moment; try later." if status == _TOO_MANY else "",
        )

    async def _ask_token(self) -> None:
        """Ask the server of the challenge for a token that may read."""
        realm = self._challenge.get("realm", "")
        query = {name: self._challenge[name] for name in ("service",) if name in self._challenge}
        scope = self._challenge.get("scope") or f"repository:{self._repository}:pull"
        status, _, body = await self._client.read(
            f"{realm}?{urlencode({**query, 'scope': scope})}", {}, limit_bytes=_LIMIT_BYTES
        )
        if status != _OK:
            raise SourceForbidden(
                self._shown, f"gives no token to everybody (status {status})", hint="Is it public?"
            )
        try:
            said = msgspec.json.decode(body, type=_Token)
        except msgspec.DecodeError:
            raise DownloadFailed(self._shown, "its registry gave no readable token") from None
        self._token = said.token or said.access_token
        self._token_until_s = time.monotonic() + 0.9 * said.expires_in


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    expires_in: float = _DEFAULT_TOKEN_S


def _sha256(data: bytes) -> str:
    import hashlib

    return f"sha256:{hashlib.sha256(data).hexdigest()}"

"""Fetching what a caller's address points to, without being turned against our own network.

A name is resolved once, by us, and only addresses that passed the check are connected to; so
neither a redirect, another spelling of an address nor a name that changes its answer gets around
it. Every redirect is checked anew and carries no header of the caller's. Source: OWASP,
"Server Side Request Forgery Prevention Cheat Sheet".
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from localai.domain.errors import FetchFailed
from localai.outbound.addresses import PrivateAddress, is_public, literal
from localai.outbound.late import have_library

if TYPE_CHECKING:
    import aiohttp

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200
_CHUNK_BYTES = 1 << 16
_CONNECTIONS = 32
_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """The limits of one fetch. `allow_private` lifts the check of addresses."""

    max_bytes: int = 20_000_000
    timeout_s: float = 20.0
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was at an address, and the media type its server declared."""

    data: bytes
    media_type: str


class Fetcher:
    """Fetches addresses within limits. The client is made with the first fetch."""

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, address: str, *, kinds: tuple[str, ...]) -> Fetched:
        """The content of `address`, which must declare a type such as `image/...` of `kinds`.

        Raises FetchFailed with a sentence for whatever goes wrong.
        """
        await have_library()
        import aiohttp

        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._follow(address, kinds)
        except TimeoutError:
            why = f"took longer than {self._settings.timeout_s:g} s"
        except aiohttp.ClientConnectorDNSError as error:
            why = f"could not be fetched: no host {error.host} is known here"
            if isinstance(error.os_error, PrivateAddress):
                why = f"is refused: {error.os_error}"
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or type(error.os_error).__name__
            why = f"could not be fetched: {error.host}:{error.port} takes no connection ({reason})"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = f"could not be fetched: {str(error) or type(error).__name__}"
        raise FetchFailed(address[:_SHOWN], why)

    async def close(self) -> None:
        """Close the client."""
        if self._session is not None:
            await self._session.close()

    async def _follow(self, address: str, kinds: tuple[str, ...]) -> Fetched:
        for _ in range(_MAX_REDIRECTS + 1):
            self._check(address)
            async with self._client().get(address, allow_redirects=False) as response:
                if response.status not in _REDIRECTS:
                    return await self._read(address, response, kinds)
                address = urljoin(address, response.headers.get("Location", ""))
        raise FetchFailed(address[:_SHOWN], f"redirects more than {_MAX_REDIRECTS} times")

    def _check(self, address: str) -> None:
        """What can be told without resolving: the scheme, credentials, a literal address."""
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FetchFailed(address[:_SHOWN], "is no http or https address")
        if parts.username is not None or parts.password is not None:
            raise FetchFailed(address[:_SHOWN], "holds a user name or password, which is not sent")
        found = literal(parts.hostname)
        if found is not None and not self._settings.allow_private and not is_public(found):
            raise FetchFailed(address[:_SHOWN], f"points into a private network ({found})")

    async def _read(
        self, address: str, response: aiohttp.ClientResponse, kinds: tuple[str, ...]
    ) -> Fetched:
        shown, limit = address[:_SHOWN], self._settings.max_bytes
        if response.status != _OK:
            raise FetchFailed(shown, f"answered with status {response.status}")
        media_type = response.content_type
        if not media_type.startswith(tuple(f"{kind}/" for kind in kinds)):
            raise FetchFailed(shown, f"is {media_type}, not {' or '.join(kinds)}")
        if response.content_length is not None and response.content_length > limit:
            raise FetchFailed(shown, f"is larger than the limit of {limit / 1e6:g} MB")
        pieces: list[bytes] = []
        size = 0
        async for piece in response.content.iter_chunked(_CHUNK_BYTES):
            size += len(piece)
            if size > limit:
                raise FetchFailed(shown, f"is larger than the limit of {limit / 1e6:g} MB")
            pieces.append(piece)
        return Fetched(b"".join(pieces), media_type)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            from localai.outbound.library import make_session

            self._session = make_session(
                guarded=not self._settings.allow_private, limit=_CONNECTIONS, user_agent="local-ai"
            )
        return self._session

"""HTTP for what is large or has to be asked for by rules of its own: downloads and registries.

Unlike `fetch`, it gives the response itself. Redirects are followed here, so that each address is
checked, and so that what was meant for one server (a token) is not sent to the next.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from localai.domain.errors import FetchFailed
from localai.outbound.addresses import is_public, literal
from localai.outbound.late import have_library
from localai.outbound.proxies import Proxies

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

MOST_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CONNECTIONS: Final = 64
_BUFFER_BYTES: Final = 1 << 18  # what aiohttp holds of one response before it stops reading
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What a client may do.

    `allow_private` lifts the check of addresses, `trusted` (HOST:PORT) lifts it for servers that
    the operator named. `stall_s` is how long a server may send nothing.
    """

    allow_private: bool = False
    trusted: Collection[str] = ()
    stall_s: float = 30.0
    user_agent: str = "local-ai"


class Response:
    """The answer to one request: its status and headers, and what comes after them."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self.address = str(response.url)

    async def read_some(self) -> bytes:
        """What has come, b"" at the end. Raises OSError, TimeoutError when nothing comes."""
        import aiohttp

        try:
            return await self._response.content.readany()
        except aiohttp.ClientError as error:
            from localai.outbound.library import broken

            raise broken(error) from error


class Client:
    """Asks servers over HTTP. The sessions are made with the first request."""

    def __init__(self, settings: ClientSettings, proxies: Proxies) -> None:
        self._settings = settings
        self._proxies = proxies
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    @asynccontextmanager
    async def get(
        self, address: str, headers: Mapping[str, str], secret: Mapping[str, str] | None = None
    ) -> AsyncIterator[Response]:
        """The response of `address` after its redirects, whatever its status.

        `secret` headers go to that server alone. Raises FetchFailed for an address that may not be
        asked and for endless redirects; PrivateAddress, Untrusted, TimeoutError and Broken, which
        are all OSErrors, for what goes wrong.
        """
        await have_library()
        import aiohttp

        from localai.outbound.library import broken

        try:
            async with self._followed(address, headers, secret or {}) as response:
                yield Response(response)
        except aiohttp.ClientError as error:
            raise broken(error) from error

    @asynccontextmanager
    async def _followed(
        self, address: str, headers: Mapping[str, str], secret: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        first = origin(address)
        for _ in range(MOST_REDIRECTS + 1):
            proxy = self._proxies.of(address)
            guarded = self._is_guarded(address)
            if guarded:
                _check_literal(address)
            sent = {**headers, **secret} if origin(address) == first else headers
            session = self._session(guarded=guarded and proxy is None)
            async with session.get(
                _spelled(address), headers=sent, allow_redirects=False, proxy=proxy
            ) as response:
                if response.status not in _REDIRECTS:
                    yield response
                    return
                address = redirected(address, response.headers.get("Location", ""))
        raise FetchFailed(address[:_SHOWN], f"redirects more than {MOST_REDIRECTS} times")

    async def read(
        self,
        address: str,
        headers: Mapping[str, str],
        secret: Mapping[str, str] | None = None,
        *,
        limit_bytes: int,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of `address`; for small things. Raises as `get`, and FetchFailed
        for more than `limit_bytes`.
        """  # noqa: D205 - one sentence of what may go wrong
        async with self.get(address, headers, secret) as response:
            body = bytearray()
            while piece := await response.read_some():
                body += piece
                if len(body) > limit_bytes:
                    raise FetchFailed(
                        address[:_SHOWN], f"is larger than the limit of {limit_bytes / 1e6:g} MB"
                    )
            return response.status, response.headers, bytes(body)

    async def close(self) -> None:
        """Close the sessions."""
        for session in self._sessions.values():
            await session.close()

    def _is_guarded(self, address: str) -> bool:
        return not self._settings.allow_private and origin(address) not in self._settings.trusted

    def _session(self, *, guarded: bool) -> aiohttp.ClientSession:
        if guarded not in self._sessions:
            from localai.outbound.library import make_session

            self._sessions[guarded] = make_session(
                guarded=guarded,
                limit=_CONNECTIONS,
                user_agent=self._settings.user_agent,
                stall_s=self._settings.stall_s,
                buffer_bytes=_BUFFER_BYTES,
            )
        return self._sessions[guarded]


def _spelled(address: str) -> URL:
    """The address as it is: to spell it anew would break the signatures in some."""
    from yarl import URL

    return URL(address, encoded=address.isascii() and " " not in address)


def origin(address: str) -> str:
    """HOST:PORT of an address. Raises FetchFailed when it is no http or https address."""
    try:
        parts = urlsplit(address)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        (parts.hostname or "").encode("idna")  # as it is asked for; a name may have too long a part
    except ValueError:
        raise FetchFailed(address[:_SHOWN], "is no http or https address") from None
    if port is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchFailed(address[:_SHOWN], "is no http or https address")
    if parts.username is not None or parts.password is not None:
        raise FetchFailed(
            f"{parts.scheme}://{parts.hostname}", "holds a user name or password, which is not sent"
        )
    return f"{parts.hostname}:{port}"


def redirected(address: str, location: str) -> str:
    """Where `location` leads from `address`. Raises FetchFailed for none, and away from https."""
    if not location:
        raise FetchFailed(address[:_SHOWN], "redirects without saying where to")
    try:
        target = urljoin(address, location)
    except ValueError:
        raise FetchFailed(address[:_SHOWN], "redirects to what is no address") from None
    origin(target)
    if urlsplit(address).scheme == "https" and urlsplit(target).scheme != "https":
        raise FetchFailed(address[:_SHOWN], "redirects from https to http")
    return target


def _check_literal(address: str) -> None:
    host = urlsplit(address).hostname or ""
    found = literal(host)
    if found is not None and not is_public(found):
        raise FetchFailed(address[:_SHOWN], f"points into a private network ({host})")


def is_ok(status: int) -> bool:
    """Whether a status says that what was asked for follows."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES

"""HTTP for what is large or has to be asked for by rules of its own: downloads and registries.

Unlike `fetch`, it gives the response itself. Redirects are followed here, so that each address is
checked, and so that what was meant for one server (a token) is not sent to the next.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from localai.domain.errors import FetchFailed
from localai.outbound.fetch import PublicResolver, is_public
from localai.outbound.proxies import Proxies

MOST_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CONNECT_S: Final = 20.0
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


class Client:
    """Asks servers over HTTP. The sessions are made with the first request."""

    def __init__(self, settings: ClientSettings, proxies: Proxies) -> None:
        self._settings = settings
        self._proxies = proxies
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    @asynccontextmanager
    async def get(
        self, address: str, headers: Mapping[str, str], secret: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response of `address` after its redirects, whatever its status.

        `secret` headers go to that server alone. Raises FetchFailed for an address that may not be
        asked and for endless redirects, aiohttp.ClientError and OSError for what goes wrong.
        """
        first = origin(address)
        for _ in range(MOST_REDIRECTS + 1):
            proxy = self._proxies.of(address)
            guarded = self._is_guarded(address)
            if guarded:
                _check_literal(address)
            sent = {**headers, **(secret or {})} if origin(address) == first else headers
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
            async for piece in response.content.iter_any():
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
            self._sessions[guarded] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=PublicResolver() if guarded else None, use_dns_cache=False, limit=64
                ),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=_CONNECT_S, sock_read=self._settings.stall_s
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._settings.user_agent, "Accept-Encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
                read_bufsize=_BUFFER_BYTES,
            )
        return self._sessions[guarded]


def _spelled(address: str) -> URL:
    """The address as it is: to spell it anew would break the signatures in some."""
    return URL(address, encoded=address.isascii() and " " not in address)


def origin(address: str) -> str:
    """HOST:PORT of an address. Raises FetchFailed when it is no http or https address."""
    try:
        parts = urlsplit(address)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
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
    target = urljoin(address, location)
    origin(target)
    if urlsplit(address).scheme == "https" and urlsplit(target).scheme != "https":
        raise FetchFailed(address[:_SHOWN], "redirects from https to http")
    return target


def _check_literal(address: str) -> None:
    host = urlsplit(address).hostname or ""
    try:
        literal = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return
    if not is_public(literal):
        raise FetchFailed(address[:_SHOWN], f"points into a private network ({host})")


def is_ok(status: int) -> bool:
    """Whether a status says that what was asked for follows."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES

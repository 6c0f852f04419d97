"""aiohttp, as this room uses it. Imported with the first request: many servers never make one."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from localai.domain.source_errors import UNREACHABLE
from localai.outbound.addresses import PrivateAddress, is_public
from localai.outbound.broken import Broken, Untrusted

_CONNECT_S: Final = 20.0


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only; the connection is made to just those."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The public addresses of `host`. Raises PrivateAddress when one is not."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        results: list[ResolveResult] = []
        for got_family, _, protocol, _, where in found:
            address = str(where[0])
            if not is_public(ipaddress.ip_address(address)):
                message = f"{host} points into a private network ({address})"
                raise PrivateAddress(message)
            results.append(
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=got_family,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        return results

    async def close(self) -> None:
        """Nothing to close."""


def make_session(
    *,
    guarded: bool,
    limit: int,
    user_agent: str,
    stall_s: float | None = None,
    buffer_bytes: int = 1 << 16,
) -> aiohttp.ClientSession:
    """Connections without cookies, proxies of the environment, or changes to what comes.

    `guarded` ones are made to public addresses only. At most `limit` are open; a server may send
    nothing for `stall_s` seconds, and `buffer_bytes` of a response are held.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=PublicResolver() if guarded else None, use_dns_cache=False, limit=limit
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=stall_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
        read_bufsize=buffer_bytes,
    )


def broken(error: aiohttp.ClientError) -> OSError:
    """An error of aiohttp's as one of ours, or of the system's."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return Untrusted(error.host, str(error.certificate_error))
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, PrivateAddress):
            return error.os_error
        case TimeoutError():
            return TimeoutError(str(error))
        case aiohttp.ClientConnectorError():
            why = error.os_error.strerror or str(error.os_error)
            return Broken(f"{error.host} {UNREACHABLE}: {why}")
        case _:
            return Broken(str(error) or type(error).__name__)

"""Who may come in: keys, origins and cross-site requests, checked before anything else runs."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from localai.domain.errors import CrossSite, NotAuthorized

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from localai.domain.errors import RequestError
    from localai.http.services import Services

_PUBLIC = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json", "/favicon.ico"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN_SITE = b"cross-site"
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
HAS_STARTED = "localai.has_started"  # in the scope of an answer that has begun
_HEADERS = "localai.headers"  # in the scope: what was read of it already
_KEY = "localai.key"


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers of a request; names are small, and the first of two of one name counts."""
    known: dict[bytes, bytes] | None = scope.get(_HEADERS)
    if known is None:
        known = scope[_HEADERS] = dict(reversed(scope["headers"]))
    return known


def bearer(scope: Scope) -> str:
    """The key a request carries, from any of the headers that clients use."""
    known: str | None = scope.get(_KEY)
    if known is None:
        known = scope[_KEY] = _key(headers_of(scope))
    return known


def _key(headers: dict[bytes, bytes]) -> str:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if token and scheme.lower() == b"bearer":
        return token.decode("latin-1").strip()
    return (headers.get(b"x-api-key") or headers.get(b"xi-api-key") or b"").decode("latin-1")


def name_of(key: str) -> str:
    """What a key is called where it must not be told."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def client_name(scope: Scope) -> str:
    """Who asks, for fair queueing: a digest of the key, else the address."""
    key = bearer(scope)
    if key:
        return name_of(key)
    return scope["client"][0] if scope.get("client") else ""


class Gate:
    """ASGI middleware: keys, CORS, cross-site checks, common headers and the request counters."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        settings = services.settings
        self._keys = tuple(key.encode() for key in settings.api_keys)
        self._origins = frozenset(settings.cors_allow_origins) if settings.cors else frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.monotonic()
        path = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope["path"] = path.rstrip("/") or "/"
        headers = headers_of(scope)
        origin = headers.get(b"origin", b"").decode("latin-1")
        status = 0

        def send_counted(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                scope[HAS_STARTED] = True
                self._decorate(message, origin)
            return send(message)

        try:
            if (
                scope["method"] == "OPTIONS"
                and origin
                and headers.get(b"access-control-request-method")
            ):
                await self._answer_preflight(send_counted)
                return
            refusal = self._refuse(scope, origin)
            if refusal is not None:
                await self._services.error_response(scope, refusal)(scope, receive, send_counted)
                return
            await self._app(scope, receive, send_counted)
        finally:
            self._count(scope, status, time.monotonic() - began_s)

    def _refuse(self, scope: Scope, origin: str) -> RequestError | None:
        key = bearer(scope)
        if self._keys and scope["path"] not in _PUBLIC:
            given = key.encode()
            if not any([hmac.compare_digest(given, known) for known in self._keys]):  # noqa: C419 - in constant time
                return NotAuthorized()
        if headers_of(scope).get(b"sec-fetch-site") == _FOREIGN_SITE:
            exempt = key or self._services.settings.disable_csrf or self._allows(origin)
            if scope["method"] not in _SAFE_METHODS and not exempt:
                return CrossSite()
        return None

    def _allows(self, origin: str) -> bool:
        return bool(origin) and ("*" in self._origins or origin in self._origins)

    def _decorate(self, message: Message, origin: str) -> None:
        message["headers"] = [*message["headers"], _NO_SNIFFING]
        machine_tag = self._services.settings.machine_tag
        if not origin and not machine_tag:
            return
        headers = MutableHeaders(raw=message["headers"])
        if self._allows(origin):
            headers["Access-Control-Allow-Origin"] = origin
            headers.add_vary_header("Origin")
        if machine_tag:
            headers["Machine-Tag"] = machine_tag

    async def _answer_preflight(self, send: Send) -> None:
        headers = [
            (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
            (b"access-control-allow-headers", b"*, Authorization, Content-Type"),
            (b"access-control-max-age", b"600"),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        path = getattr(route, "path", "other")
        metrics = self._services.metrics
        metrics.requests.labels(path, str(status)).inc()
        if status:
            metrics.api_call.labels(scope["method"], path).observe(seconds)

"""Wires the table, the gate and the last resort for unexpected exceptions."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.routing import Route, Router

from localai.domain.errors import EngineFailed, MethodNotAllowed, RouteNotFound
from localai.http import routes
from localai.http.gate import HAS_STARTED, Gate
from localai.observe.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from localai.http.services import Services

_log = logger(__name__)
_METHOD_NOT_ALLOWED = 405


def build(services: Services) -> ASGIApp:
    """The ASGI application of this server.

    Starlette routes; its own application class would put two more layers around every message.
    """
    rows = routes.table(services)
    services.spellers = {row.path: row.spell_error for row in rows if row.spell_error is not None}

    @cache
    def describe() -> bytes:  # most servers are never asked for it
        from localai.http.openapi import describe

        return describe(rows)

    for row in rows:
        endpoints = getattr(row.endpoint, "__self__", None)
        if endpoints is not None:
            endpoints.describe = describe

    def not_served(scope: Scope, error: HTTPException) -> Response:
        if error.status_code == _METHOD_NOT_ALLOWED:
            allowed = (error.headers or {}).get("Allow", "")
            return services.error_response(
                scope, MethodNotAllowed(scope["method"], scope["path"], allowed)
            )
        known = [row.path for row in rows]
        return services.error_response(scope, RouteNotFound(scope["method"], scope["path"], known))

    return Gate(LastResort(_Table(routes.routes(rows)), services, not_served), services)


class _Table:
    """Finds the route of a path: at once where it has no parameters, else as Starlette does."""

    def __init__(self, listed: Sequence[Route]) -> None:
        self._router = Router(routes=listed, redirect_slashes=False)
        self._plain = {
            (method, route.path): route
            for route in listed
            if "{" not in route.path
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to its route. Raises HTTPException where there is none."""
        route = (
            self._plain.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        )
        if route is None:
            await self._router(scope, receive, send)
            return
        scope["route"] = route
        scope["endpoint"] = route.endpoint
        scope["path_params"] = {}
        await route.app(scope, receive, send)


class LastResort:
    """Answers where there is no route, and turns what nobody expected into a clear, logged 500."""

    def __init__(
        self,
        app: ASGIApp,
        services: Services,
        not_served: Callable[[Scope, HTTPException], Response],
    ) -> None:
        self._app = app
        self._services = services
        self._not_served = not_served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer for whatever fails."""
        scope["app"] = self  # so that the router raises for what it does not have
        try:
            await self._app(scope, receive, send)
        except HTTPException as refusal:
            await self._not_served(scope, refusal)(scope, receive, send)
        except Exception:
            if scope["type"] != "http":
                raise
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if scope.get(HAS_STARTED):
                raise
            error = EngineFailed(
                "The server failed to handle this request: a bug in it, not in your request.",
                hint="The server's log has the details; please report them.",
            )
            await self._services.error_response(scope, error)(scope, receive, send)

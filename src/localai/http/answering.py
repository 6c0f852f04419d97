"""Endpoints that answer one request, for handlers that raise our errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from localai.domain.errors import LocalAIError
from localai.http.body import HungUp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from starlette.requests import Request

    from localai.dialects.contract import ErrorReply
    from localai.http.services import Services

_BAD_REQUEST = 400


def answering(
    services: Services,
    handler: Callable[[Request], Awaitable[Response]],
    spell_error: Callable[[LocalAIError], ErrorReply] | None = None,
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """A route's endpoint: whatever our errors say becomes the answer."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except HungUp:
            return Response(status_code=_BAD_REQUEST)
        except LocalAIError as error:
            return services.error_response(request.scope, error, spell_error)

    return answer

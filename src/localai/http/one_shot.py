"""Every endpoint of a task with one result: embeddings, ranking, tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.responses import Response

from localai.dialects import anthropic
from localai.domain.errors import LocalAIError
from localai.http.body import MEGABYTE, HungUp, read_body, until_hung_up
from localai.http.gate import bearer
from localai.http.media import with_media
from localai.http.origin import model_beside_the_body, origin_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from localai.catalog.spec import ModelSpec
    from localai.dialects.contract import OneShotCall, OneShotEndpoint
    from localai.http.services import Services


class OneShotRoute:
    """ASGI application of one dialect endpoint."""

    def __init__(self, endpoint: OneShotEndpoint, services: Services) -> None:
        self._endpoint = endpoint
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decode, call, encode. A client that hangs up ends it all."""
        services = self._services
        try:
            limit_bytes = services.settings.upload_limit * MEGABYTE
            body = await read_body(scope, receive, limit_bytes=limit_bytes)
            await until_hung_up(receive, self._answer(scope, receive, send, body))
        except HungUp:
            return
        except LocalAIError as error:
            await services.error_response(scope, error, self._endpoint.error)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        services = self._services
        origin = origin_of(scope)
        call = self._endpoint.decode(body, origin)
        named = call.model or model_beside_the_body(scope)
        await services.autoload.ensure(named)
        spec = services.library.find(named, hint=bearer(scope), task=call.task)
        services.library.require(spec, call.task)
        complete = await services.library.prepare(spec)
        body_out = await self.result(call, complete, named or spec.name, client=origin.client)
        headers_out = {"X-Correlation-ID": origin.answer_id}
        answer = Response(body_out, media_type="application/json", headers=headers_out)
        await answer(scope, receive, send)

    async def result(self, call: OneShotCall, spec: ModelSpec, model: str, *, client: str) -> bytes:
        """The response body of a decoded call. `spec` is complete; `model` is the name to show."""
        result = await self._services.pool.call(spec, call.task, call.request, client=client)
        return call.encode(result, model)


class CountRoute(OneShotRoute):
    """The count of a conversation's tokens, with its documents."""

    async def result(self, call: OneShotCall, spec: ModelSpec, model: str, *, client: str) -> bytes:
        """The response body."""
        assert isinstance(call, anthropic.CountTokensCall)
        owner = client if self._services.settings.api_keys else ""
        request = await with_media(call.request, self._services, spec, owner)
        return await super().result(replace(call, request=request), spec, model, client=client)

"""The routes of the Responses API and of conversations.

A response's id is the key under which it is stored, so it is never a caller's correlation id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from localai.dialects import openresponses
from localai.dialects.contract import Frame
from localai.domain.errors import LocalAIError
from localai.domain.tasks import Task
from localai.http.body import MEGABYTE, HungUp, read_body, until_hung_up
from localai.http.framing import SSE, sse
from localai.http.gate import bearer
from localai.http.generation import AnswerOut, KeptAlive
from localai.http.media import with_media
from localai.http.origin import model_beside_the_body, new_id, origin_of, owner_of
from localai.state import PageQuery

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from localai.catalog.spec import ModelSpec
    from localai.dialects.contract import Origin
    from localai.http.services import Services
    from localai.inference.responses import Responses

_JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A call with everything it goes on from, and the model that it is for; `model` is its name to show."""

    call: openresponses.ResponsesCall
    spec: ModelSpec
    model: str
    owner: str
    origin: Origin


class _CallRoute(ABC):
    """What the routes share whose body is a call."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._responses = services.responses
        self._endpoint = openresponses.ResponsesEndpoint()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body and answer. A client that hangs up ends what is not in the background."""
        try:
            limit_bytes = self._services.settings.upload_limit * MEGABYTE
            body = await read_body(scope, receive, limit_bytes=limit_bytes)
            await until_hung_up(receive, self._answer(scope, receive, send, body))
        except HungUp:
            return
        except LocalAIError as error:
            response = self._services.error_response(scope, error, self._endpoint.error)
            await response(scope, receive, send)

    @abstractmethod
    async def _answer(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        """Answer the call in `body`."""

    async def _read(self, scope: Scope, body: bytes) -> _Asked:
        services = self._services
        origin = replace(origin_of(scope), answer_id=new_id())  # it is a key
        owner = owner_of(scope, services.settings)
        call = await self._responses.expand(self._endpoint.decode(body, origin), owner)
        named = call.requests[0].model or model_beside_the_body(scope)
        await services.autoload.ensure(named)
        spec = services.library.find(named, hint=bearer(scope))
        request = await with_media(call.requests[0], services, spec, owner)
        call = replace(call, requests=(request,))
        return _Asked(call=call, spec=spec, model=named or spec.name, owner=owner, origin=origin)


class CountInputRoute(_CallRoute):
    """POST /v1/responses/input_tokens."""

    async def _answer(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        asked = await self._read(scope, body)
        spec = await self._services.library.prepare(asked.spec)
        request, client = asked.call.requests[0], asked.origin.client
        count = await self._services.pool.call(spec, Task.COUNT, request, client=client)
        shown = openresponses.encode_count(count)
        await Response(shown, media_type=_JSON)(scope, receive, send)


class CreateRoute(_CallRoute):
    """POST /v1/responses."""

    async def _answer(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        services, responses = self._services, self._responses
        asked = await self._read(scope, body)
        call, spec, model, owner = asked.call, asked.spec, asked.model, asked.owner
        if call.background:
            queued = await responses.start(call, spec, model=model, owner=owner)
            if call.streams:
                await send_frames(responses, call.response_id, owner, None, send)
            else:
                await Response(queued, media_type=_JSON)(scope, receive, send)
            return
        answer = AnswerOut(
            services=services,
            endpoint=self._endpoint,
            spec=spec,
            call=call,
            model=model,
            answer_id=asked.origin.answer_id,
            framing=SSE,
        )
        batches = responses.answer(call, spec, model=model, owner=owner)
        if call.streams:
            await answer.stream(batches, scope, send)
        else:
            await (await answer.whole(batches, scope))(scope, receive, send)


async def send_frames(
    responses: Responses, response_id: str, owner: str, starting_after: int | None, send: Send
) -> None:
    """Send the events of a stored response, and follow it while it goes on."""
    frames = await responses.follow(response_id, owner, starting_after)

    async def begin(send: Send) -> None:
        headers = [(b"content-type", SSE.content_type), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async with aclosing(frames), KeptAlive(begin, send, SSE.keep_alive) as signs:
        await signs.start()
        async for batch in frames:
            body = sse(Frame(*frame) for frame in batch)
            await send({"type": "http.response.body", "body": body, "more_body": True})
            signs.sent()
    await send({"type": "http.response.body", "body": b""})


class GetRoute:
    """GET /v1/responses/{response_id}, as JSON or as its events."""

    def __init__(self, services: Services) -> None:
        self._services, self._responses = services, services.responses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show the response, or resume its stream."""
        owner = owner_of(scope, self._services.settings)
        response_id = scope["path_params"]["response_id"]
        try:
            query = openresponses.stream_query(Request(scope).query_params)
            if query.streams:
                work = send_frames(self._responses, response_id, owner, query.starting_after, send)
                await until_hung_up(receive, work)
                return
            response = Response(await self._responses.get(response_id, owner), media_type=_JSON)
        except LocalAIError as error:
            response = self._services.error_response(scope, error, openresponses.error_reply)
        await response(scope, receive, send)


Handler = Callable[[Request, str], Awaitable[bytes]]


class Kept:
    """The small routes: each handler gives a JSON body."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._responses, self._conversations = services.responses, services.conversations

    def route(self, handler: Handler) -> Any:
        """An endpoint that answers what `handler` gives."""

        async def endpoint(request: Request) -> Response:
            owner = owner_of(request.scope, self._services.settings)
            try:
                return Response(await handler(request, owner), media_type=_JSON)
            except HungUp:
                return Response(status_code=400)  # nobody reads it
            except LocalAIError as error:
                return self._services.error_response(
                    request.scope, error, openresponses.error_reply
                )

        return endpoint

    async def _body(self, request: Request) -> bytes:
        limit_bytes = self._services.settings.upload_limit * MEGABYTE
        return await read_body(request.scope, request.receive, limit_bytes=limit_bytes)

    async def cancel(self, request: Request, owner: str) -> bytes:
        """Stop a response in the background."""
        return await self._responses.cancel(request.path_params["response_id"], owner)

    async def delete(self, request: Request, owner: str) -> bytes:
        """Forget a response."""
        response_id = request.path_params["response_id"]
        await self._responses.delete(response_id, owner)
        return openresponses.encode_deleted_response(response_id)

    async def input_items(self, request: Request, owner: str) -> bytes:
        """What a response was made from."""
        page = await self._responses.input_items(
            request.path_params["response_id"], owner, page_query(request)
        )
        return openresponses.encode_items(page.items, has_more=page.has_more)

    async def create_conversation(self, request: Request, owner: str) -> bytes:
        """Begin a conversation."""
        metadata, items = openresponses.decode_conversation(await self._body(request), new_id())
        return shown(await self._conversations.create(owner, metadata, items))

    async def conversation(self, request: Request, owner: str) -> bytes:
        """Show a conversation."""
        return shown(await self._conversations.get(request.path_params["conversation_id"], owner))

    async def update_conversation(self, request: Request, owner: str) -> bytes:
        """Change its metadata."""
        metadata = openresponses.decode_metadata(await self._body(request))
        name = request.path_params["conversation_id"]
        return shown(await self._conversations.update(name, owner, metadata))

    async def delete_conversation(self, request: Request, owner: str) -> bytes:
        """Forget a conversation."""
        name = request.path_params["conversation_id"]
        await self._conversations.delete(name, owner)
        return openresponses.encode_deleted_conversation(name)

    async def items(self, request: Request, owner: str) -> bytes:
        """Its items."""
        page = await self._conversations.items(
            request.path_params["conversation_id"], owner, page_query(request)
        )
        return openresponses.encode_items(page.items, has_more=page.has_more)

    async def add_items(self, request: Request, owner: str) -> bytes:
        """Add items."""
        items = openresponses.decode_items(await self._body(request), new_id())
        await self._conversations.add_items(request.path_params["conversation_id"], owner, items)
        return openresponses.encode_items(items, has_more=False)

    async def item(self, request: Request, owner: str) -> bytes:
        """One item."""
        named = request.path_params
        return await self._conversations.item(named["conversation_id"], named["item_id"], owner)

    async def delete_item(self, request: Request, owner: str) -> bytes:
        """Remove one item."""
        named = request.path_params
        return shown(
            await self._conversations.delete_item(named["conversation_id"], named["item_id"], owner)
        )


def page_query(request: Request) -> PageQuery:
    """Which page of items is wanted. Raises InvalidRequest."""
    query = openresponses.item_query(request.query_params)
    return PageQuery(limit=query.limit, is_ascending=query.is_ascending, after=query.after)


def shown(conversation: Any) -> bytes:
    """A conversation as JSON."""
    return openresponses.encode_conversation(
        conversation.conversation_id, conversation.created_unix_s, conversation.metadata
    )

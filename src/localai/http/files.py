"""The routes of uploaded files, in OpenAI's form and in Anthropic's.

Both APIs have them under the same paths. Anthropic's clients say which one is theirs with the
header `anthropic-version`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qs, quote

from starlette.responses import Response, StreamingResponse

from localai.dialects import anthropic, openai
from localai.documents import filename_of, media_type_of_file
from localai.domain.errors import FileTooLarge, InvalidRequest, LocalAIError
from localai.http.body import HungUp, declared_length, drain
from localai.http.multipart import Form, read_form
from localai.http.origin import owner_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from localai.dialects.contract import FilesEndpoint
    from localai.http.services import Services
    from localai.state import Incoming

_JSON = "application/json"
_AROUND_BYTES = 1024 * 1024  # of a form beside its file
_PIECE_BYTES = 256 * 1024

Handler = Callable[["Request", "FilesEndpoint", str], Awaitable[Response]]


class Files:
    """The endpoints. Each handler is given the API that is spoken, and whose files are meant."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.files
        self._openai, self._anthropic = openai.FilesEndpoint(), anthropic.FilesEndpoint()

    def route(self, handler: Handler) -> Any:
        """An endpoint that answers with `handler`."""

        async def endpoint(request: Request) -> Response:
            spoken = self._spoken(request)
            try:
                owner = owner_of(request.scope, self._services.settings)
                return await handler(request, spoken, owner)
            except HungUp:
                return Response(status_code=400)  # nobody reads it
            except LocalAIError as error:
                return self._services.error_response(request.scope, error, spoken.error)

        return endpoint

    async def create(self, request: Request, spoken: FilesEndpoint, owner: str) -> Response:
        """Take a file."""
        expected = declared_length(request.scope) - _AROUND_BYTES
        if expected > self._store.limit_bytes:
            if "expect" not in request.headers:  # such a client waits to be told before it sends
                await drain(request.receive, expected)
            raise FileTooLarge(limit_bytes=self._store.limit_bytes)
        incoming: Incoming | None = None

        def receive_file() -> Incoming:
            nonlocal incoming
            incoming = self._store.receive(max(0, expected))
            return incoming

        form = Form(request.headers.get("content-type", ""), receive_file)
        try:
            await read_form(form, request.receive)
            new = spoken.upload(form.fields)
            assert incoming is not None
            if not incoming.size_bytes:
                raise InvalidRequest("file is empty.", param="file")
            media_type = media_type_of_file(incoming.head, form.filename, form.media_type)
            filename = filename_of(form.filename, media_type)
            kept = await self._store.keep(
                incoming, new, owner=owner, filename=filename, media_type=media_type
            )
        finally:
            if incoming is not None:
                await asyncio.shield(asyncio.to_thread(incoming.discard))
        return Response(spoken.encode(kept), media_type=_JSON)

    async def list(self, request: Request, spoken: FilesEndpoint, owner: str) -> Response:
        """A page of the files."""
        params = parse_qs(request.scope["query_string"].decode("latin-1"))
        page = await self._store.list(owner, spoken.query(params))
        return Response(spoken.encode_page(page), media_type=_JSON)

    async def get(self, request: Request, spoken: FilesEndpoint, owner: str) -> Response:
        """What is known of one file."""
        file = await self._store.get(request.path_params["file_id"], owner)
        return Response(spoken.encode(file), media_type=_JSON)

    async def content(self, request: Request, spoken: FilesEndpoint, owner: str) -> Response:  # noqa: ARG002 - bytes are spelled one way
        """What one file holds."""
        kept, file = await self._store.open(request.path_params["file_id"], owner)
        headers = {
            "Content-Length": str(kept.size_bytes),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(kept.filename, safe='')}",
        }
        if request.method == "HEAD":
            file.close()
            return Response(headers=headers, media_type="application/octet-stream")
        return StreamingResponse(
            _pieces(file), media_type="application/octet-stream", headers=headers
        )

    async def delete(self, request: Request, spoken: FilesEndpoint, owner: str) -> Response:
        """Forget one file."""
        file_id = request.path_params["file_id"]
        await self._store.delete(file_id, owner)
        return Response(spoken.encode_deleted(file_id), media_type=_JSON)

    def _spoken(self, request: Request) -> FilesEndpoint:
        return self._anthropic if "anthropic-version" in request.headers else self._openai


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    try:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
    finally:
        file.close()

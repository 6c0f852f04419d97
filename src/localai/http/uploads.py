"""A file that comes with a question about it: it is on disk until the answer has left."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from localai.domain.errors import FileTooLarge, InvalidRequest
from localai.http.body import declared_length, drain
from localai.http.multipart import Form, read_form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope

    from localai.dialects import form_body
    from localai.state import FileStore, Incoming

_AROUND_BYTES: Final = 1024 * 1024  # of a form beside its file


@asynccontextmanager
async def received(
    scope: Scope, receive: Receive, store: FileStore
) -> AsyncIterator[tuple[form_body.Form, Incoming]]:
    """The fields of a form and its file, which is gone with the block.

    Raises InvalidRequest, FileTooLarge, StorageFull, BodyIncomplete, HungUp.
    """
    headers = Headers(scope=scope)
    expected = declared_length(scope) - _AROUND_BYTES
    if expected > store.limit_bytes:
        if "expect" not in headers:  # such a client waits to be told before it sends
            await drain(receive, expected)
        raise FileTooLarge(limit_bytes=store.limit_bytes)
    incoming: Incoming | None = None

    def receive_file() -> Incoming:
        nonlocal incoming
        incoming = store.receive(max(0, expected))
        return incoming

    try:
        try:
            form = Form(headers.get("content-type", ""), receive_file)
        except InvalidRequest:
            await drain(receive)
            raise
        await read_form(form, receive)
        assert incoming is not None
        if not incoming.size_bytes:
            message = "The file is empty."
            raise InvalidRequest(message, param="file", hint="Send an audio file.")
        yield form.lists, incoming
    finally:
        if incoming is not None:
            await asyncio.shield(asyncio.to_thread(incoming.discard))

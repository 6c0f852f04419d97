"""Ollama's routes for the files of models that are to be created."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from starlette.responses import Response

from localai.domain.errors import FileTooLarge, InvalidRequest
from localai.downloads.blobs import checked_digest
from localai.http.body import declared_length, drain, next_piece

if TYPE_CHECKING:
    from starlette.requests import Request

    from localai.http.services import Services
    from localai.state import Incoming

_PIECE_BYTES = 1024 * 1024  # written and hashed in one go, off the event loop
_CREATED, _THERE, _NOT_THERE = 201, 200, 404


class OllamaBlobs:
    """Asking for files, and sending them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ask(self, request: Request) -> Response:
        """Whether a file is there."""
        sha256 = checked_digest(request.path_params["digest"])
        found = await asyncio.to_thread(self._services.creation.blobs.find, sha256)
        return Response(status_code=_NOT_THERE if found is None else _THERE)

    async def take(self, request: Request) -> Response:
        """Take a file. Raises InvalidRequest when it is another than its address says."""
        blobs = self._services.creation.blobs
        sha256 = checked_digest(request.path_params["digest"])
        expected = declared_length(request.scope)
        if expected > blobs.limit_bytes:
            if "expect" not in request.headers:  # such a client waits to be told before it sends
                await drain(request.receive, expected)
            raise FileTooLarge(limit_bytes=blobs.limit_bytes, flag="--model-upload-limit")
        if await asyncio.to_thread(blobs.find, sha256) is not None:
            if "expect" not in request.headers:
                await _read_all(request, blobs.limit_bytes)
            return Response(status_code=_THERE)
        incoming = await asyncio.to_thread(blobs.receive, expected)
        try:
            came = await _written(request, incoming)
            if came != sha256:
                raise InvalidRequest(
                    f"The {incoming.size_bytes} bytes that came are sha256:{came}, and the address says "
                    f"sha256:{sha256}.",
                    param="digest",
                    hint="Send the whole file again, under its own digest.",
                )
            await asyncio.to_thread(blobs.keep, incoming, sha256)
        finally:
            await asyncio.shield(asyncio.to_thread(incoming.discard))
        return Response(status_code=_CREATED)


async def _written(request: Request, incoming: Incoming) -> str:
    """Write the body; its checksum in hexadecimal."""
    digest = hashlib.sha256()

    def take(data: bytes) -> None:
        digest.update(data)
        incoming.write(data)

    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        piece, more = await next_piece(request.receive)
        pieces.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES or not more:
            await asyncio.to_thread(take, b"".join(pieces))
            pieces, size = [], 0
    return digest.hexdigest()


async def _read_all(request: Request, limit_bytes: int) -> None:
    """Throw a body away, so that a client that sends it all first gets to read the answer."""
    size, more = 0, True
    while more and size <= limit_bytes:
        piece, more = await next_piece(request.receive)
        size += len(piece)

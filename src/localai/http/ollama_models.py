"""Ollama's routes that change which models there are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import yaml
from starlette.responses import Response, StreamingResponse

from localai.dialects import ollama
from localai.domain.errors import InvalidRequest
from localai.downloads import model_files
from localai.http.answering import answering
from localai.http.body import MEGABYTE, read_body
from localai.inference.model_jobs import check_model_name
from localai.sources import is_written_as_source

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
    from pathlib import Path

    from starlette.requests import Request

    from localai.domain.jobs import Job
    from localai.http.services import Services


_TICK_S = 0.2
_NDJSON = "application/x-ndjson"


class OllamaModels:
    """Pulling, copying and deleting models."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def route(
        self, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """A route's endpoint: whatever our errors say becomes the answer."""
        return answering(self._services, handler, ollama.error_reply)

    async def pull(self, request: Request) -> Response:
        """Install a model: of a gallery, from where its name says, else of Ollama's registry.

        Hanging up stops it; what came is kept for the next pull.
        """
        body = ollama.decode_pull(await self._body(request))
        asked = body.asked
        wish = {"written": asked, "name": check_model_name(_called(asked))}
        if not is_written_as_source(asked) and not await self._services.supply.galleries.knows(asked):  # fmt: skip
            wish["written"] = f"ollama://{asked}"
        job = await self._services.models.install(wish)
        if body.stream is not False:
            return StreamingResponse(self._told(job.job_id), media_type=_NDJSON)
        job = await self._ended(job)
        if job.error is not None:
            raise job.error
        return Response(ollama.encode_progress(job), media_type="application/json")

    async def delete(self, request: Request) -> Response:
        """Remove a model."""
        asked = ollama.decode_pull(await self._body(request)).asked
        job = await self._ended(await self._services.models.uninstall(asked))
        if job.error is not None:
            raise job.error
        return Response(b"", media_type="text/plain")

    async def copy(self, request: Request) -> Response:
        """Give a model a second name, with settings of its own."""
        source, destination = ollama.decode_copy(await self._body(request))
        spec = self._services.library.find_listed(source)
        if spec.is_starter:
            raise InvalidRequest(
                f"{spec.name!r} comes with the server and cannot be copied.", param="source"
            )
        check_model_name(destination)
        if destination in self._services.library.catalog().specs:
            raise InvalidRequest(
                f"There is a model named {destination!r} already.", param="destination"
            )
        await asyncio.to_thread(self._write_copy, spec, destination)
        await asyncio.to_thread(self._services.library.refresh)
        return Response(b"", media_type="text/plain")

    def _write_copy(self, spec: Any, destination: str) -> None:
        values = model_files.values_of(spec, self._folder)
        text = yaml.safe_dump({**values, "name": destination}, sort_keys=False, allow_unicode=True)
        model_files.write_model_file(text, self._folder)

    async def _told(self, job_id: str) -> AsyncGenerator[bytes, None]:
        """How far a job is, whenever that changes, until it ends."""
        last = b""
        try:
            while True:
                job = self._services.jobs.all[job_id]
                line = ollama.encode_progress(job)
                if line != last:
                    yield line + b"\n"
                    last = line
                if job.is_over:
                    return
                await self._services.jobs.wait(job_id, _TICK_S)
        finally:
            if not self._services.jobs.all[job_id].is_over:
                await self._services.jobs.pause(job_id)

    async def _ended(self, job: Job) -> Job:
        while not (found := await self._services.jobs.wait(job.job_id, _TICK_S) or job).is_over:
            pass
        return found

    async def _body(self, request: Request) -> bytes:
        limit_bytes = self._services.settings.upload_limit * MEGABYTE
        return await read_body(request.scope, request.receive, limit_bytes=limit_bytes)

    @property
    def _folder(self) -> Path:
        return self._services.settings.models_path.absolute()


def _called(asked: str) -> str:
    """What a pulled model is called: as it was asked for, where that can be a name."""
    return "" if "://" in asked or asked.startswith(("/", ".", "~")) else asked

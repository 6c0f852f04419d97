"""Ollama's routes that change which models there are."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from localai.dialects import ollama
from localai.domain.errors import LocalAIError, ModelNotFound, Unsupported
from localai.gallery.ollama_settings import check_parameters, model_settings
from localai.gallery.plan import over
from localai.http.answering import answering
from localai.http.body import MEGABYTE, read_body
from localai.inference.model_jobs import check_model_name
from localai.sources import is_written_as_source

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

    from starlette.requests import Request

    from localai.domain.downloads import NewModel
    from localai.domain.jobs import Job
    from localai.http.services import Services


_TICK_S = 0.2
_NDJSON = "application/x-ndjson"


class OllamaModels:
    """Pulling, creating, copying and deleting models."""

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
        job = await self._pulling(body.asked)
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
        await self._services.creation.copy(source, destination)
        return Response(b"", media_type="text/plain")

    async def create(self, request: Request) -> Response:
        """Make a model of files that were sent, or of another model, which is pulled if need be."""
        body, new = ollama.decode_create(await self._body(request))
        check_parameters(body.parameters or {})
        said = model_settings(body.parameters or {})
        steps = self._creating(replace(new, config=over(new.config, said)))
        try:
            first = await anext(steps)  # what is wrong with the request shows before it
        except StopAsyncIteration:
            raise AssertionError from None
        if body.stream is not False:
            return StreamingResponse(_lines(first, steps), media_type=_NDJSON)
        async for _ in steps:
            pass
        return Response(ollama.encode_status("success"), media_type="application/json")

    async def push(self, _request: Request) -> Response:
        """Models are not published from here."""
        raise Unsupported(
            "Models are not pushed to a registry from here.",
            feature="push",
            hint="`local-ai models export NAME FILE.tar` writes a model with all its files into one file.",
        )

    async def _creating(self, new: NewModel) -> AsyncGenerator[bytes, None]:
        """The lines of what is done, first a pull of what the model begins with."""
        services = self._services
        try:
            if new.base:
                services.library.find_listed(new.base)
        except ModelNotFound:
            if _called(new.base) != new.base:  # only an address: what it brings has no name yet
                new, asked = replace(new, base=new.name), new.base
                job = await self._pulling(asked, new.name)
            else:
                job = await self._pulling(new.base)
            async with aclosing(self._told(job.job_id)) as told:
                async for line in told:
                    job = services.jobs.all[job.job_id]
                    if job.error is not None:
                        raise job.error from None
                    if not job.is_over:
                        yield line
        async with aclosing(services.creation.create(new)) as steps:
            async for status in steps:
                yield ollama.encode_status(status) + b"\n"

    async def _pulling(self, asked: str, name: str = "") -> Job:
        """A job that installs what was asked for."""
        wish = {"written": asked, "name": check_model_name(name or _called(asked))}
        if not is_written_as_source(asked) and not await self._services.supply.galleries.knows(asked):  # fmt: skip
            wish["written"] = f"ollama://{asked}"
        return await self._services.models.install(wish)

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


async def _lines(first: bytes, steps: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """`first` and the rest; an error becomes the last line."""
    try:
        async with aclosing(steps):
            yield first
            async for line in steps:
                yield line
    except LocalAIError as error:
        yield ollama.error_reply(error).body + b"\n"


def _called(asked: str) -> str:
    """What a pulled model is called: as it was asked for, where that can be a name."""
    return "" if "://" in asked or asked.startswith(("/", ".", "~")) else asked

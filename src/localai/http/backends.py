"""The endpoints about engines: which there are, installing and removing them as jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from localai.dialects import native
from localai.dialects.openai import error_reply
from localai.domain.errors import JobNotFound, LocalAIError
from localai.domain.jobs import Step
from localai.engines.stock import shelf_json
from localai.http.body import MEGABYTE, read_body

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.requests import Request

    from localai.dialects.contract import ErrorReply
    from localai.domain.jobs import Job
    from localai.engines.stock import Shelf
    from localai.http.services import Services

_KIND = "backend"
_STATUSES = {
    "backend_not_installed": 404,
    "install_busy": 409,
    "install_failed": 400,
    "job_not_found": 404,
}


def spell_backend_error(error: LocalAIError) -> ErrorReply:
    """These errors are about what the caller named here, not about the server's set-up."""
    reply = error_reply(error)
    return replace(reply, status=_STATUSES.get(error.kind, reply.status))


class BackendEndpoints:
    """Engines, as LocalAI's routes have them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def route(
        self, handler: Callable[[Request], Awaitable[bytes]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """A route's endpoint: whatever our errors say becomes the answer."""

        async def answer(request: Request) -> Response:
            try:
                return Response(await handler(request), media_type="application/json")
            except LocalAIError as error:
                return self._services.error_response(request.scope, error, spell_backend_error)

        return answer

    async def installed(self, _request: Request) -> bytes:
        """Every backend that a model can use now."""
        shelves = self._services.stock.shelves()
        return msgspec.json.encode([_installed(shelf) for shelf in shelves if shelf.is_installed])

    async def available(self, _request: Request) -> bytes:
        """Every backend there is."""
        return msgspec.json.encode([_row(shelf) for shelf in self._services.stock.shelves()])

    async def galleries(self, _request: Request) -> bytes:
        """Where engines come from: the manifest of this package, and the user's own folder."""
        custom = self._services.stock.environments.custom
        return msgspec.json.encode(
            [{"name": "localai", "url": "package"}, {"name": "custom", "url": custom.as_uri()}]
        )

    async def apply(self, request: Request) -> bytes:
        """Install an engine, as a job."""
        limit_bytes = self._services.settings.upload_limit * MEGABYTE
        raw = await read_body(request.scope, request.receive, limit_bytes=limit_bytes)
        body = native.decode_apply(raw)
        stock = self._services.stock
        plan = stock.plan(body.backend, variant=body.variant)
        running = self._services.jobs.running(_KIND, plan.entry.name)
        job = running or self._services.jobs.start(
            _KIND, plan.entry.name, stock.install(plan, force=body.force)
        )
        return self._started(request, job)

    async def delete(self, request: Request) -> bytes:
        """Remove an engine, as a job: after the calls that run in it."""
        name = request.path_params["name"]
        shelf = self._services.stock.shelf(name)
        if not shelf.installed:
            await self._services.stock.uninstall(name)  # raises what is wrong with it
        job = self._services.jobs.start(
            _KIND, shelf.entry.name, self._removal(shelf.entry.name), is_removal=True
        )
        return self._started(request, job)

    async def job(self, request: Request) -> bytes:
        """How far a job is."""
        return native.encode_job(self._find(request.path_params["job_id"]))

    async def jobs(self, _request: Request) -> bytes:
        """Every job."""
        return native.encode_jobs(self._services.jobs.all)

    async def cancel(self, request: Request) -> bytes:
        """Stop a job."""
        job = self._find(request.path_params["job_id"])
        return native.encode_job(await self._services.jobs.cancel(job.job_id) or job)

    async def upgrades(self, _request: Request) -> bytes:
        """The engines that are not what this version of the server pins."""
        behind = {
            shelf.entry.name: {"backend_name": shelf.entry.name, "variants": list(shelf.outdated)}
            for shelf in self._services.stock.shelves()
            if shelf.outdated
        }
        return msgspec.json.encode(behind)

    async def upgrade(self, request: Request) -> bytes:
        """Bring one engine to what is pinned, as a job."""
        stock = self._services.stock
        shelf = stock.shelf(request.path_params["name"])
        variant = next(iter(shelf.outdated), None)
        if variant is None and shelf.installed:
            variant = shelf.installed[0].receipt.variant
        plan = stock.plan(shelf.entry.name, variant=variant)
        job = self._services.jobs.start(_KIND, plan.entry.name, stock.install(plan))
        return self._started(request, job)

    async def _removal(self, name: str) -> AsyncGenerator[Step, None]:
        yield Step("ending the workers that use it")
        await self._services.pool.unload_backend(name)
        yield Step("removing its files")
        await self._services.stock.uninstall(name)

    def _find(self, job_id: str) -> Job:
        job = self._services.jobs.all.get(job_id)
        if job is None:
            raise JobNotFound(job_id)
        return job

    def _started(self, request: Request, job: Job) -> bytes:
        status = f"{request.base_url}backends/jobs/{job.job_id}"
        return native.encode_started(job, status)


def _row(shelf: Shelf) -> dict[str, Any]:
    """A backend as LocalAI's gallery lists it, with what we know besides."""
    shown = shelf_json(shelf)
    return {
        **shown,
        "description": shelf.entry.summary,
        "urls": [shelf.entry.url] if shelf.entry.url else [],
        "tags": list(shelf.entry.tasks),
        "gallery": {"name": "localai" if shelf.entry.origin == "package" else "custom"},
    }


def _installed(shelf: Shelf) -> dict[str, Any]:
    return {
        "Name": shelf.entry.name,
        "IsSystem": shelf.entry.is_bundled,
        "IsMeta": False,
        "Metadata": {"name": shelf.entry.name, "alias": ", ".join(shelf.entry.aliases)},
        **_row(shelf),
    }

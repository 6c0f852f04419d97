"""The endpoints that install, change and remove models."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from localai.dialects import native
from localai.domain.errors import InvalidRequest, JobNotFound, SpecInvalid
from localai.downloads import model_files
from localai.http.answering import answering
from localai.http.body import MEGABYTE, read_body
from localai.inference.model_jobs import KIND, check_model_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

    from starlette.requests import Request

    from localai.catalog.spec import ModelSpec
    from localai.domain.jobs import Job
    from localai.http.services import Services


class ModelEndpoints:
    """Models, as LocalAI's routes have them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def route(
        self, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """A route's endpoint: whatever our errors say becomes the answer."""

        async def checked(request: Request) -> Response:
            try:
                return await handler(request)
            except SpecInvalid as error:  # the caller's own text, not the operator's
                raise InvalidRequest(error.message, hint=error.hint) from error

        return answering(self._services, checked)

    async def apply(self, request: Request) -> Response:
        """Install a model, as a job."""
        wish = native.decode_model_apply(await self._body(request))
        return await self._install(request, wish)

    async def import_uri(self, request: Request) -> Response:
        """Install a model from where its files are, as a job."""
        return await self._install(request, native.decode_import_uri(await self._body(request)))

    async def delete(self, request: Request) -> Response:
        """Remove a model with the files that are its alone, as a job."""
        return self._started(
            request, await self._services.models.uninstall(request.path_params["name"])
        )

    async def jobs(self, _request: Request) -> Response:
        """Every job about models."""
        listed = {key: job for key, job in self._services.jobs.all.items() if job.kind == KIND}
        return _json(native.encode_jobs(listed))

    async def job(self, request: Request) -> Response:
        """How far a job is."""
        return _json(native.encode_job(self._find(request)))

    async def cancel(self, request: Request) -> Response:
        """Stop a job, and remove what came."""
        job = self._find(request)
        return _json(native.encode_job(await self._services.jobs.cancel(job.job_id) or job))

    async def pause(self, request: Request) -> Response:
        """Stop a job for now, and keep what came."""
        job = self._find(request)
        return _json(native.encode_job(await self._services.jobs.pause(job.job_id) or job))

    async def resume(self, request: Request) -> Response:
        """Go on with a job that was paused, or that failed."""
        job = self._find(request)
        return _json(native.encode_job(await self._services.jobs.resume(job.job_id) or job))

    async def import_file(self, request: Request) -> Response:
        """Add a model file."""
        text = await self._text(request)
        spec, path = await asyncio.to_thread(model_files.write_model_file, text, self._folder)
        await asyncio.to_thread(self._services.library.refresh)
        await self._services.models.complete(spec.name)
        return _done(f"The model {spec.name!r} was added.", path.name)

    async def show_file(self, request: Request) -> Response:
        """The model file, as it is written; for weights without one, what it would say."""
        spec = self._services.library.find_listed(request.path_params["name"])
        path = model_files.model_file_of(spec, self._folder)
        if path is not None:
            text = await asyncio.to_thread(path.read_text)
        else:
            text = model_files.to_yaml(model_files.values_of(spec, self._folder))
        return Response(text, media_type="application/yaml")

    async def edit_file(self, request: Request) -> Response:
        """Replace a model file; a new name in it renames the model."""
        text = await self._text(request)
        spec = self._services.library.find_listed(request.path_params["name"])
        if spec.is_starter:
            raise InvalidRequest(f"{spec.name!r} comes with the server and cannot be changed.")
        new, path = await asyncio.to_thread(self._replace_file, spec, text)
        await asyncio.to_thread(self._services.library.refresh)
        return _done(f"The model {new!r} was changed.", path.name)

    async def toggle_state(self, request: Request) -> Response:
        """Let a model answer, or not."""
        is_off = self._action(request, "disable", "enable")
        spec, filename = await self._set(request, "disabled", is_on=is_off)
        if is_off:
            self._services.pool.retire(spec.name)
        said = "answers no requests now" if is_off else "answers requests"
        return _done(f"The model {spec.name!r} {said}.", filename)

    async def toggle_pinned(self, request: Request) -> Response:
        """Keep a model in memory for good, or not."""
        is_on = self._action(request, "pin", "unpin")
        spec, filename = await self._set(request, "pinned", is_on=is_on)
        self._services.pool.pin(spec.name, is_on=is_on)
        said = (
            "is never unloaded for another one now" if is_on else "may be unloaded for another one"
        )
        return _done(f"The model {spec.name!r} {said}.", filename)

    async def aliases(self, _request: Request) -> Response:
        """Which names stand for other models."""
        specs = self._services.library.catalog().specs.values()
        found = {spec.name: spec.alias for spec in specs if spec.alias is not None}
        return _json(msgspec.json.encode(found))

    def _action(self, request: Request, yes: str, no: str) -> bool:
        """Whether the first of two words stands at the end of the address."""
        said = request.path_params["action"]
        if said not in (yes, no):
            hint = f"The address ends in /{yes} or /{no}."
            raise InvalidRequest(f"{said[:80]!r} is no action.", param="action", hint=hint)
        return bool(said == yes)

    async def _set(self, request: Request, key: str, *, is_on: bool) -> tuple[ModelSpec, str]:
        spec = self._services.library.find_listed(request.path_params["name"])
        path = await asyncio.to_thread(
            model_files.set_flag, spec, key, is_on=is_on, models_path=self._folder
        )
        await asyncio.to_thread(self._services.library.refresh)
        return spec, path.name

    async def reload(self, _request: Request) -> Response:
        """Look at the models folder now."""
        catalog = await asyncio.to_thread(self._services.library.refresh)
        body = {
            "success": True,
            "message": f"{len(catalog.specs)} models are there.",
            "problems": list(catalog.problems),
        }
        return _json(msgspec.json.encode(body))

    def _replace_file(self, spec: Any, text: str) -> tuple[str, Path]:
        """Write the new model file, and remove the old one when the name has changed."""
        old = model_files.model_file_of(spec, self._folder)
        model_files.values_of(spec, self._folder)  # refuses a file with several models
        new = model_files.check_model_file(text, self._folder)
        if new.name == spec.name and old is not None:
            model_files.replace_text(old, text, self._folder)
            return new.name, old
        taken = new.name != spec.name and new.name in self._services.library.catalog().specs
        if taken:
            raise InvalidRequest(f"There is a model named {new.name!r} already.", param="name")
        _, path = model_files.write_model_file(text, self._folder)
        if old is not None and old != path:
            old.unlink()
        return new.name, path

    async def _install(self, request: Request, wish: dict[str, Any]) -> Response:
        check_model_name(wish.get("name", ""))
        return self._started(request, await self._services.models.install(wish))

    def _started(self, request: Request, job: Job) -> Response:
        status = f"{request.base_url}models/jobs/{job.job_id}"
        return _json(native.encode_started(job, status))

    def _find(self, request: Request) -> Job:
        job_id = request.path_params["job_id"]
        job = self._services.jobs.all.get(job_id)
        if job is None or job.kind != KIND:
            raise JobNotFound(job_id)
        return job

    async def _body(self, request: Request) -> bytes:
        limit_bytes = self._services.settings.upload_limit * MEGABYTE
        return await read_body(request.scope, request.receive, limit_bytes=limit_bytes)

    async def _text(self, request: Request) -> str:
        raw = await read_body(request.scope, request.receive, limit_bytes=model_files.MOST_BYTES)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise InvalidRequest("The model file is not UTF-8 text.") from None

    @property
    def _folder(self) -> Path:
        return self._services.settings.models_path.absolute()


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _done(message: str, filename: str) -> Response:
    return _json(msgspec.json.encode({"success": True, "message": message, "filename": filename}))

"""Installing and removing models, as jobs that outlive the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Protocol

from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.jobs import Step
from localai.downloads.names import safe_name
from localai.downloads.removal import plan_removal, remove
from localai.observe.log import logger

if TYPE_CHECKING:
    from localai.domain.downloads import ModelPlan, WantedFile
    from localai.domain.jobs import Job
    from localai.downloads.install import Installer
    from localai.inference.jobs import Jobs
    from localai.inference.library import Library
    from localai.supervisor.pool import Pool

_log = logger(__name__)
KIND: Final = "model"


class Planner(Protocol):
    """Says what installing a model takes."""

    async def plan(
        self, written: str, *, name: str = "", variant: str = "",
        overrides: Mapping[str, Any] | None = None,
    ) -> ModelPlan:  # fmt: skip
        """For an entry of a gallery, or a source's name."""
        ...

    async def of_wanted(self, name: str, wanted: Sequence[WantedFile]) -> ModelPlan:
        """For files that a model file names."""
        ...

    async def of_request(
        self, body: Mapping[str, Any], *, name: str = "", overrides: Mapping[str, Any] | None = None
    ) -> ModelPlan:
        """For an entry that stands in a request itself."""
        ...


class ModelJobs:
    """The models that this server installs and removes."""

    def __init__(
        self, jobs: Jobs, planner: Planner, installer: Installer, library: Library, pool: Pool
    ) -> None:
        self._jobs = jobs
        self._planner = planner
        self._installer = installer
        self._library = library
        self._pool = pool
        self._plans: dict[str, ModelPlan] = {}
        jobs.run_with(KIND, self)

    async def recover(self) -> None:
        """Put in place what an earlier process had fetched whole, and go on with its jobs."""
        try:
            await asyncio.to_thread(self._installer.recover)
        except (OSError, LocalAIError) as error:  # the server starts all the same
            _log.error("What was downloaded cannot be put in place: %s", error)
        await self._jobs.recover()

    async def install(self, request: Mapping[str, Any]) -> Job:
        """Install what `request` asks for; a job that does so already is not doubled.

        It has `written` (an entry's name, or where the files are) or `entry` (an entry itself),
        and may have `name`, `variant`, `overrides`, `force`.
        """
        subject = str(request.get("written") or request.get("name") or "a model")
        running = next(
            (job for job in self._jobs.all.values() if job.kind == KIND and not job.is_over and job.request == request),
            None,
        )  # fmt: skip
        if running is not None:
            return await self._jobs.resume(running.job_id) or running
        return await self._jobs.submit(KIND, subject, request)

    async def uninstall(self, name: str) -> Job:
        """Remove a model. Raises ModelNotFound, InvalidRequest before the job begins."""
        await asyncio.to_thread(self._plan_removal, name)
        return await self._jobs.submit(KIND, name, {"remove": name}, is_removal=True)

    async def complete(self, name: str) -> Job | None:
        """Fetch what the model file of `name` names and is not there; None when all of it is."""
        if self._library.wanting(name) is None:
            return None
        return await self._jobs.submit(KIND, name, {"complete": name})

    def run(self, request: Mapping[str, Any]) -> AsyncGenerator[Step, None]:
        """The steps of a job."""
        if "remove" in request:
            return self._removal(str(request["remove"]))
        if "complete" in request:
            return self._completion(str(request["complete"]))
        return self._install(request)

    async def discard(self, request: Mapping[str, Any]) -> None:
        """Remove what came of a model that nobody wants any more."""
        plan = self._plans.pop(_key(request), None)
        if plan is not None:
            await self._installer.discard(plan)

    async def _install(self, request: Mapping[str, Any]) -> AsyncGenerator[Step, None]:
        yield Step("looking it up")
        plan = await self._plan(request)
        self._plans[_key(request)] = plan
        steps = self._installer.install(plan, force=bool(request.get("force")))
        async with aclosing(steps):
            async for step in steps:
                yield step
        self._plans.pop(_key(request), None)
        await asyncio.to_thread(self._library.refresh)

    async def _completion(self, name: str) -> AsyncGenerator[Step, None]:
        yield Step("looking it up")
        spec = self._library.wanting(name)
        if spec is not None:
            plan = await self._planner.of_wanted(spec.name, self._library.missing_files(spec))
            async with aclosing(self._installer.install(plan)) as steps:
                async for step in steps:
                    yield step
            await asyncio.to_thread(self._library.refresh)
        yield Step("done")

    async def _plan(self, request: Mapping[str, Any]) -> ModelPlan:
        name, overrides = str(request.get("name") or ""), request.get("overrides") or {}
        entry = request.get("entry")
        if entry:
            return await self._planner.of_request(entry, name=name, overrides=overrides)
        return await self._planner.plan(
            str(request["written"]),
            name=name,
            variant=str(request.get("variant") or ""),
            overrides=overrides,
        )

    async def _removal(self, name: str) -> AsyncGenerator[Step, None]:
        removal = await asyncio.to_thread(self._plan_removal, name)
        yield Step("ending its worker")
        await self._pool.unload(removal.name)
        yield Step("removing its files")
        await asyncio.to_thread(remove, removal, self._installer.models_path)
        await asyncio.to_thread(self._library.refresh)
        yield Step("done")

    def _plan_removal(self, name: str) -> Any:
        return plan_removal(name, self._library.refresh(), self._installer.models_path)


def _key(request: Mapping[str, Any]) -> str:
    return repr(sorted(request.items(), key=lambda item: item[0]))


def check_wish(written: str) -> str:
    """`written` itself. Raises InvalidRequest when a caller names nothing."""
    if not written.strip():
        raise InvalidRequest("id is missing: the name of the model to install.", param="id")
    return written.strip()


def check_model_name(name: str) -> str:
    """`name` itself, "" included. Raises InvalidRequest for one that cannot be a model's."""
    if name:
        safe_name(name.replace("/", "__").replace(":", "__"))
    return name

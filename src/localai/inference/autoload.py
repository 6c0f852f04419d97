"""Installing a model because a request names it, where the operator allows that."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.source_errors import EntryNotFound, SourceNotFound
from localai.observe.log import logger
from localai.sources import parse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from localai.catalog.spec import ModelSpec
    from localai.domain.downloads import ModelPlan
    from localai.domain.jobs import Step
    from localai.gallery.planner import Planner
    from localai.inference.library import Library

_log = logger(__name__)

# Callers may name what lies in public places made for models; never files or addresses of ours.
_SOURCES: Final = frozenset({"huggingface", "ollama"})
_NO_MODEL: Final = (EntryNotFound, SourceNotFound, InvalidRequest, Unsupported)


class Autoload:
    """Has models installed by the names that requests give them. `install` does a plan's steps.

    What an operator's model file names is fetched in any case; `is_on` allows all other names.
    """

    def __init__(
        self,
        library: Library,
        planner: Planner,
        install: Callable[[ModelPlan], AsyncGenerator[Step, None]],
        *,
        is_on: bool,
    ) -> None:
        self._library = library
        self._planner = planner
        self._install = install
        self._is_on = is_on
        self._running: dict[str, asyncio.Task[None]] = {}

    async def ensure(self, name: str) -> None:
        """Install the model `name` when there is none, and somebody knows it.

        Requests for one model wait for one install, which goes on when they hang up. Raises
        DownloadFailed, SourceForbidden, StorageFull, ChecksumMismatch.
        """
        if not name or self._library.lacks_nothing(name):
            return
        if self._library.has(name):
            await self._complete(name)
        elif name in self._running or (self._is_on and await self._is_known(name)):
            await self._once(name, partial(self._obtain, name))

    async def _complete(self, name: str) -> None:
        """Fetch what the model file of `name` names and nobody has fetched yet."""
        spec = self._library.wanting(name)
        if spec is not None:
            await self._once(spec.name, partial(self._fetch, spec))

    async def _once(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do `work`, or wait for the one who does it."""
        if name not in self._running:
            task = asyncio.create_task(work())
            self._running[name] = task
            task.add_done_callback(lambda _: self._running.pop(name, None))
        await asyncio.shield(self._running[name])

    async def close(self) -> None:
        """Stop installing; what came is kept for the next time."""
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _is_known(self, name: str) -> bool:
        try:
            written = parse(name)
        except InvalidRequest:
            return False
        if written is not None and written.source in _SOURCES:
            return True
        return await self._planner.galleries.knows(name)

    async def _fetch(self, spec: ModelSpec) -> None:
        wanted = self._library.missing_files(spec)
        plan = await self._planner.of_wanted(spec.name, wanted)
        listed = ", ".join(file.name for file in wanted)
        _log.info("fetching %s, because %s names it", listed, spec.origin)
        async with aclosing(self._install(plan)) as steps:
            async for _ in steps:
                pass
        await asyncio.to_thread(self._library.refresh)

    async def _obtain(self, name: str) -> None:
        try:
            plan = await self._planner.plan(name, name=name)
        except _NO_MODEL as error:
            _log.info("%s is not installed by itself: %s", name, error.sentence)
            return
        _log.info("installing %s, because a request names it: %s. %s", name, plan.uri, plan.why)
        async with aclosing(self._install(plan)) as steps:
            async for _ in steps:
                pass
        await asyncio.to_thread(self._library.refresh)

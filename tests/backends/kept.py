"""A worker that several tests share: loading an engine takes longer than most questions to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from localai.engines.manifest import BackendEntry
from tests.backends.lone import Lone, loaded
from tests.live import PATIENCE_S

Result = TypeVar("Result")


class Kept:
    """A loaded backend and the event loop it is asked from; use it as a context manager."""

    def __init__(self, entry: BackendEntry, path: Path | str, **settings: Any) -> None:
        self.entry = entry
        self.path = path
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._context: Any = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._context = loaded(self.entry, self.path, **self._settings)
        self.lone: Lone = self._do(self._context.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._context.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def ask(self, test: Callable[[Lone], Coroutine[Any, Any, Result]]) -> Result:
        """Run a coroutine function with the worker."""
        return self._do(test(self.lone))

    def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * PATIENCE_S)

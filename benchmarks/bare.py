"""An engine's library in a process of its own: what ours is measured against."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.measures import Effort, Row
from benchmarks.processes import environment
from localai.engines.manifest import Manifest
from localai.supervisor import launcher
from tests.engines.installed import ENVIRONMENTS, ROOT


class Library:
    """The library in a process of its own; it works only while it is asked."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def seconds(self, *given: Any) -> float:
        """How long it takes for `given`: texts and a batch's size, a sound's path, or a text."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(given).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the library's process has ended")
        return float(line)


def engine_python(backend: str) -> Path:
    installed = ENVIRONMENTS.find(Manifest().find(backend))
    if installed is None:
        raise RuntimeError(f"{backend} is not installed: make engines")
    return installed.python


def surroundings() -> dict[str, str]:
    paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "HF_HUB_OFFLINE": "1"}
    return launcher._ENGINE_ENVIRONMENT | environment() | paths  # noqa: SLF001 - as the launcher does for a worker


@contextlib.asynccontextmanager
async def library(backend: str, kind: str, model: Path) -> AsyncIterator[Library]:
    process = await asyncio.create_subprocess_exec(
        engine_python(backend), "-m", "benchmarks.library", kind, model,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, env=surroundings(),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        while (line := await process.stdout.readline()) != b"ready\n":
            if not line:
                raise RuntimeError(f"the library of {backend} did not start")
        yield Library(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def where_installed(measure: Callable[[Effort], Awaitable[list[Row]]]) -> Any:
    """A measurement that says why it gives nothing where its engines are not installed."""

    async def measured(effort: Effort) -> list[Row]:
        try:
            return await measure(effort)
        except RuntimeError as error:
            print(f"left out: {error}", file=sys.stderr)
            return []

    return measured

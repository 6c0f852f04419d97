"""The processes that are measured: starting them, and reading what they used. Linux only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from benchmarks.client import Target, status
from localai.supervisor import launcher

COMMAND = Path(sys.executable).parent / "local-ai"
_READY_S = 60.0
_POLL_S = 0.004


@contextlib.contextmanager
def models_folder(name: str, text: str, weights: Path | None = None) -> Iterator[Path]:
    """A folder with one model file, and the weights that it calls `weights.gguf`."""
    folder = Path(tempfile.mkdtemp(prefix="localai-bench-"))
    try:
        (folder / f"{name}.yaml").write_text(f"name: {name}\n{text}", encoding="utf-8")
        if weights is not None:
            (folder / "weights.gguf").symlink_to(weights)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment() -> dict[str, str]:
    """What a user's shell would give: without the wait policy that `make` sets for tests."""
    return {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A running server: its port, its process id, and that of its worker if it has one."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    @property
    def worker_pid(self) -> int:
        """The first child."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        children = [int(pid) for task in tasks for pid in task.read_text().split()]
        return min(children)

    def target(self, model: str) -> Target:
        return Target(self.port, model)


def cpu_s(pid: int) -> float:
    """The CPU time of a process with all its threads, ended ones too, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)  # the process CPU clock of another process


def main_thread_cpu_s(pid: int) -> float:
    """The CPU time of a process's first thread: in a worker, the one that runs our code."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.asynccontextmanager
async def server(
    folder: Path, *models: str, arguments: tuple[str, ...] = ()
) -> AsyncIterator[Process]:
    """`local-ai run`, ready, with `models` loaded."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = ["run", *models, "--models-path", str(folder), "--address", address, *arguments]
    async with _running(sys.executable, "-m", "localai", *command) as process:
        began = time.monotonic()
        while await status(port, "/readyz") != 200:
            if process.returncode is not None or time.monotonic() - began > _READY_S:
                raise RuntimeError("local-ai did not start")
            await asyncio.sleep(_POLL_S)
        yield Process(process.pid, port)


@contextlib.asynccontextmanager
async def engine(folder: Path, model: str) -> AsyncIterator[Process]:
    """The engine's own server with the same model and the same parameters."""
    async with _running(sys.executable, "-m", "benchmarks.engine", str(folder), model) as process:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode().strip()
        if not line:
            raise RuntimeError("the engine did not start")
        yield Process(process.pid, int(line.rpartition(":")[2].strip("/")))


@contextlib.asynccontextmanager
async def _running(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=launcher._ENGINE_ENVIRONMENT | environment(),  # noqa: SLF001 - as the launcher does for a worker
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 5.0)
        except TimeoutError:
            process.kill()
            await process.wait()

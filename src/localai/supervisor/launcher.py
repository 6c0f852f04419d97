"""Starts workers. The only file above the wire that may know a worker is a process on this host."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from localai.domain.errors import BackendNotInstalled, StartFailed
from localai.engines.install import isolated
from localai.observe.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localai.engines.environments import Environments, Installed
    from localai.engines.manifest import BackendEntry

_log = logger(__name__)
_TAIL_LINES = 40
_LINE_LIMIT_BYTES = 1 << 16
_PREFIX = "localai-run-"
_LONGEST_ROOT = 38  # characters; a Unix socket's path has 104 on macOS, and ours add up to 64
# libgomp's threads spin while they wait: harmless on an idle machine, and 15 to 35 times slower on
# a busy one. A thousand rounds cost nothing and give the core back.
_ENGINE_ENVIRONMENT = {"GOMP_SPINCOUNT": "1000", "GGML_NO_BACKTRACE": "1", "PYTHONUNBUFFERED": "1"}
_ALONE = Path(__file__).parents[1] / "worker" / "alone.py"
_SECRETS = ("LOCALAI_API_KEY", "API_KEY", "LOCALAI_API_KEYS")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a worker listens: a Unix socket, or host and port with a bearer token."""

    socket: str = ""
    url: str = ""
    token: str = ""


class Launched(Protocol):
    """A worker that was started somewhere."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens, or will."""
        ...

    @property
    def description(self) -> str:
        """What a log line calls it, for example `pid 4711`."""
        ...

    def log_tail(self) -> str:
        """The last lines it printed."""
        ...

    def memory_bytes(self) -> int | None:
        """Its resident memory, or None where that cannot be told."""
        ...

    def is_outdated(self) -> bool:
        """Whether its engine was replaced by another install; may block."""
        ...

    async def exited(self) -> int | None:
        """Wait for its end; the exit code, negative for a signal, None when nobody knows."""
        ...

    async def stop(self, *, grace_s: float) -> None:
        """End it: politely, and after `grace_s` seconds for certain."""
        ...


class Launcher(Protocol):
    """Starts workers on some host."""

    def check(self, entry: BackendEntry) -> None:
        """Raise BackendNotInstalled when no worker of that backend could be started."""
        ...

    async def launch(self, entry: BackendEntry, name: str) -> Launched:
        """Start a worker of a backend for the model `name`.

        Raises StartFailed, BackendNotInstalled.
        """
        ...

    async def close(self) -> None:
        """Forget everything; all workers have been stopped."""
        ...


class LocalProcess:
    """A worker process on this host."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        socket: str,
        name: str,
        tidy: Callable[[], None],
        is_replaced: Callable[[], bool],
    ) -> None:
        self._process = process
        self._is_replaced = is_replaced
        self._tidy = tidy  # what is left to do when it has ended; it may block
        self._name = name
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self.endpoint = Endpoint(socket=socket)
        self.description = f"pid {process.pid}"
        self._reading = asyncio.create_task(self._read_output())

    def log_tail(self) -> str:
        """The last lines it printed."""
        return "\n".join(self._tail)

    def memory_bytes(self) -> int | None:
        """Its resident memory, from the process table."""
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1]
        except OSError:
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def is_outdated(self) -> bool:
        """Whether its engine was replaced by another install."""
        return self._is_replaced()

    async def exited(self) -> int | None:
        """Wait for its end and for the last of its output."""
        code = await self._process.wait()
        await asyncio.to_thread(self._tidy)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reading), 1.0)
        return code

    async def stop(self, *, grace_s: float) -> None:
        """SIGTERM, and after `grace_s` seconds SIGKILL."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM if grace_s else signal.SIGKILL)
            try:
                await asyncio.wait_for(self._process.wait(), grace_s or 5.0)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        Path(self.endpoint.socket).unlink(missing_ok=True)  # noqa: ASYNC240 - one system call
        await asyncio.to_thread(self._tidy)

    async def _read_output(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # a line over the limit; its rest comes as the next one
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self._tail.append(text)
            _log.debug("worker %s: %s", self._name, text)


@dataclass(frozen=True, slots=True)
class _Place:
    """The interpreter of a worker; `mark` is the open file that keeps its environment, -1 for none."""

    python: str
    installed: Installed | None = None
    mark: int = -1


class LocalLauncher:
    """Starts workers as children of this process, on sockets in a private folder."""

    def __init__(
        self, environment: Mapping[str, str], environments: Environments | None = None
    ) -> None:
        self._environment = {
            key: value for key, value in environment.items() if key not in _SECRETS
        }
        self._environments = environments
        self._numbers = itertools.count(1)
        self._folder: Path | None = None

    def check(self, entry: BackendEntry) -> None:
        """Raise BackendNotInstalled when its engine is not on this host."""
        if not entry.is_bundled and not (self._environments and self._environments.find(entry)):
            raise _not_installed(entry)

    async def launch(self, entry: BackendEntry, name: str) -> LocalProcess:
        """Start a worker process. It ends with this one, however that ends."""
        place = self._place(entry)
        try:
            socket = str(self._socket_folder() / f"{next(self._numbers)}.sock")
            process = await self._start(entry, place, socket)
        except OSError as error:
            message = f"The worker process for the model {name!r} could not be started: {error}."
            raise StartFailed(message) from error
        finally:
            if place.mark >= 0:
                os.close(place.mark)  # the worker has it, and nobody else
        return LocalProcess(
            process,
            socket,
            name,
            tidy=partial(self._tidy, socket, place),
            is_replaced=partial(self._is_replaced, place),
        )

    def _socket_folder(self) -> Path:
        """A private folder; a new one where what cleans the system's folder has taken it away."""
        if self._folder is None or not self._folder.is_dir():
            root = _root()
            _remove_left_behind(root)
            made = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=root)  # mode 0700
            self._folder = Path(made)
        return self._folder

    async def _start(
        self, entry: BackendEntry, place: _Place, socket: str
    ) -> asyncio.subprocess.Process:
        scratch = _scratch(socket)
        scratch.mkdir()  # the worker's own place for temporary files; it goes when the worker does
        environment = _ENGINE_ENVIRONMENT | self._environment | {"TMPDIR": str(scratch)}
        start = ["-m", "localai.worker"]
        if place.installed is not None:
            start = ["-P", str(_ALONE)]
            environment = isolated(environment)
        return await asyncio.create_subprocess_exec(
            *(place.python, *start, entry.module, "--listen", f"unix:{socket}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            limit=_LINE_LIMIT_BYTES,
            start_new_session=True,  # Ctrl-C is the server's; it stops workers in its own order
            pass_fds=[place.mark] if place.mark >= 0 else [],
        )

    def _place(self, entry: BackendEntry) -> _Place:
        """Where its worker runs: the server's own environment where the engine needs none."""
        if entry.is_bundled:
            return _Place(sys.executable)
        held = self._environments.hold(entry) if self._environments else None
        if held is None:
            raise _not_installed(entry)
        installed, mark = held
        return _Place(str(installed.python), installed, mark)

    def _is_replaced(self, place: _Place) -> bool:
        if place.installed is None or self._environments is None:
            return False
        return self._environments.is_replaced(place.installed)

    def _tidy(self, socket: str, place: _Place) -> None:
        shutil.rmtree(_scratch(socket), ignore_errors=True)
        if place.installed is not None and self._environments is not None:
            self._environments.release(place.installed)

    async def close(self) -> None:
        """Remove the folder of the sockets."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _not_installed(entry: BackendEntry) -> BackendNotInstalled:
    command = f"local-ai backends install {entry.name}"
    return BackendNotInstalled(
        f"The engine of the backend {entry.name!r} is not installed.",
        command=command,
        hint=f"Install it: {command}",
    )


def _scratch(socket: str) -> Path:
    return Path(socket).with_suffix(".tmp")


def _root() -> Path:
    """The system's folder for temporary files, or /tmp where that is too deep for sockets."""
    usual, short = tempfile.gettempdir(), "/tmp"  # noqa: S108 - what lies in it has a random name and mode 0700
    return Path(short if len(usual) > _LONGEST_ROOT and os.access(short, os.W_OK) else usual)


def _remove_left_behind(root: Path) -> None:
    """Remove the socket folders of servers that were killed."""
    for folder in root.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not pid.isdigit() or _is_alive(int(pid)):
            continue
        shutil.rmtree(folder, ignore_errors=True)  # another user's folder stays


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""Installing an engine: uv does it, into a virtual environment of its own.

A kill at any moment leaves the old state or the new one (see `environments`), and the next try goes
on where this one stopped: finished downloads are in uv's cache, and so is what was unpacked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from localai.domain.errors import InstallFailed
from localai.domain.jobs import Step
from localai.engines.environments import Installed, Receipt, interpreter
from localai.engines.plan import TORCH_BUILDS, WORKER_PACKAGES, InstallPlan

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence

    from localai.engines.environments import Environments

_TAIL_LINES: Final = 30
_SHOWN_LINES: Final = 6
_LINE_LIMIT_BYTES: Final = 1 << 16
_STOP_S: Final = 5.0
_CHECK_LIMIT_S: Final = 300.0  # the first import of torch on a slow disk takes minutes
_DOWNLOADING = re.compile(r"Downloading (\S+) \(([\d.]+)\s?([KMGT]?)i?B\)")
_DOWNLOADED = re.compile(r"Downloaded (\S+)$")
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_BOOTSTRAP: Final = Path(__file__).parents[1] / "worker" / "alone.py"

# pip's settings that people have for their networks, under the names that uv reads.
_PIP_SETTINGS: Final = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}


class Able(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment said of itself: its Python, packages and versions, the backend's tasks."""

    python: str
    packages: dict[str, str]
    tasks: list[str]


class Installer:
    """Installs and removes engines below one folder."""

    def __init__(self, environments: Environments, environment: Mapping[str, str]) -> None:
        self._environments = environments
        self._variables = _for_uv(environment)

    async def install(
        self, plan: InstallPlan, *, force: bool = False
    ) -> AsyncGenerator[Step, None]:
        """Do what `plan` says. Closing the generator stops it.

        Raises InstallFailed with uv's last lines, InstallBusy.
        """
        entry, variant = plan.entry, plan.variant
        with self._environments.locked(entry.name):
            installed = self._environments.read(entry.name, variant.name)
            target = self._environments.environment(entry.name, variant.name, plan.digest)
            if installed is not None and installed.folder == target and not force:
                yield Step("installed already")
                return
            if force and target.exists():
                target = target.with_name(f"{target.name}-{time.time_ns():x}")
            self._check_disk(plan)
            yield Step("making the environment")
            packages = _Downloads(variant.download_bytes)
            async for line in self._uv(*_venv(plan, target)):
                yield packages.after(line)
            python = interpreter(target)
            for text, command in _install_commands(plan, python, self._local_wheels()):
                yield packages.step(text)
                async for line in self._uv(*command):
                    yield packages.after(line)
            yield packages.step("checking that it can be imported")
            able = await self._check(plan, python)
            receipt = Receipt(
                backend=entry.name,
                variant=variant.name,
                digest=target.name,
                why=plan.why,
                python=able.python,
                packages=able.packages,
                size_bytes=await asyncio.to_thread(_size_bytes, target),
                installed_unix_s=int(time.time()),
            )
            self._environments.write(receipt)
            await asyncio.to_thread(self._environments.sweep, entry.name, variant.name)
            yield packages.step("done")

    async def uninstall(self, backend: str, variant: str) -> None:
        """Remove an environment. Raises InstallBusy."""
        with self._environments.locked(backend):
            await asyncio.to_thread(self._environments.remove, backend, variant)

    async def check(self, plan: InstallPlan, installed: Installed) -> Able:
        """Import the engine in its environment. Raises InstallFailed."""
        return await self._check(plan, installed.python)

    def _local_wheels(self) -> tuple[Path, ...]:
        """The folders of wheels that the user's settings name."""
        named = self._variables.get("UV_FIND_LINKS", "").split(",")
        return tuple(path for name in named if name and (path := Path(name)).is_dir())

    def _check_disk(self, plan: InstallPlan) -> None:
        free = shutil.disk_usage(self._environments.root).free
        if plan.disk_bytes > free:
            raise InstallFailed(
                f"The engine of {plan.entry.name!r} needs about {_shown(plan.disk_bytes)} on the "
                f"disk of {self._environments.root}, where {_shown(free)} are free.",
                hint="Free some space, or put the data elsewhere with --data-path.",
            )

    async def _check(self, plan: InstallPlan, python: Path) -> Able:
        entry = plan.entry
        command = [str(python), "-P", str(_BOOTSTRAP), "--check", entry.module, *entry.imports]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=isolated(self._variables),
        )
        try:
            async with asyncio.timeout(_CHECK_LIMIT_S):
                said, wrong = await process.communicate()
        except TimeoutError:
            message = f"Importing the engine of {plan.entry.name!r} took longer than {_CHECK_LIMIT_S:g} s."
            raise InstallFailed(message) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            tail = wrong.decode(errors="replace").strip()
            reason = tail.splitlines()[-1] if tail else f"exit code {process.returncode}"
            needed = plan.entry.system_packages
            raise InstallFailed(
                f"The engine of {plan.entry.name!r} is there and cannot be imported: {reason}",
                log_tail=tail,
                hint=f"It needs these packages of the system: {', '.join(needed)}."
                if needed
                else f"Try it anew: local-ai backends install {plan.entry.name} --force",
            )
        return msgspec.json.decode(said.splitlines()[-1], type=Able)

    async def _uv(self, *arguments: str) -> AsyncIterator[str]:
        """Run uv; its lines as they come. Raises InstallFailed with the last of them."""
        process = await asyncio.create_subprocess_exec(
            _uv_program(),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(self._variables),
            cwd=self._environments.root,  # a project's uv settings are not ours
            limit=_LINE_LIMIT_BYTES,
            start_new_session=True,
        )
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        try:
            assert process.stdout is not None
            async for raw in process.stdout:
                line = raw.decode(errors="replace").strip()
                if line:
                    tail.append(line)
                    yield line
            code = await process.wait()
        finally:
            await _end(process)
        if code != 0:
            raise _failed(arguments, list(tail))


def _for_uv(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables uv runs with: the user's own, and pip's where uv has none."""
    variables = {
        **environment,
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    for pip, uv in _PIP_SETTINGS.items():
        if pip in environment and uv not in environment:
            variables[uv] = environment[pip]
    if "UV_FIND_LINKS" in variables:
        variables["UV_FIND_LINKS"] = ",".join(variables["UV_FIND_LINKS"].replace(",", " ").split())
    return variables


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process in an engine's environment: nothing leads it to other packages.

    What Python compiles is kept there whatever the server's own settings, for the environment is
    ours: reading PyTorch and its like from their sources takes ten seconds at each start.
    """
    outside = {
        "PYTHONPATH",
        "PYTHONHOME",
        "VIRTUAL_ENV",
        "PYTHONSTARTUP",
        "PYTHONDONTWRITEBYTECODE",
    }
    kept = {key: value for key, value in environment.items() if key not in outside}
    return {**kept, "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1"}


def _uv_program() -> str:
    from uv import find_uv_bin

    return find_uv_bin()


def _venv(plan: InstallPlan, target: Path) -> list[str]:
    """Make the environment, or go on with one whose install stopped."""
    wanted = plan.entry.python or f">={sys.version_info[0]}.{sys.version_info[1]}"
    python = sys.executable if _is_in_range(wanted) else wanted
    return ["venv", "--allow-existing", "--quiet", "--no-project", "--python", python, str(target)]


def _is_in_range(wanted: str) -> bool:
    """Whether the server's own Python will do. Only `>=X.Y` and `<X.Y` are written in manifests."""
    here = sys.version_info[:2]
    for part in wanted.split(","):
        match = re.fullmatch(r"\s*(>=|<)\s*(\d+)\.(\d+)\s*", part)
        if match is None:
            return False
        bound = (int(match[2]), int(match[3]))
        if (match[1] == ">=" and here < bound) or (match[1] == "<" and here >= bound):
            return False
    return True


def _install_commands(
    plan: InstallPlan, python: Path, local: Sequence[Path]
) -> Iterator[tuple[str, list[str]]]:
    """What has to be installed, in order: PyTorch for this hardware, then all that is pinned.

    PyTorch's CPU builds are in no common index, and whoever has no network to PyTorch's own has
    them in a folder; `local` are such folders.
    """
    pip = ["pip", "install", "--python", str(python)]
    offline = ["--no-index", "--find-links", str(plan.wheels.absolute())] if plan.wheels else []
    variant = plan.variant
    if variant.torch:
        wanted = f"torch=={variant.torch}"
        near = [folder for folder in local if any(folder.glob(f"torch-{variant.torch}*.whl"))]
        source = offline or ["--torch-backend", TORCH_BUILDS[variant.name]]
        if near and not offline:
            source = ["--no-index", "--find-links", str(near[0])]
        yield f"installing {wanted}", [*pip, *source, "--no-deps", wanted]
    if variant.lock is not None:
        pinned = ["--require-hashes", "--no-deps", "--no-build", "-r", str(variant.lock)]
        yield "installing the packages", [*pip, *offline, *pinned]
    else:
        yield "installing the packages", [*pip, *offline, *WORKER_PACKAGES, *variant.requires]


class _Downloads:
    """What uv's lines say of the downloads."""

    def __init__(self, expected_bytes: int) -> None:
        self._expected = expected_bytes
        self._announced: dict[str, int] = {}
        self._done: set[str] = set()
        self._text = ""

    def step(self, text: str) -> Step:
        """The next step begins."""
        self._text = text
        return self._now(text)

    def after(self, line: str) -> Step:
        """The progress after one more line."""
        text = self._text
        if match := _DOWNLOADING.search(line):
            size = int(float(match[2]) * _UNITS[match[3]])
            self._announced[match[1]] = size
            text = f"downloading {match[1]} ({_shown(size)})"
        elif match := _DOWNLOADED.search(line):
            self._done.add(match[1])
            waiting = [name for name in self._announced if name not in self._done]
            text = f"downloading {', '.join(waiting)}" if waiting else "unpacking"
        elif line.startswith(("Prepared", "Installed", "Resolved", "Building")):
            text = line[0].lower() + line[1:]
        return self._now(text)

    def _now(self, text: str) -> Step:
        done = sum(size for name, size in self._announced.items() if name in self._done)
        return Step(text, done, max(self._expected, sum(self._announced.values())))


def _failed(arguments: Sequence[str], tail: list[str]) -> InstallFailed:
    text = "\n".join(tail)
    telling = [line for line in tail if not line.startswith("Using Python")]
    last = " | ".join(telling[-_SHOWN_LINES:])
    hint = "Correct that, then start the install again; it goes on where it stopped."
    if re.search(
        r"dns error|connect error|tcp connect|timed out|network|Failed to fetch",
        text,
        re.IGNORECASE,
    ):
        hint = (
            "Look at the network, or install without one: put the wheel files into a folder and "
            "name it with --wheels."
        )
    elif "in the provided package locations" in text and "--find-links" in arguments:
        hint = (
            "Fill the folder on a machine with a network and the same Python, then start again: "
            f"{_download(arguments)}"
        )
    elif "No interpreter found" in text:
        hint = "Install that Python; it may stand beside the one that runs the server."
    elif "No space left" in text:
        hint = "Free some space, or put the data elsewhere with --data-path."
    return InstallFailed(f"uv {arguments[0]} failed: {last}", log_tail=text, hint=hint)


def _download(arguments: Sequence[str]) -> str:
    """The command that fetches what an install from a folder wants."""
    folder, *wanted = arguments[arguments.index("--find-links") + 1 :]
    kept = [word for word in wanted if word not in ("--require-hashes", "--no-build")]
    return shlex.join(["pip", "download", "--only-binary", ":all:", "-d", folder, *kept])


async def _end(process: asyncio.subprocess.Process) -> None:
    """End uv and everything it started."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _size_bytes(folder: Path) -> int:
    """What the folder takes; files that several environments share count in each."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _shown(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"  # noqa: PLR2004

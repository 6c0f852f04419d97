"""Downloads over loopback against curl, and a models folder with many model files."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

from benchmarks.measures import Effort, Row
from benchmarks.processes import environment
from localai.domain.downloads import ModelPlan, RemoteFile
from localai.downloads import Downloader, DownloadSettings, Installer
from localai.outbound import Client, ClientSettings, Proxies

BYTES = 2_000_000_000
ROUNDS = 3
YAMLS = 10_000
_BLOCK = 1 << 24


async def downloads(effort: Effort) -> list[Row]:
    """One file with its checksum, by us and by curl (which knows no checksum) with sha256sum."""
    size = max(200_000_000, int(BYTES * effort.scale))
    with tempfile.TemporaryDirectory(prefix="localai-bench-") as name:
        folder = Path(name)
        digest = await asyncio.to_thread(_make, folder / "file", size)
        with _served(folder / "file") as address:
            ours, plain, checked = [], [], []
            for _ in range(ROUNDS):  # in turns, so that what else the machine does hits all
                plain.append(_curl(folder, address, checks=False))
                ours.append(await asyncio.to_thread(_install, folder, address, size, digest))
                checked.append(_curl(folder, address, checks=True))
    speeds = {key: size / 1e6 / statistics.median(times) for key, times in
              (("ours", ours), ("curl", plain), ("curl and sha256sum", checked))}  # fmt: skip
    noise = (max(plain) - min(plain)) / statistics.median(plain)
    shown = ", ".join(f"{key} {speed:.0f} MB/s" for key, speed in speeds.items())
    return [
        Row(
            measure=f"download of {size / 1e9:g} GB with its checksum, against curl without",
            value=round(speeds["ours"] / speeds["curl"], 2), unit="x", target=0.8, at_least=True,
            note=shown, noise=noise,
        ),
        Row(
            measure="the same, against curl and sha256sum",
            value=round(speeds["ours"] / speeds["curl and sha256sum"], 2), unit="x",
        ),
    ]  # fmt: skip


async def download_memory(effort: Effort) -> list[Row]:
    """What a process that downloads a sparse file takes at most."""
    size = int(5_000_000_000 * max(effort.scale, 0.2))
    with tempfile.TemporaryDirectory(prefix="localai-bench-") as name:
        folder = Path(name)
        with (folder / "file").open("wb") as file:
            file.truncate(size)
        with _served(folder / "file") as address:
            program = (
                "import sys, benchmarks.downloads as one, pathlib;"
                "one._install(pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), '');"
                # not ru_maxrss, which begins with the peak of the process that starts this one
                "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
            )
            command = [sys.executable, "-c", program, str(folder), address, str(size)]
            running = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, check=True
            )
    row = Row(
        measure=f"memory while downloading {size / 1e9:g} GB, interpreter and all",
        value=round(int(running.stdout) / 1000), unit="MB", target=100.0,
    )  # fmt: skip
    return [row]


async def many_models(effort: Effort) -> list[Row]:
    """A folder with very many model files."""
    count = int(YAMLS * max(effort.scale, 0.2))
    with tempfile.TemporaryDirectory(prefix="localai-bench-") as name:
        models = Path(name) / "models"
        models.mkdir()
        for number in range(count):
            text = f"name: model-{number}\nbackend: echo\nparameters:\n  temperature: 0.5\n"
            (models / f"model-{number}.yaml").write_text(text)
        return await asyncio.to_thread(_many, models, count)


def _many(models: Path, count: int) -> list[Row]:
    began_s = time.perf_counter()
    command = [sys.executable, "-m", "localai", "run", "--address", "127.0.0.1:0", "--models-path", str(models)]  # fmt: skip
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment(), cwd=models.parent
    )
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "listens on" in line)
        url = line.split("listens on ")[1].split()[0]
        ready_s = time.perf_counter() - began_s
        times = []
        for _ in range(10):
            at_s = time.perf_counter()
            listed = len(_models(url))
            times.append(time.perf_counter() - at_s)
        assert listed == count, listed
        (models / "new.yaml").write_text("name: new\nbackend: echo\n")
        at_s = time.perf_counter()
        while "new" not in _models(url):
            assert time.perf_counter() - at_s < 60
        seen_s = time.perf_counter() - at_s
    finally:
        process.terminate()
        process.wait(30)
    return [
        Row(measure=f"start to ready with {count} model files", value=round(ready_s, 2), unit="s", target=5.0),
        Row(measure="GET /v1/models of them, median", value=round(1000 * statistics.median(times), 1), unit="ms", target=100.0),
        Row(measure="until a new model file is seen", value=round(seen_s, 2), unit="s", target=2.0),
    ]  # fmt: skip


def _models(url: str) -> set[str]:
    with urllib.request.urlopen(f"{url}/v1/models", timeout=60) as answer:  # noqa: S310 - our own server
        return {one["id"] for one in json.load(answer)["data"]}


def _make(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    block = os.urandom(_BLOCK)
    with path.open("wb") as file:
        left = size
        while left:
            data = block[: min(left, _BLOCK)]
            file.write(data)
            digest.update(data)
            left -= len(data)
    return digest.hexdigest()


@contextmanager
def _served(path: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.file_server", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/file"
    finally:
        process.terminate()
        process.wait()


def _curl(folder: Path, address: str, *, checks: bool) -> float:
    target = folder / "by-curl"
    began_s = time.perf_counter()
    subprocess.run(["curl", "--silent", "--fail", "--output", target, address], check=True)
    if checks:
        subprocess.run(["sha256sum", target], check=True, stdout=subprocess.DEVNULL)
    took_s = time.perf_counter() - began_s
    target.unlink()
    return took_s


def _install(folder: Path, address: str, size: int, digest: str) -> float:
    """Download as `local-ai models install` does; how long it took."""
    models = folder / "models"
    models.mkdir(exist_ok=True)
    file = RemoteFile(name="m.gguf", address=address, size_bytes=size, sha256=digest)

    async def run() -> None:
        client = Client(ClientSettings(allow_private=True), Proxies({}))
        settings = DownloadSettings()
        downloader = Downloader(models, client, settings)
        installer = Installer(models, downloader, settings)
        async with aclosing(installer.install(ModelPlan(name="m", files=(file,)))) as steps:
            async for _ in steps:
                pass
        await client.close()
        downloader.close()

    import uvloop

    began_s = time.perf_counter()
    uvloop.run(run())
    took_s = time.perf_counter() - began_s
    shutil.rmtree(models)
    return took_s


ALL = {"downloads": downloads, "download-memory": download_memory, "many-models": many_models}

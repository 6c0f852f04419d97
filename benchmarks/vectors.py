"""The measurements of vectors and ranks: ours over HTTP against the library called directly, in turns."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measures import Effort, Row
from benchmarks.processes import (
    Process,
    environment,
    models_folder,
    resident_mb,
    server,
)
from localai.engines.manifest import Manifest
from localai.supervisor import launcher
from tests.engines.installed import ENVIRONMENTS, FOLDER, MINILM, ROOT

CLIENTS = 64
DOCUMENTS = 100
_BATCHES = (8, 16, 32, 64, 128)  # of the library; the best one counts
_SEED = 7
_WORDS = ["the", "a", "of", "river", "market", "engine", "quiet", "blue", "paper", "winter", "answer", "music", "stone", "bread", "signal", "window", "garden", "price"]  # fmt: skip


def texts(count: int, words: Sequence[int] = (6, 24)) -> list[str]:
    """Sentences of that many words, always the same."""
    chosen = random.Random(_SEED)
    return [" ".join(chosen.choices(_WORDS, k=chosen.randint(*words))) for _ in range(count)]


class Library:
    """The library in a process of its own; it works only while it is asked."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def seconds(self, given: Sequence[str], size: int) -> float:
        """How long it takes for `given`, in batches of `size`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([given, size]).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the library's process has ended")
        return float(line)


def _python(backend: str) -> Path:
    installed = ENVIRONMENTS.find(Manifest().find(backend))
    if installed is None or not MINILM.is_dir():
        raise RuntimeError(f"{backend} is not installed: make engines")
    return installed.python


def _surroundings() -> dict[str, str]:
    paths = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    return launcher._ENGINE_ENVIRONMENT | environment() | paths  # noqa: SLF001 - as the launcher does for a worker


@contextlib.asynccontextmanager
async def library(backend: str, kind: str, model: Path) -> AsyncIterator[Library]:
    process = await asyncio.create_subprocess_exec(
        _python(backend), "-m", "benchmarks.library", kind, model,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, env=_surroundings(),
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


class Client:
    """One connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def post(self, path: str, body: Any) -> bytes:
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
        self._writer.write(head.encode() + data)
        top = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(top.partition(b"content-length:")[2].split(b"\r", 1)[0])
        answer = await self._reader.readexactly(length)
        if b" 200 " not in top[:16]:
            raise RuntimeError(answer[:400].decode(errors="replace"))
        return answer

    def close(self) -> None:
        self._writer.close()


async def _embed_alone(clients: Sequence[Client], model: str, given: Sequence[str]) -> float:
    """Seconds for all texts, each a request of its own, as many at once as there are clients."""
    waiting = list(reversed(given))

    async def work(client: Client) -> None:
        while waiting:
            await client.post("/v1/embeddings", {"model": model, "input": waiting.pop(), "encoding_format": "base64"})  # fmt: skip

    began = time.perf_counter()
    await asyncio.gather(*map(work, clients))
    return time.perf_counter() - began


def _ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The median of the ratios of neighbouring runs, so that a busy minute hits both."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def _apart(seconds: Sequence[float]) -> float:
    """How far the same work was apart in two halves of the same minutes."""
    one, other = statistics.median(seconds[::2]), statistics.median(seconds[1::2])
    return abs(one / other - 1)


@contextlib.asynccontextmanager
async def _serving(yamls: dict[str, str], links: dict[str, Path]) -> AsyncIterator[Process]:
    first, *others = yamls
    with models_folder(first, yamls[first]) as folder:
        for name in others:
            (folder / f"{name}.yaml").write_text(f"name: {name}\n{yamls[name]}", encoding="utf-8")
        for name, target in links.items():
            (folder / name).symlink_to(target)
        more = ("--backends-path", str(FOLDER))
        async with server(folder, *yamls, arguments=more) as process:
            yield process


async def embeddings(effort: Effort) -> list[Row]:
    """64 clients with a text each, against the library's best batch; OpenVINO against PyTorch."""
    rounds, given = effort.count(7, least=3), texts(effort.count(1024, least=256))
    yamls = {
        "torch": "backend: sentencetransformers\nparameters: {model: minilm}\n",
        "openvino": "backend: openvino\ntype: OVModelForFeatureExtraction\n"
        "parameters: {model: minilm}\n",
    }
    async with (
        library("sentencetransformers", "vectors", MINILM) as direct,
        _serving(yamls, {"minilm": MINILM}) as local,
    ):
        clients = [await Client.open(local.port) for _ in range(CLIENTS)]
        for name in yamls:
            await _embed_alone(clients, name, given[:CLIENTS])
        tried = {size: await direct.seconds(given, size) for size in _BATCHES}
        best = min(tried, key=tried.__getitem__)
        taken: dict[str, list[float]] = {"torch": [], "openvino": [], "library": []}
        for turn in range(rounds):
            for name in sorted(taken, reverse=turn % 2 == 1):  # the side that begins alternates
                took = (
                    await direct.seconds(given, best)
                    if name == "library"
                    else await _embed_alone(clients, name, given)
                )
                taken[name].append(took)
        for client in clients:
            client.close()
    speed = {name: len(given) / statistics.median(seconds) for name, seconds in taken.items()}
    ratio = _ratio(taken["library"], taken["torch"])
    ahead = _ratio(taken["torch"], taken["openvino"])
    noise = _apart(taken["library"])
    against = f"{speed['torch']:.0f} texts/s against {speed['library']:.0f} in batches of {best}"
    faster = f"{speed['openvino']:.0f} texts/s against {speed['torch']:.0f}"
    return [
        Row(measure=f"embeddings, {CLIENTS} clients with one text each, of the library's best batch", value=ratio, unit="", target=0.9, at_least=True, note=against, noise=noise),
        Row(measure="embeddings by OpenVINO, of those by PyTorch", value=ahead, unit="", target=1.5, at_least=True, note=faster),
    ]  # fmt: skip


async def rerank(effort: Effort) -> list[Row]:
    """100 documents through the API, against the library called directly."""
    rows = []
    for backend, kind in (("sentencetransformers", "pairs"), ("rerankers", "rerankers")):
        rows.append(await _rerank(effort, backend, kind))
    return rows


async def _rerank(effort: Effort, backend: str, kind: str) -> Row:
    query, *documents = texts(1 + DOCUMENTS, words=(10, 60))
    with models_folder("ranker", f"backend: {backend}\nparameters: {{model: weights}}\n") as folder:
        model = folder / "weights"
        make = [_python(backend), "-m", "benchmarks.library", "make-ranker", MINILM, model]
        subprocess.run(make, check=True, capture_output=True, env=_surroundings())  # noqa: ASYNC221 - nothing else runs
        more = ("--backends-path", str(FOLDER))
        body = {"model": "ranker", "query": query, "documents": documents, "top_n": 10}
        async with (
            library(backend, kind, model) as direct,
            server(folder, "ranker", arguments=more) as local,
        ):
            client = await Client.open(local.port)
            await client.post("/v1/rerank", body)
            tried = {size: await direct.seconds([query, *documents], size) for size in _BATCHES}
            best = min(tried, key=tried.__getitem__)
            ours, bare = [], []
            for _ in range(effort.count(15, least=5)):
                bare.append(await direct.seconds([query, *documents], best))
                began = time.perf_counter()
                await client.post("/v1/rerank", body)
                ours.append(time.perf_counter() - began)
            client.close()
    value = _ratio(ours, bare)
    note = f"{statistics.median(ours):.3f} s against {statistics.median(bare):.3f} s in batches of {best}"
    return Row(measure=f"rerank of {DOCUMENTS} documents by {backend}, of the library's time", value=value, unit="", target=1.05, note=note)  # fmt: skip


async def engines_memory(_: Effort) -> list[Row]:
    """The server at rest, with every engine of the tests installed."""
    installed = sorted({one.receipt.backend for one in ENVIRONMENTS.all()})
    with models_folder("quiet", "backend: echo\n") as folder:
        async with server(folder, arguments=("--backends-path", str(FOLDER))) as local:
            client = await Client.open(local.port)
            await client.post("/v1/chat/completions", {"model": "quiet", "messages": [{"role": "user", "content": "a"}]})  # fmt: skip
            client.close()
            await asyncio.sleep(1.0)
            value = resident_mb(local.pid)
    note = f"after one answer; {len(installed)} installed: {', '.join(installed)}"
    return [Row(measure="server's memory, engines installed", value=value, unit="MB", target=90.0, note=note)]  # fmt: skip


def _on_linux_with_engines(measure: Callable[[Effort], Awaitable[list[Row]]]) -> Any:
    """A measurement that says why it gives nothing where its engines are not installed."""

    async def measured(effort: Effort) -> list[Row]:
        try:
            return await measure(effort)
        except RuntimeError as error:
            print(f"left out: {error}", file=sys.stderr)
            return []

    return measured


ALL: dict[str, Callable[[Effort], Awaitable[list[Row]]]] = {
    "embeddings": _on_linux_with_engines(embeddings),
    "rerank": _on_linux_with_engines(rerank),
    "engines-memory": engines_memory,
}

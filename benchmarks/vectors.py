"""The measurements of vectors and ranks: ours over HTTP against the library called directly, in turns."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import statistics
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from benchmarks.bare import engine_python, library, surroundings, where_installed
from benchmarks.connection import Client, request
from benchmarks.measures import Effort, Row
from benchmarks.processes import (
    Process,
    models_folder,
    resident_mb,
    server,
)
from tests.engines.installed import ENVIRONMENTS, FOLDER, MINILM

CLIENTS = 64
DOCUMENTS = 100
_BATCHES = (8, 16, 32, 64, 128)  # of the library; the best one counts
_SEED = 7
_WORDS = ["the", "a", "of", "river", "market", "engine", "quiet", "blue", "paper", "winter", "answer", "music", "stone", "bread", "signal", "window", "garden", "price"]  # fmt: skip


def texts(count: int, words: Sequence[int] = (6, 24)) -> list[str]:
    """Sentences of that many words, always the same."""
    chosen = random.Random(_SEED)
    return [" ".join(chosen.choices(_WORDS, k=chosen.randint(*words))) for _ in range(count)]


async def _embed_alone(clients: Sequence[Client], model: str, given: Sequence[str]) -> float:
    """Seconds for all texts, each a request of its own, as many at once as there are clients."""
    bodies = [{"model": model, "input": text, "encoding_format": "base64"} for text in given]
    waiting = [request("/v1/embeddings", json.dumps(body).encode()) for body in reversed(bodies)]

    async def work(client: Client) -> None:
        while waiting:
            await client.ask(waiting.pop())

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


def _check_minilm() -> None:
    if not MINILM.is_dir():
        raise RuntimeError("all-MiniLM-L6-v2 is not installed: make engines")


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
    _check_minilm()
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
    _check_minilm()
    rows = []
    for backend, kind in (("sentencetransformers", "pairs"), ("rerankers", "rerankers")):
        rows.append(await _rerank(effort, backend, kind))
    return rows


async def _rerank(effort: Effort, backend: str, kind: str) -> Row:
    query, *documents = texts(1 + DOCUMENTS, words=(10, 60))
    with models_folder("ranker", f"backend: {backend}\nparameters: {{model: weights}}\n") as folder:
        model = folder / "weights"
        make = [engine_python(backend), "-m", "benchmarks.library", "make-ranker", MINILM, model]
        subprocess.run(make, check=True, capture_output=True, env=surroundings())  # noqa: ASYNC221 - nothing else runs
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


ALL: dict[str, Callable[[Effort], Awaitable[list[Row]]]] = {
    "embeddings": where_installed(embeddings),
    "rerank": where_installed(rerank),
    "engines-memory": engines_memory,
}

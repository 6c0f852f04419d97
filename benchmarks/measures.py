"""The measurements. Each gives rows; ours and the engine's are always taken in turns."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks import models
from benchmarks.client import PROMPT, Target, ask, ask_together, status
from benchmarks.processes import (
    COMMAND,
    Process,
    cpu_s,
    engine,
    environment,
    free_port,
    main_thread_cpu_s,
    models_folder,
    resident_mb,
    server,
)

MANY = 16
_SETTLE_S = 0.003
_ECHO_WORDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number. `target` is the most it may be, or the least where `at_least`."""

    measure: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    note: str = ""
    noise: float = 0.0  # how far two equal things were apart in the same minutes

    @property
    def is_clear(self) -> bool:
        """Whether the noise is smaller than what the target allows."""
        return self.target is None or not self.noise or self.noise <= abs(1 - self.target)

    @property
    def met(self) -> bool | None:
        if self.target is None or not self.is_clear:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: `scale` 1.0 is the full length."""

    scale: float = 1.0

    def count(self, full: int, least: int = 1) -> int:
        return max(least, round(full * self.scale))


def _yaml(*, threads: int, slots: int, context: int) -> str:
    return (
        "parameters:\n  model: weights.gguf\n"
        f"context_size: {context}\nthreads: {threads}\noptions:\n  - parallel:{slots}\n"
    )


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


async def first_token(effort: Effort) -> list[Row]:
    """Time to first token, ours minus the engine's, one request at a time in turns."""
    samples = effort.count(300, least=50)
    yaml = _yaml(threads=1, slots=4, context=1024)
    ours: list[float] = []
    bare: list[float] = []
    with models_folder("tiny", yaml, models.model(models.TINY)) as folder:
        async with server(folder, "tiny") as local, engine(folder, "tiny") as other:
            for turn in range(-10, samples):
                for process, times in ((local, ours), (other, bare)):
                    reply = await ask(
                        process.target("tiny"),
                        tokens=8,
                        settle_s=_SETTLE_S,
                        prompt=f"{PROMPT} {turn}",  # an engine logs a prompt it has seen whole
                    )
                    if turn >= 0:
                        times.append(reply.first_s * 1000)
    p50 = _percentile(ours, 50) - _percentile(bare, 50)
    p95 = _percentile(ours, 95) - _percentile(bare, 95)
    note = f"{_percentile(ours, 50):.2f} ms against {_percentile(bare, 50):.2f} ms, {samples} each"
    note_95 = f"{_percentile(ours, 95):.2f} ms against {_percentile(bare, 95):.2f} ms"
    return [
        Row(measure="added time to first token, p50", value=p50, unit="ms", target=1.5, note=note),
        Row(measure="added time to first token, p95", value=p95, unit="ms", note=note_95),
    ]


async def throughput(effort: Effort) -> list[Row]:
    """Streamed tokens per second of a 110M model, ours over the engine's."""
    yaml = _yaml(threads=2, slots=MANY, context=512)
    rows = []
    with models_folder("110m", yaml, models.model(models.SMALL)) as folder:
        async with (
            server(folder, "110m") as local,
            engine(folder, "110m") as other,
            engine(folder, "110m") as control,
        ):
            for clients, tokens, rounds in (
                (1, 96, effort.count(24, 3)),
                (MANY, 48, effort.count(8, 2)),
            ):
                ours, bare, again = await _in_turns(
                    (local, other, control),
                    lambda process, clients=clients, tokens=tokens: _speed(
                        process.target("110m"), clients, tokens
                    ),
                    rounds,
                )
                noise = _ratio(again, bare)
                both = [(one + two) / 2 for one, two in zip(bare, again, strict=True)]
                note = (
                    f"{statistics.median(ours):.0f} against {statistics.median(both):.0f} tokens/s, the "
                    f"mean of two engines, {rounds} rounds; the second against the first: {noise:.3f}"
                )
                rows.append(
                    Row(
                        measure=f"tokens/s at {clients} client{'s' * (clients > 1)}, ours / engine's",
                        value=_ratio(ours, both),
                        unit="",
                        target=0.97,
                        at_least=True,
                        note=note,
                        noise=abs(1 - noise),
                    )
                )
    return rows


def _ratio(first: list[float], second: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(first, second, strict=True))


async def _speed(target: Target, clients: int, tokens: int) -> float:
    return clients * tokens / await ask_together(target, clients=clients, tokens=tokens)


async def _in_turns(
    processes: tuple[Process, ...],
    measure: Callable[[Process], Awaitable[float]],
    rounds: int,
) -> list[list[float]]:
    """`rounds` results of each, after one round to warm up; the order alternates."""
    results: dict[int, list[float]] = {process.pid: [] for process in processes}
    for turn in range(-1, rounds):
        for process in processes if turn % 2 else reversed(processes):
            result = await measure(process)
            if turn >= 0:
                results[process.pid].append(result)
    return list(results.values())


async def cpu(effort: Effort) -> list[Row]:
    """CPU time per streamed token: our server's, and our worker's beyond the bare engine's."""
    yaml = _yaml(threads=1, slots=MANY, context=1024)
    rows = []
    with models_folder("tiny", yaml, models.model(models.TINY)) as folder:
        async with server(folder, "tiny") as local, engine(folder, "tiny") as other:
            for clients in (1, MANY):
                rows += await _cpu_at(clients, local, other, effort)
    return rows


async def _cpu_at(clients: int, local: Process, other: Process, effort: Effort) -> list[Row]:
    tokens, each = 500, (8 if clients == 1 else 1)
    rounds = effort.count(13 if clients == 1 else 7, least=3)
    produced = clients * tokens * each
    spent: dict[str, list[float]] = {
        name: [] for name in ("server", "worker", "loop", "engine", "client")
    }
    worker_pid = local.worker_pid
    for turn in range(-1, rounds):
        before = _clocks(local.pid, worker_pid, other.pid)
        await ask_together(local.target("tiny"), clients=clients, tokens=tokens, each=each)
        between = _clocks(local.pid, worker_pid, other.pid)
        await ask_together(other.target("tiny"), clients=clients, tokens=tokens, each=each)
        after = _clocks(local.pid, worker_pid, other.pid)
        if turn >= 0:
            for name in ("server", "worker", "loop", "client"):
                spent[name].append((between[name] - before[name]) / produced * 1e6)
            spent["engine"].append((after["engine"] - between["engine"]) / produced * 1e6)
    middle = {name: statistics.median(values) for name, values in spent.items()}
    added = statistics.median(a - b for a, b in zip(spent["worker"], spent["engine"], strict=True))
    at = f"{clients} client{'s' * (clients > 1)}"
    note = f"{rounds * produced} tokens; the client used {middle['client']:.0f} µs for each"
    worker_note = (
        f"{middle['worker']:.0f} µs - {middle['engine']:.0f} µs; "
        f"the worker's thread with our code: {middle['loop']:.0f} µs"
    )
    return [
        Row(measure=f"server CPU per token, {at}", value=middle["server"], unit="µs", target=30, note=note),
        Row(measure=f"worker CPU per token beyond the engine's, {at}", value=added, unit="µs", target=30, note=worker_note),
    ]  # fmt: skip


def _clocks(server_pid: int, worker_pid: int, engine_pid: int) -> dict[str, float]:
    return {
        "server": cpu_s(server_pid),
        "worker": cpu_s(worker_pid),
        "loop": main_thread_cpu_s(worker_pid),
        "engine": cpu_s(engine_pid),
        "client": time.process_time(),
    }


async def memory(effort: Effort) -> list[Row]:
    """The server process's resident memory, before any request and after a thousand."""
    requests = effort.count(1000, least=100)
    yaml = _yaml(threads=1, slots=4, context=1024)
    with models_folder("tiny", yaml, models.model(models.TINY)) as folder:
        async with server(folder) as local:
            await asyncio.sleep(0.5)
            rest = resident_mb(local.pid)
            await ask_together(local.target("tiny"), clients=4, tokens=8, each=requests // 4)
            used = resident_mb(local.pid)
    return [
        Row(measure="server memory at rest", value=rest, unit="MB", target=90),
        Row(measure=f"server memory after {requests} requests", value=used, unit="MB", target=90),
    ]


async def start(effort: Effort) -> list[Row]:
    """From the start of the process to the first good answer."""
    runs = effort.count(5, least=3)
    with tempfile.TemporaryDirectory() as folder:
        ready = [await _ready_s(folder) for _ in range(runs)]
        loaded = [await _ready_s(folder, "local-ai-starter") for _ in range(runs)]
    shown = []
    for _ in range(2 * runs):
        began = time.perf_counter()
        subprocess.run([COMMAND, "--help"], check=True, capture_output=True)  # noqa: ASYNC221 - nothing else runs
        shown.append(time.perf_counter() - began)
    median = statistics.median
    return [
        Row(measure="`local-ai run` to ready", value=median(ready), unit="s", target=1.5, note=f"median of {runs}"),
        Row(measure="`local-ai run local-ai-starter` to ready", value=median(loaded), unit="s", note="with the model loaded"),
        Row(measure="`local-ai --help`", value=median(shown), unit="s", target=0.3, note=f"median of {2 * runs}"),
    ]  # fmt: skip


async def _ready_s(folder: str, *wanted: str) -> float:
    port = free_port()
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        str(COMMAND), "run", *wanted, "--models-path", folder, "--address", f"127.0.0.1:{port}",
        env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while await status(port, "/readyz") != 200:
            if process.returncode is not None or time.perf_counter() - began > 60:
                raise RuntimeError("local-ai did not start")
            await asyncio.sleep(0.005)
        return time.perf_counter() - began
    finally:
        process.terminate()
        await process.wait()


async def echo(effort: Effort) -> list[Row]:
    """The path without an engine: how many tokens a second it can carry at most."""
    repeat = 100
    words = " ".join(f"{number:06d}" for number in range(_ECHO_WORDS))
    yaml = f"backend: echo\nparameters:\n  model: echo\noptions:\n  - repeat:{repeat}\n  - slots:{MANY}\n"
    rows = []
    tokens = _ECHO_WORDS * repeat
    with models_folder("echo", yaml) as folder:
        async with server(folder, "echo") as local:
            for clients in (1, MANY):
                speeds = []
                before, client = cpu_s(local.pid), time.process_time()
                rounds = effort.count(16 if clients == 1 else 4, least=2)
                for _ in range(rounds):
                    began = time.perf_counter()
                    asked = (
                        ask(local.target("echo"), tokens=tokens, prompt=words)
                        for _ in range(clients)
                    )
                    await asyncio.gather(*asked)
                    speeds.append(clients * tokens / (time.perf_counter() - began))
                produced = rounds * clients * tokens
                used = (cpu_s(local.pid) - before) / produced * 1e6
                own = (time.process_time() - client) / produced * 1e6
                at = f"{clients} client{'s' * (clients > 1)}"
                note = f"server CPU {used:.1f} µs, client CPU {own:.1f} µs a token"
                rows.append(
                    Row(measure=f"echo through the server, {at}", value=statistics.median(speeds), unit="tokens/s", note=note)
                )  # fmt: skip
    return rows


ALL: dict[str, Callable[[Effort], Awaitable[list[Row]]]] = {
    "first-token": first_token,
    "throughput": throughput,
    "cpu": cpu,
    "memory": memory,
    "start": start,
    "echo": echo,
}

"""What each API costs: CPU per streamed token, long histories, JSON Schema, and streams that wait."""

from __future__ import annotations

import asyncio
import gc
import re
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from benchmarks import models
from benchmarks.measures import Effort, Row
from benchmarks.processes import (
    Process,
    cpu_s,
    engine,
    models_folder,
    resident_mb,
    server,
)
from localai.dialects import anthropic, ollama, openai, openresponses
from localai.dialects.contract import Origin

_CLIENTS = 4
_TOKENS = 500
_SAID = "Write about the weather in the mountains."
_MESSAGES = 200
_HISTORY_BYTES = 300_000
_IDLE = 500
_READ_BYTES = 1 << 16
_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "kind": {"enum": ["book", "film", "song"]},
        "year": {"type": "integer"},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}, "maxItems": 4},
    },
    "required": ["name", "kind", "parts"],
    "additionalProperties": False,
    "$defs": {
        "part": {
            "type": "object",
            "properties": {"title": {"type": "string"}, "pages": {"type": "integer"}},
            "required": ["title"],
            "additionalProperties": False,
        }
    },
}

# name -> path, and the body of a stream of so many tokens
_USER = [{"role": "user", "content": _SAID}]
_COUNTED = {"stream_options": {"include_usage": True}}
_USAGE = re.compile(rb'"(?:completion_tokens|output_tokens|eval_count)":\s*(\d+)')
STREAMS: Mapping[str, tuple[str, Callable[[int], dict[str, Any]]]] = {
    "OpenAI chat": (
        "/v1/chat/completions",
        lambda n: {"messages": _USER, "max_tokens": n, "stream": True, "ignore_eos": True, **_COUNTED},
    ),
    "OpenAI completions": (
        "/v1/completions",
        lambda n: {"prompt": _SAID, "max_tokens": n, "stream": True, "ignore_eos": True, **_COUNTED},
    ),
    "Anthropic messages": (
        "/v1/messages",
        lambda n: {"messages": _USER, "max_tokens": n, "stream": True, "ignore_eos": True},
    ),
    "Responses": (
        "/v1/responses",
        lambda n: {
            "input": _SAID, "max_output_tokens": n, "stream": True, "store": False, "ignore_eos": True,
        },
    ),
    "Ollama chat": (
        "/api/chat",
        lambda n: {"messages": _USER, "options": {"num_predict": n, "ignore_eos": True}},
    ),
    "Ollama generate": (
        "/api/generate",
        lambda n: {"prompt": _SAID, "options": {"num_predict": n, "ignore_eos": True}},
    ),
}  # fmt: skip


async def post(port: int, path: str, body: Mapping[str, Any]) -> bytes:
    """The whole answer, head and framing included. Raises ConnectionError for another status."""
    writer, reader = await _begin(port, path, body)
    try:
        pieces = []
        while piece := await reader.read(_READ_BYTES):
            pieces.append(piece)
    finally:
        writer.close()
    answer = b"".join(pieces)
    if b" 200 " not in answer[:20]:
        raise ConnectionError(answer[:600].decode(errors="replace"))
    return answer


async def _begin(
    port: int, path: str, body: Mapping[str, Any]
) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    data = msgspec.json.encode(body)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    writer.write(head.encode() + data)
    return writer, reader


async def dialects(effort: Effort) -> list[Row]:
    """The server's CPU time per streamed token, in each API."""
    rounds = effort.count(6, least=2)
    yaml = (
        "parameters:\n  model: weights.gguf\n  temperature: 0.9\ncontext_size: 1024\nthreads: 1\n"
        f"options:\n  - parallel:{_CLIENTS}\n"
    )
    rows = []
    with models_folder("tiny", yaml, models.model(models.TINY)) as folder:
        async with server(folder, "tiny") as local:
            spent: dict[str, list[float]] = {name: [] for name in STREAMS}
            tokens = dict.fromkeys(STREAMS, 0)
            for turn in range(-1, rounds):
                for name, (path, body) in STREAMS.items():
                    asked = {"model": "tiny", **body(_TOKENS)}
                    before = cpu_s(local.pid)
                    answers = await asyncio.gather(
                        *(post(local.port, path, asked) for _ in range(_CLIENTS))
                    )
                    if turn >= 0:
                        said = sum(int(_USAGE.findall(answer)[-1]) for answer in answers)
                        spent[name].append((cpu_s(local.pid) - before) / said * 1e6)
                        tokens[name] += said
            for name, values in spent.items():
                note = f"{_CLIENTS} clients, {tokens[name]} tokens"
                rows.append(
                    Row(measure=f"server CPU per token, {name}", value=statistics.median(values), unit="µs", target=30, note=note)
                )  # fmt: skip
    return rows


async def history(effort: Effort) -> list[Row]:
    """Decoding a conversation of 200 messages and 300 KB, without the HTTP around it."""
    text = "word " * (_HISTORY_BYTES // _MESSAGES // 5)
    turns = [
        {"role": "assistant" if number % 2 else "user", "content": text}
        for number in range(_MESSAGES - 1)
    ]
    turns.append({"role": "user", "content": text})
    bodies: dict[str, tuple[Any, dict[str, Any]]] = {
        "OpenAI chat": (openai.ChatEndpoint(), {"messages": turns}),
        "Anthropic messages": (anthropic.MessagesEndpoint(), {"messages": turns, "max_tokens": 9}),
        "Responses": (openresponses.ResponsesEndpoint(), {"input": turns}),
        "Ollama chat": (ollama.ChatEndpoint(), {"messages": turns}),
    }  # fmt: skip
    origin = Origin(answer_id="x", created_unix_s=0)
    rows = []
    for name, (endpoint, body) in bodies.items():
        data = msgspec.json.encode({"model": "m", **body})
        times = []
        gc.collect()
        for _ in range(effort.count(100, least=20)):
            began = time.perf_counter()
            endpoint.decode(data, origin)
            times.append((time.perf_counter() - began) * 1000)
        rows.append(
            Row(measure=f"{_MESSAGES} messages decoded, {name}", value=statistics.median(times), unit="ms", target=5, note=f"{len(data) // 1000} KB, median of {len(times)}")
        )  # fmt: skip
    return rows


async def schema(effort: Effort) -> list[Row]:
    """What a JSON Schema adds to a request here, beyond what it adds to the bare engine's."""
    samples = effort.count(120, least=30)
    yaml = "parameters:\n  model: weights.gguf\ncontext_size: 1024\nthreads: 1\noptions:\n  - parallel:4\n"
    times: dict[tuple[str, bool], list[float]] = {}
    with models_folder("tiny", yaml, models.model(models.TINY)) as folder:
        async with server(folder, "tiny") as local, engine(folder, "tiny") as other:
            for turn in range(-5, samples):
                for name, process in (("ours", local), ("engine", other)):
                    for has_schema in (False, True):
                        took = await _answered_ms(process, turn, has_schema=has_schema)
                        if turn >= 0:
                            times.setdefault((name, has_schema), []).append(took)
    middle = {key: statistics.median(values) for key, values in times.items()}
    ours = middle["ours", True] - middle["ours", False]
    bare = middle["engine", True] - middle["engine", False]
    note = f"{ours:.2f} ms here, {bare:.2f} ms in the engine; {samples} each"
    return [
        Row(measure="time a JSON Schema adds, beyond the engine's", value=ours - bare, unit="ms", target=5, note=note)
    ]  # fmt: skip


async def _answered_ms(process: Process, turn: int, *, has_schema: bool) -> float:
    body: dict[str, Any] = {
        "model": "tiny",
        "messages": [{"role": "user", "content": f"{_SAID} {turn}"}],
        "max_tokens": 1,
        "temperature": 0,
    }
    if has_schema:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "thing", "strict": True, "schema": _SCHEMA},
        }
    began = time.perf_counter()
    await post(process.port, "/v1/chat/completions", body)
    return (time.perf_counter() - began) * 1000


async def idle_streams(effort: Effort) -> list[Row]:  # noqa: ARG001 - as many as the target names
    """The server's memory for streams that are open and wait for their next token."""
    yaml = f"backend: echo\nparameters:\n  model: echo\noptions:\n  - hang_after:1\n  - slots:{2 * _IDLE}\n"
    body = {
        "model": "echo",
        "messages": [{"role": "user", "content": "one two three"}],
        "stream": True,
    }
    with models_folder("echo", yaml) as folder:
        async with server(folder, "echo") as local:
            path = "/v1/chat/completions"
            for _ in range(2):  # what the first requests need is not theirs
                await _hold(local.port, path, body, 20)
            rest = resident_mb(local.pid)
            opened = await _hold(local.port, path, body, _IDLE, keep=True)
            used = resident_mb(local.pid) - rest
            for writer in opened:
                writer.close()
    note = f"{used * 1000 / _IDLE:.0f} KB each"
    return [
        Row(measure=f"memory of {_IDLE} idle streams", value=used, unit="MB", target=40, note=note)
    ]


async def _hold(
    port: int, path: str, body: Mapping[str, Any], count: int, *, keep: bool = False
) -> list[asyncio.StreamWriter]:
    """Open streams and wait until each has said its first word."""
    opened = []
    for _ in range(count):
        writer, reader = await _begin(port, path, body)
        async with asyncio.timeout(30):
            await reader.readuntil(b'"content":"one"')
        opened.append(writer)
    if not keep:
        for writer in opened:
            writer.close()
        await asyncio.sleep(0.5)
    return opened


ALL: dict[str, Callable[[Effort], Awaitable[list[Row]]]] = {
    "dialects": dialects,
    "history": history,
    "schema": schema,
    "idle-streams": idle_streams,
}

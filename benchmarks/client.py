"""A minimal streaming client: one connection per request, opened before the clock starts."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass

import msgspec

_TEXT = re.compile(rb'"content":"(?!")')  # a delta with text; the role chunk has none
_END = b"\r\n0\r\n\r\n"
_CONTENT = b'"content":"'
PROMPT = "Write about the weather in the mountains."


@dataclass(frozen=True, slots=True)
class Reply:
    """What one streamed answer took, in seconds from the first byte sent."""

    tokens: int
    first_s: float
    whole_s: float


@dataclass(frozen=True, slots=True)
class Target:
    """A chat endpoint."""

    port: int
    model: str


class _Stream(asyncio.Protocol):
    def __init__(self) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self.pieces: list[bytes] = []
        self.tail = b""
        self.first_s = 0.0
        self.last_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        if not self.first_s and _TEXT.search(data):
            self.first_s = time.perf_counter()
        self.tail = (
            data[-len(_END) :] if len(data) >= len(_END) else (self.tail + data)[-len(_END) :]
        )
        if self.tail.endswith(_END):
            self.last_s = time.perf_counter()
            if not self.done.done():
                self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            reason = exc or ConnectionError(b"".join(self.pieces)[-400:].decode(errors="replace"))
            self.done.set_exception(reason)


async def ask(target: Target, *, tokens: int, settle_s: float = 0.0, prompt: str = PROMPT) -> Reply:
    """One streamed chat of `tokens` tokens. Raises ConnectionError for anything else."""
    body = msgspec.json.encode(
        {
            "model": target.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": tokens,
            "stream": True,
            "ignore_eos": True,
            "temperature": 0.9,
            "top_k": 40,
            "top_p": 0.95,
            "min_p": 0.0,
        }
    )
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    transport, stream = await loop.create_connection(_Stream, "127.0.0.1", target.port)
    try:
        if settle_s:  # so that both servers have accepted the connection
            await asyncio.sleep(settle_s)
        began = time.perf_counter()
        transport.write(head.encode() + body)
        await stream.done
    except OSError as error:
        message = f"{target.model} on port {target.port} hung up: {error}"
        raise ConnectionError(message) from error
    finally:
        transport.close()
    answer = b"".join(stream.pieces)
    said = answer.count(_CONTENT) - answer.count(_CONTENT + b'"')
    if b" 200 " not in answer[:20] or said != tokens:
        message = f"{said} tokens instead of {tokens}: {answer[-400:].decode(errors='replace')}"
        raise ConnectionError(message)
    return Reply(said, stream.first_s - began, stream.last_s - began)


async def ask_together(target: Target, *, clients: int, tokens: int, each: int = 1) -> float:
    """Seconds for `clients` clients with `each` answers one after the other."""

    async def client(number: int) -> None:
        for turn in range(each):
            await ask(target, tokens=tokens, prompt=f"{PROMPT} {number}.{turn}")

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    return time.perf_counter() - began


async def status(port: int, path: str) -> int:
    """The status of GET `path`; 0 when nobody listens."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return 0
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        return int(line.split()[1]) if line else 0
    except OSError:  # it has just stopped
        return 0
    finally:
        writer.close()

"""A file server for tests that breaks, lies and waits as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

_BLOCK = 1 << 16


@dataclass
class Asked:
    """One request: its path, its headers in small letters, and the first byte it wants."""

    path: str
    headers: Mapping[str, str]
    number: int  # how many came before for this path

    @property
    def range(self) -> tuple[int, int] | None:
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        return (int(match[1]), int(match[2]) + 1) if match else None


@dataclass
class Answer:
    """What goes back. `cut_after` bytes of the body the connection ends; `stall_after` it waits."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # what Content-Length claims; -1 sends none
    cut_after: int | None = None
    stall_after: int | None = None
    pause_s: float = 0.0  # between blocks


Rule = Callable[[Asked, "Answer"], "Answer"]


class FileServer:
    """Serves `files` (path -> content) with ranges and ETags; `rule` changes answers."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.rule: Rule = lambda _, answer: answer
        self.asked: list[Asked] = []
        self.sent: dict[str, int] = {}  # bytes of bodies, by path
        self.watch: Callable[[int], None] = lambda _: None  # told how much was sent altogether
        self.has_ranges = True
        self.has_tags = True
        self.tls: ssl.SSLContext | None = None
        self.origin = ""

    def address(self, path: str) -> str:
        return f"{self.origin}{path}"

    def add(self, path: str, content: bytes) -> str:
        self.files[path] = content
        return self.address(path)

    def answer(self, asked: Asked) -> Answer:
        content = self.files.get(asked.path)
        if content is None:
            return Answer(b"no such file", status=404)
        headers = {"Accept-Ranges": "bytes" if self.has_ranges else "none"}
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if self.has_tags:
            headers["ETag"] = tag
        wanted = asked.range
        same = asked.headers.get("if-range", tag) == tag
        if not self.has_ranges or wanted is None or not same:
            return Answer(content, headers=headers)
        start, end = wanted[0], min(wanted[1], len(content))
        if start >= len(content):
            return Answer(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return Answer(content[start:end], status=206, headers=headers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stopped = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.suppress(*stopped):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (one.partition(":") for one in rest)}
        path = unquote(line.split(" ")[1].partition("?")[0])
        number = sum(1 for one in self.asked if one.path == path)
        asked = Asked(path, headers, number)
        self.asked.append(asked)
        answer = self.rule(asked, self.answer(asked))
        length = len(answer.body) if answer.length is None else answer.length
        said = dict(answer.headers)
        if length >= 0:
            said["Content-Length"] = str(length)
        lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        writer.write(f"HTTP/1.1 {answer.status} said\r\n{lines}\r\n".encode())
        return await self._body(writer, path, answer) and length == len(answer.body)

    async def _body(self, writer: asyncio.StreamWriter, path: str, answer: Answer) -> bool:
        end = len(answer.body) if answer.cut_after is None else min(answer.cut_after, len(answer.body))  # fmt: skip
        at = 0
        while at < end:
            if answer.stall_after is not None and at >= answer.stall_after:
                await asyncio.sleep(3600)
            stop = min(end, at + _BLOCK)
            if answer.stall_after is not None:
                stop = min(stop, max(at + 1, answer.stall_after))
            writer.write(answer.body[at:stop])
            await writer.drain()
            self.sent[path] = self.sent.get(path, 0) + stop - at
            at = stop
            self.watch(sum(self.sent.values()))
            if answer.pause_s:
                await asyncio.sleep(answer.pause_s)
        await writer.drain()
        return answer.cut_after is None


@contextlib.contextmanager
def running(server: FileServer | None = None) -> Iterator[FileServer]:
    """A server on a free port of this machine, in a thread of its own."""
    server = server or FileServer()
    started, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=server.tls)
        scheme = "https" if server.tls else "http"
        server.origin = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        started.set()
        async with listening:
            await stop.wait()
            listening.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that differ everywhere, the same for a seed."""
    return hashlib.shake_256(f"{seed}".encode()).digest(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

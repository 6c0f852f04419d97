"""Heads of requests have limits, for those who are let in and for those who are not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from localai.http.connection import Connection
from tests.conftest import StartServer
from tests.live import PATIENCE_S, LiveServer, echo_yaml, read_to_end, write_models


@pytest.mark.parametrize("piece", [b"y" * 100_000, b"X: yyyyyyyy\r\n" * 8_000])
def test_a_head_without_end(tmp_path: Path, start_server: StartServer, piece: bytes) -> None:
    folder = write_models(tmp_path / "models", {"echo.yaml": echo_yaml("echo")})
    server = start_server(folder, "--api-keys", "secret")
    key = {"Authorization": "Bearer secret"}
    assert server.get("/v1/models", **key).status == 200
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        with pytest.raises(ConnectionError):
            send_again_and_again(connection, piece)
    assert server.get("/v1/models", **key).status == 200


def send_again_and_again(connection: socket.socket, piece: bytes) -> None:
    for _ in range(2_000):  # 200 megabytes
        connection.sendall(piece)


def test_large_heads_and_bodies_pass(server: LiveServer) -> None:
    body = {"model": "team/echo", "messages": [{"role": "user", "content": "x" * 3_000_000}]}
    for _ in range(2):
        reply = server.post("/v1/chat/completions", body, {"X-Note": "y" * 50_000})
        assert reply.status == 200


def test_many_requests_on_one_connection(server: LiveServer) -> None:
    body = json.dumps(
        {"model": "team/echo", "messages": [{"role": "user", "content": "x" * 200_000}]}
    ).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
    requests = [f"{head}\r\n".encode() + body] * 4 + [
        f"{head}Connection: close\r\n\r\n".encode() + body
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        for data in requests:
            connection.sendall(data)
        assert read_to_end(connection).count(b"HTTP/1.1 200") == len(requests)


class Hasty(Connection):
    """Waits no longer than a test does."""

    head_s = 0.2
    unread_s = 0.5


async def _never(_scope: object, _receive: object, _send: object) -> None:
    raise AssertionError("no request was complete")


@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_a_head_that_never_ends_is_given_up(beginning: bytes) -> None:
    async def test() -> bytes:
        config = uvicorn.Config(_never, lifespan="off", log_config=None)  # type: ignore[arg-type]  # it is never called
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(
            lambda: Hasty(config, ServerState(), {}), "127.0.0.1", 0
        )
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(beginning)
            answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            return answer

    assert asyncio.run(test()) == b""


def test_a_client_that_reads_nothing_is_cut_off_and_a_slow_one_is_not() -> None:
    piece = b"x" * (1 << 16)
    told: list[str] = []
    cut = asyncio.Event()

    async def talk(_scope: object, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(receive())
        sent = 0
        while not gone.done() and sent < 400:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent += 1
        told.append("gone" if gone.done() else "read")
        cut.set()
        gone.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def ask(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return reader, writer

    async def test() -> None:
        config = uvicorn.Config(talk, lifespan="off", log_config=None)  # type: ignore[arg-type]  # as uvicorn calls it
        config.load()
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(
            lambda: Hasty(config, ServerState(), {}), "127.0.0.1", 0
        )
        async with listening, asyncio.timeout(PATIENCE_S):
            port = listening.sockets[0].getsockname()[1]
            _, silent = await ask(port)
            silent.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's can
            await cut.wait()
            silent.close()
            reader, slow = await ask(port)
            count = 0
            while data := await reader.read(1 << 22):
                count += len(data)
                await asyncio.sleep(0.005)
            slow.close()
            assert count > 400 * len(piece)
            assert told == ["gone", "read"]

    asyncio.run(test())

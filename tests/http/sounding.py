"""A server with models that hear and speak, for tests of several files."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localai.engines.manifest import Manifest
from tests.engines.installed import FOLDER, skip_without
from tests.live import LiveServer, Reply, write_models

BACKENDS = ("--backends-path", str(FOLDER))
MODELS = {
    "tones.yaml": "name: tones\nbackend: tones\n",
    "slow.yaml": "name: tones-slow\nbackend: tones\noptions: ['delay_s:0.3', 'slots:2']\n",
    # One for each test: a model that has crashed is not tried again for a while.
    **{
        f"breaking-{where}.yaml": f"name: tones-breaking-{where}\nbackend: tones\n"
        "options: ['crash_after:2']\n"
        for where in ("hearing", "sound", "events")
    },
    "echo.yaml": "name: echo\nbackend: echo\n",
}


def fill(folder: Path) -> Path:
    """The models; the test is skipped when the engine is not installed."""
    skip_without(Manifest().find("tones"))
    return write_models(folder, MODELS)


def form(
    fields: Mapping[str, str], file: bytes | None, *, name: str = "speech.mp3"
) -> tuple[str, bytes]:
    """A multipart body and its content type."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    if file is not None:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        parts.append(head.encode() + b"Content-Type: audio/mpeg\r\n\r\n" + file + b"\r\n")
    return f"multipart/form-data; boundary={boundary}", b"".join(
        parts
    ) + f"--{boundary}--\r\n".encode()


def upload(
    server: LiveServer, file: bytes | None, path: str = "/v1/audio/transcriptions", **fields: str
) -> Reply:
    """Send a file."""
    kind, body = form({"model": "tones"} | fields, file)
    return server.post(path, body, {"Content-Type": kind})


def speak(server: LiveServer, text: str, **fields: Any) -> bytes:
    """The sound of a text, as WAV if not said otherwise."""
    body = {"model": "tones", "input": text, "response_format": "wav"} | fields
    reply = server.post("/v1/audio/speech", body)
    assert reply.status == 200, reply.body
    return reply.body


def open_upload(
    server: LiveServer, file: bytes, *, sent: int | None = None, **fields: str
) -> socket.socket:
    """Begin an upload over a plain socket; only `sent` bytes of the body leave."""
    kind, body = form({"model": "tones"} | fields, file)
    head = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: test\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.sendall(head.encode() + body[:sent])
    return connection


def events_of(body: bytes) -> list[Any]:
    """The data of server-sent events."""
    lines = [
        line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: ")
    ]
    return [line.decode() if line == b"[DONE]" else json.loads(line) for line in lines]

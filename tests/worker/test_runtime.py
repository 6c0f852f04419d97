"""A worker alone: its protocol is plain HTTP, over a Unix socket or TCP with a token."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import PATIENCE_S, clean_environment, wait_until

ECHO = "localai.backends.echo"
LOAD = {"model": "m", "model_path": "none"}


class _OverUnix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("worker", timeout=PATIENCE_S)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self._path)


class LoneWorker:
    """One worker process, spoken to in plain HTTP."""

    def __init__(self, listen: str, *, token: str = "", module: str = ECHO) -> None:
        self.listen = listen
        self.process = subprocess.Popen(
            [sys.executable, "-m", "localai.worker", module, "--listen", listen],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=clean_environment(**({"LOCALAI_WORKER_TOKEN": token} if token else {})),
        )  # fmt: skip
        wait_until(self._listens, "the worker's socket")

    def connection(self) -> http.client.HTTPConnection:
        kind, _, address = self.listen.partition(":")
        if kind == "unix":
            return _OverUnix(Path(address))
        host, _, port = address.rpartition(":")
        return http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def events(self, **call: Any) -> list[dict[str, Any]]:
        status, body = self.ask("POST", "/generate", call)
        assert status == 200
        return [json.loads(line) for line in body.splitlines()]

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("GET", "/health")[1])
        return found

    def load(self, *options: str) -> tuple[int, bytes]:
        return self.ask("POST", "/load", LOAD | {"options": options})

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(PATIENCE_S)
        assert self.process.stdin is not None
        self.process.stdin.close()

    def _listens(self) -> bool:
        assert self.process.poll() is None
        try:
            self.ask("GET", "/health")
        except OSError:
            return False
        return True


@pytest.fixture
def worker() -> Iterator[LoneWorker]:
    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as folder:
        lone = LoneWorker(f"unix:{folder}/w.sock")
        yield lone
        lone.stop()


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def test_health_load_generate(worker: LoneWorker) -> None:
    assert worker.health() == {"state": "starting", "model": "", "running": 0, "version": 1}
    status, body = worker.load("slots:3")
    assert status == 200
    assert json.loads(body)["slots"] == 3
    assert worker.health()["state"] == "ready"
    events = worker.events(text="one two")
    assert kinds(events) == [
        "started",
        "block",
        "delta",
        "delta",
        "block_end",
        "choice_end",
        "finished",
    ]
    assert [event["text"] for event in events if event["event"] == "delta"] == ["one", " two"]
    assert events[-1]["completion_tokens"] == 2


def test_before_a_load_nothing_is_generated(worker: LoneWorker) -> None:
    events = worker.events(text="one")
    assert kinds(events) == ["failed"]
    assert events[0]["error"]["kind"] == "unsupported"


def test_a_second_load_is_refused_and_harms_nothing(worker: LoneWorker) -> None:
    assert worker.load()[0] == 200
    status, body = worker.load()
    assert status == 422
    assert "already" in json.loads(body)["message"]
    assert worker.health()["state"] == "ready"
    assert kinds(worker.events(text="one"))[-1] == "finished"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"model": 5}', b"\xff\xfe", b"null", b'{"model": "\xff"}']
)
def test_a_bad_body_is_no_crash(worker: LoneWorker, body: bytes) -> None:
    assert worker.ask("POST", "/load", body)[0] == 422
    assert worker.load()[0] == 200
    status, answer = worker.ask("POST", "/generate", body)
    assert status == 200
    # An object with fields that mean nothing here is an empty call, which is answered.
    is_object = body.startswith(b'{"')
    assert json.loads(answer.splitlines()[-1])["event"] == ("finished" if is_object else "failed")
    assert worker.ask("POST", "/task/embed", body)[0] == 422
    assert worker.ask("POST", "/task/nothing", body)[0] in {404, 422}
    assert worker.ask("GET", "/nothing")[0] == 404
    assert kinds(worker.events(text="one"))[-1] == "finished"


def test_bad_settings_are_told_and_stay_told(worker: LoneWorker) -> None:
    status, body = worker.load("slots:many")
    assert status == 422
    error = json.loads(body)
    assert error["kind"] == "spec_invalid"
    assert "slots" in error["message"]
    assert worker.health()["state"] == "failed"


def test_a_failed_load_says_why(worker: LoneWorker) -> None:
    status, body = worker.load("fail_load:no memory left")
    assert status == 422
    assert json.loads(body) == {
        "kind": "start_failed",
        "message": "no memory left",
        "fields": {"log_tail": ""},
    }


def test_hanging_up_cancels(worker: LoneWorker) -> None:
    assert worker.load("delay_s:0.05", "repeat:100000")[0] == 200
    connection = worker.connection()
    connection.request("POST", "/generate", b'{"text": "on"}')
    assert connection.getresponse().readline()
    assert worker.health()["running"] == 1
    connection.close()
    wait_until(lambda: worker.health()["running"] == 0, "the end of the call")


def test_calls_run_side_by_side(worker: LoneWorker) -> None:
    assert worker.load("delay_s:0.05", "repeat:100000")[0] == 200
    connections = [worker.connection() for _ in range(5)]
    for connection in connections:
        connection.request("POST", "/generate", b'{"text": "on"}')
    wait_until(lambda: worker.health()["running"] == 5, "five calls")
    for connection in connections:
        connection.close()
    wait_until(lambda: worker.health()["running"] == 0, "the end of all calls")


def test_it_ends_with_its_stdin(worker: LoneWorker) -> None:
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    assert worker.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_a_signal(worker: LoneWorker, number: int) -> None:
    assert worker.load()[0] == 200
    worker.process.send_signal(number)
    assert worker.process.wait(PATIENCE_S) == 0


def test_over_tcp_it_wants_its_token() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lone = LoneWorker(f"tcp:127.0.0.1:{port}", token="secret")
    try:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer sécret"}):
            assert lone.ask("GET", "/health", **headers)[0] == 401
            assert lone.ask("POST", "/load", LOAD, **headers)[0] == 401
        good = {"Authorization": "Bearer secret"}
        assert lone.ask("POST", "/load", LOAD, **good)[0] == 200
        assert lone.ask("GET", "/health", **good)[0] == 200
    finally:
        lone.stop()


def test_a_slow_reader_does_not_fill_the_memory(worker: LoneWorker) -> None:
    assert worker.load("repeat:300000")[0] == 200
    connection = worker.connection()
    connection.request("POST", "/generate", b'{"text": "a b c d e f g h"}')
    answer = connection.getresponse()
    before = memory_of(worker.process.pid)
    time.sleep(1.0)  # it would write some ten megabytes now
    assert memory_of(worker.process.pid) - before < 50e6
    assert answer.readline()
    connection.close()


def memory_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except FileNotFoundError:
        pytest.skip("this system has no /proc")


LOSES_ITS_DEVICE = """
from localai.wire.messages import ModelFacts


class AcceleratorError(RuntimeError):  # as PyTorch calls it
    pass


class OutOfMemoryError(RuntimeError):
    pass


class Backend:
    facts = ModelFacts(device="a GPU")

    @classmethod
    async def load(cls, request):
        return cls()

    async def close(self):
        pass

    async def embed(self, request):
        if request.inputs == ("too much",):
            raise OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.89 GiB "
                "of which 512.00 MiB is free. Process 7 has 15.39 GiB memory in use. Of the allocated ..."
            )
        raise AcceleratorError("CUDA error: device-side assert triggered\\nCUDA kernel errors might ...")
"""


def test_a_worker_outlives_a_full_gpu_and_not_a_lost_one(tmp_path: Path) -> None:
    backend = tmp_path / "lossy.py"
    backend.write_text(LOSES_ITS_DEVICE)
    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as folder:
        worker = LoneWorker(f"unix:{folder}/w.sock", module=f"file:{backend}")
        assert worker.load()[0] == 200
        status, body = worker.ask("POST", "/task/embed", {"inputs": ["too much"]})
        error = json.loads(body)
        assert (status, error["kind"]) == (422, "out_of_memory")
        assert "2.15 GB" in error["message"]
        assert "0.54 GB are free" in error["message"]
        assert (error["fields"]["needed_bytes"], error["fields"]["free_bytes"]) == (
            2 << 30,
            1 << 29,
        )
        assert worker.health()["state"] == "ready"
        status, body = worker.ask("POST", "/task/embed", {"inputs": ["x"]})
        assert (status, json.loads(body)["kind"]) == (422, "engine_failed")
        assert worker.process.wait(PATIENCE_S) != 0
        worker.stop()

"""A real server in its own process, and the clients that tests use to talk to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from tests.gguf_maker import make_scripted, make_tiny_llama
from tests.specs.recording import get_ready, record

if TYPE_CHECKING:
    import anthropic
    import ollama
    import openai

PATIENCE_S = 60.0  # until something that has to happen counts as missing; the machine may be busy
SPOKEN = ["This ", "is ", "scripted: ", "one", " two", " three."]
SENTENCE = "".join(SPOKEN)
_LISTENS = re.compile(r"listens on (http://\S+)")
_READY = re.compile(r"(\S+) is ready after .*?\(pid (\d+);")
_OWN_VARIABLES = re.compile(
    r"LOCALAI|LLAMACPP|API_KEY|^(MODELS_PATH|ADDRESS|THREADS|CORS|PARALLEL)$"
)

Found = TypeVar("Found")


def wait_until(probe: Callable[[], Found], what: str, *, timeout_s: float = PATIENCE_S) -> Found:
    """Ask `probe` until it gives something true, and give that; `what` names it when it never does."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = probe()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout_s:g} s"
        time.sleep(0.02)


def echo_yaml(name: str, **options: object) -> str:
    """A model file of the echo backend with these settings."""
    listed = "".join(f"  - {key}:{value}\n" for key, value in options.items())
    return f"name: {name}\nbackend: echo\n" + (f"options:\n{listed}" if listed else "")


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without any setting of the server, and with `more`."""
    kept = {key: value for key, value in os.environ.items() if not _OWN_VARIABLES.search(key)}
    quiet = {"OMP_WAIT_POLICY": "passive", "GGML_NO_BACKTRACE": "1"}
    return kept | quiet | {"LOCALAI_GALLERIES": "[]"} | more  # only our own: no network is asked


@dataclass(frozen=True)
class Reply:
    """One HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a value."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object of OpenAI's shape."""
        found: dict[str, Any] = self.json["error"]
        return found


class LiveServer:
    """`python -m localai run` on a port of its own; use it as a context manager."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        address: str | None = "127.0.0.1:0",
    ) -> None:
        """Start it with the models in `folder`; its working directory is the parent of that."""
        command = [sys.executable, "-m", "localai", "run", *arguments]
        if address is not None:
            command += ["--address", address]
        command += ["--models-path", str(folder)]
        self.folder = folder
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            command,
            cwd=folder.parent,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env=clean_environment(HOME=str(folder.parent), **(environment or {})),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""

    def __enter__(self) -> Self:
        try:
            get_ready()  # while the server starts
            self.url = wait_until(self._address, "the server's start")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """Everything it has printed so far."""
        return "\n".join(self.lines)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it if it still runs; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._reader.join(5.0)
            if self.process.stderr is not None and not self._reader.is_alive():
                self.process.stderr.close()

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request; a body that is no bytes travels as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request(method, path, data, sent | dict(headers or {}))
            answer = connection.getresponse()
            reply = Reply(answer.status, dict(answer.headers.items()), answer.read())
            record(method, path, reply.status, answer.headers.get("content-type", ""), reply.body)
            return reply

    def get(self, path: str, **headers: str) -> Reply:
        """Send a GET."""
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """Send a POST."""
        return self.request("POST", path, body, headers)

    def say(self, model: str, text: str, **fields: Any) -> Reply:
        """Ask a chat model one thing."""
        messages = [{"role": "user", "content": text}]
        return self.post("/v1/chat/completions", {"model": model, "messages": messages, **fields})

    @contextlib.contextmanager
    def openai(self, key: str = "none") -> Iterator[openai.OpenAI]:
        """The official client, which never repeats a request here."""
        import httpx2
        import openai

        from tests.specs.transports import RecordingTransport2

        with (
            httpx2.Client(transport=RecordingTransport2(), timeout=PATIENCE_S) as sender,
            openai.OpenAI(
                base_url=f"{self.url}/v1", api_key=key, max_retries=0, http_client=sender
            ) as client,
        ):
            yield client

    @contextlib.contextmanager
    def anthropic(self, key: str = "none") -> Iterator[anthropic.Anthropic]:
        """The official client, which never repeats a request here."""
        import anthropic
        import httpx2

        from tests.specs.transports import RecordingTransport2

        with (
            httpx2.Client(transport=RecordingTransport2(), timeout=PATIENCE_S) as sender,
            anthropic.Anthropic(
                base_url=self.url, api_key=key, max_retries=0, http_client=sender
            ) as client,
        ):
            yield client

    @contextlib.contextmanager
    def ollama(self) -> Iterator[ollama.Client]:
        """The official client."""
        import ollama

        from tests.specs.transports import RecordingTransport

        client = ollama.Client(self.url, transport=RecordingTransport(), timeout=PATIENCE_S)
        try:
            yield client
        finally:
            client._client.close()  # it offers no other way

    def open_stream(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> socket.socket:
        """Send a POST over a plain socket and read nothing; the caller closes it."""
        data = json.dumps(body).encode()
        lines = [
            f"POST {path} HTTP/1.1", "Host: test", "Content-Type: application/json",
            f"Content-Length: {len(data)}", *(f"{key}: {value}" for key, value in (headers or {}).items()),
        ]  # fmt: skip
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + data)
        return connection

    def metric(self, name: str, **labels: str) -> float:
        """The value of one sample of /metrics; 0 when it is not there."""
        text = self.get("/metrics").body.decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return 0.0

    def running(self, model: str) -> float:
        """How many requests the model answers now."""
        return self.metric("localai_running_requests", model=model)

    def waiting(self, model: str) -> float:
        """How many requests wait for the model now."""
        return self.metric("localai_waiting_requests", model=model)

    def workers(self, model: str) -> list[int]:
        """The process ids of all workers the model ever had, oldest first."""
        return [int(pid) for name, pid in _READY.findall(self.log) if name == model]

    def _address(self) -> str:
        found = _LISTENS.search(self.log)
        ended = self.process.poll()
        assert ended is None or found, f"the server ended with {ended}:\n{self.log}"
        return found[1] if found else ""

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))


def read_to_end(connection: socket.socket) -> bytes:
    """Everything that still comes over `connection`, until the other side closes it."""
    pieces = []
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    """What comes over `connection` up to `mark` and whatever came with it."""
    data = b""
    while mark not in data:
        piece = connection.recv(1 << 16)
        assert piece, f"the connection ended before {mark!r}: {data[-500:]!r}"
        data += piece
    return data


def is_alive(pid: int) -> bool:
    """Whether the process still runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not Path("/proc/self/stat").exists()


def run_cli(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m localai` to its end in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "localai", *arguments],
        cwd=folder,
        env=clean_environment(HOME=str(folder), **(environment or {})),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def write_models(folder: Path, files: Mapping[str, str]) -> Path:
    """Write model files into `folder`, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def fill_models(folder: Path, scripted: Sequence[str] = SPOKEN) -> Path:
    """The models of the server that most tests share."""
    write_models(
        folder,
        {
            "text.yaml": "name: text\nparameters: {model: text.gguf, temperature: 0}\n"
            "context_size: 2048\nthreads: 1\noptions: [parallel:2]\n",
            "stopping.yaml": "name: stopping\nparameters: {model: text.gguf, temperature: 0}\n"
            "context_size: 1024\nthreads: 1\nstopwords: [three]\noptions: [parallel:1]\n",
            "noise.yaml": "name: noise\nparameters: {model: weights/noise.gguf, seed: 1}\n"
            "context_size: 2048\nthreads: 1\noptions: [parallel:2]\n",
            "echo.yaml": echo_yaml("team/echo"),
            "slow.yaml": echo_yaml("slow", delay_s=0.05, slots=2),
            "endless.yaml": echo_yaml("endless", delay_s=0.05, slots=2, repeat=100000),
            "off.yaml": "name: off\nbackend: echo\ndisabled: true\n",
            "other.yaml": "name: other-name\nalias: team/echo\n",
        },
    )
    (folder / "weights").mkdir(exist_ok=True)
    make_scripted(folder / "text.gguf", scripted)
    make_tiny_llama(folder / "weights" / "noise.gguf")
    return folder

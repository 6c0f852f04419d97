"""Starting, stopping and being killed."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.gguf_maker import make_scripted
from tests.live import (
    LiveServer,
    echo_yaml,
    is_alive,
    read_until,
    run_cli,
    wait_until,
    write_models,
)

PATH = "/v1/chat/completions"


def body(model: str) -> dict[str, object]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": "one two three four"}],
        "stream": True,
    }


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder for temporary files whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as folder:
        yield Path(folder)


def folder_of(tmp_path: Path) -> Path:
    return write_models(
        tmp_path / "models",
        {
            "short.yaml": echo_yaml("short", delay_s=0.3),
            "endless.yaml": echo_yaml("endless", delay_s=0.05, repeat=100_000),
        },
    )


def sockets(folder: Path) -> list[Path]:
    return list(folder.glob("localai-run-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(tmp_path: Path, short_path: Path, number: int) -> None:
    folder = folder_of(tmp_path)
    with LiveServer(folder, environment={"TMPDIR": str(short_path)}) as server:
        assert server.say("short", "Hi").status == 200
        pid = server.workers("short")[-1]
        assert len(sockets(short_path)) == 1
        assert server.stop(number) == 0
        assert "Traceback" not in server.log
    wait_until(lambda: not is_alive(pid), "the end of the worker")
    assert sockets(short_path) == []


def test_a_short_answer_is_finished_first(tmp_path: Path) -> None:
    patient = LiveServer(folder_of(tmp_path), "--shutdown-timeout", "60s")
    with patient as server, server.open_stream(PATH, body("short")) as held:
        data = read_until(held, b'"content":"one"')
        server.process.send_signal(signal.SIGTERM)
        data += read_until(held, b"data: [DONE]")
        assert b'"content":" four"' in data
        assert b'"error"' not in data
        assert server.stop() == 0


def test_who_asks_again_for_the_end_does_not_disturb_it(tmp_path: Path, short_path: Path) -> None:
    folder = folder_of(tmp_path)
    with LiveServer(folder, environment={"TMPDIR": str(short_path)}) as server:
        assert server.say("short", "Hi").status == 200
        pid = server.workers("short")[-1]
        while server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.001)
        assert server.stop() == 0
    wait_until(lambda: not is_alive(pid), "the end of the worker")
    assert sockets(short_path) == []


def test_a_long_answer_is_cut_after_the_grace_time(tmp_path: Path) -> None:
    with (
        LiveServer(folder_of(tmp_path), "--shutdown-timeout", "1s") as server,
        server.open_stream(PATH, body("endless")) as held,
    ):
        read_until(held, b'"content":"one"')
        pid = server.workers("endless")[-1]
        assert server.stop() == 0
        wait_until(lambda: not is_alive(pid), "the end of the worker")


def test_new_connections_are_refused_while_it_ends(tmp_path: Path) -> None:
    with LiveServer(folder_of(tmp_path)) as server, server.open_stream(PATH, body("short")) as held:
        read_until(held, b'"content":"one"')
        server.process.send_signal(signal.SIGTERM)

        def is_closed() -> bool:
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
            except OSError:
                return True
            return False

        wait_until(is_closed, "the closed door")
        assert server.stop() == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_killed_server_leaves_no_worker_and_its_sockets_go_later(
    tmp_path: Path, short_path: Path
) -> None:
    environment = {"TMPDIR": str(short_path)}
    folder = folder_of(tmp_path)
    with LiveServer(folder, environment=environment) as server:
        with server.open_stream(PATH, body("endless")) as held:
            read_until(held, b'"content":"one"')
            pid = server.workers("endless")[-1]
            assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        wait_until(lambda: not is_alive(pid), "the end of the worker", timeout_s=5)
    assert len(sockets(short_path)) == 1
    left = sockets(short_path)[0]
    with LiveServer(folder, environment=environment) as server:
        assert server.say("short", "Hi").status == 200
        assert left not in sockets(short_path)
        assert len(sockets(short_path)) == 1


def test_a_very_long_temporary_folder(tmp_path: Path) -> None:
    """A Unix socket's path has 100 characters or so; macOS' own temporary folder takes half."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with LiveServer(folder_of(tmp_path), environment={"TMPDIR": str(deep)}) as server:
        assert server.say("short", "Hi").status == 200


def test_a_killed_worker_while_nobody_asks(tmp_path: Path, start_server: StartServer) -> None:
    server = start_server(folder_of(tmp_path))
    assert server.say("short", "Hi").status == 200
    pid = server.workers("short")[-1]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.metric("localai_workers", model="short") == 0, "the loss")
    assert server.say("short", "Hi").status == 200
    assert server.workers("short")[-1] != pid


def test_models_are_loaded_first_when_named(tmp_path: Path, start_server: StartServer) -> None:
    server = start_server(folder_of(tmp_path), "short", "--load-to-memory", "endless")
    assert server.workers("short")
    assert server.workers("endless")
    assert "short: ready" in server.log


def test_what_to_try_is_what_the_models_do(tmp_path: Path, start_server: StartServer) -> None:
    """The first model that chats; without one, the first and what it does."""
    folder = tmp_path / "models"
    write_models(folder, {"ears.yaml": "name: ears\nbackend: whisper\n"})
    server = start_server(folder)
    wait_until(lambda: "-F model=ears" in server.log, "the example")
    write_models(folder, {"talk.yaml": "name: talk\nbackend: echo\n"})
    other = start_server(folder)
    wait_until(lambda: '"model": "talk", "messages"' in other.log, "the example")


def test_more_clients_than_a_shell_allows_files(tmp_path: Path, start_server: StartServer) -> None:
    folder = write_models(tmp_path / "models", {"a.yaml": echo_yaml("a")})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))  # the server's, too
    try:
        server = start_server(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with contextlib.ExitStack() as clients:
        for _ in range(300):
            clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        assert server.say("a", "so").status == 200


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_cli("run", "--address", f"127.0.0.1:{port}", folder=tmp_path)
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert "--address" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_of_ipv6(tmp_path: Path, start_server: StartServer) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = start_server(folder_of(tmp_path), address="[::1]:0")
    assert server.url.startswith("http://[::1]:")


def test_idle_models_are_unloaded(tmp_path: Path, start_server: StartServer) -> None:
    server = start_server(
        folder_of(tmp_path), "--enable-watchdog-idle", "--watchdog-idle-timeout", "1s"
    )
    assert server.say("short", "Hi").status == 200
    wait_until(lambda: server.metric("localai_workers", model="short") == 0, "the unloading")
    assert server.say("short", "Hi").status == 200


def test_only_one_model_stays_loaded(tmp_path: Path, start_server: StartServer) -> None:
    folder = folder_of(tmp_path)
    (folder / "third.yaml").write_text(echo_yaml("third"))
    server = start_server(folder, "--single-active-backend")
    for name in ("short", "third", "short"):
        assert server.say(name, "Hi").status == 200
        loaded = [
            model for model in ("short", "third") if server.metric("localai_workers", model=model)
        ]
        assert loaded == [name]


def test_slots_of_the_environment_are_a_default(tmp_path: Path, start_server: StartServer) -> None:
    model = "parameters: {model: words.gguf}\ncontext_size: 256\nthreads: 1\n"
    folder = write_models(
        tmp_path / "models",
        {
            "one.yaml": f"name: one\n{model}options: [parallel:1]\n",
            "plain.yaml": f"name: plain\n{model}",
        },
    )
    make_scripted(folder / "words.gguf", ["so it", " is"])
    server = start_server(folder, "one", "plain", environment={"LLAMACPP_PARALLEL": "3"})
    assert re.search(r"one is ready .* 1 at once", server.log)
    assert re.search(r"plain is ready .* 3 at once", server.log)

"""Engines over HTTP: models that need one, installing and removing as jobs."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartServer
from tests.engines.test_install import CODE, MURMUR
from tests.live import LiveServer, Reply, run_cli, wait_until, write_models
from tests.wheels import WORKER, make_wheel, repack


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for name in WORKER:
        repack(folder, name)
    make_wheel(
        folder, "murmur-engine", {"murmur_engine.py": "def say(text):\n    return text.lower()\n"}
    )
    return folder


@pytest.fixture
def start(tmp_path: Path, wheels: Path, start_server: StartServer) -> Callable[..., LiveServer]:
    """A server with a model whose engine is not installed, and with wheels to install it from."""
    custom = tmp_path / "data" / "backends" / "custom"
    custom.mkdir(parents=True)
    (custom / "murmur.yaml").write_text(MURMUR)
    (custom / "murmur.py").write_text(CODE)
    models = tmp_path / "models"
    models.mkdir()
    (models / "quiet.yaml").write_text("name: quiet\nbackend: whisperer\n")
    environment = {"UV_FIND_LINKS": str(wheels), "UV_NO_INDEX": "1", "UV_OFFLINE": "1"}

    def started(*arguments: str) -> LiveServer:
        return start_server(models, *arguments, environment=environment)

    return started


def ask(server: LiveServer) -> Reply:
    body = {"model": "quiet", "messages": [{"role": "user", "content": "HELLO There"}]}
    return server.request("POST", "/v1/chat/completions", body)


def text_of(reply: Reply) -> str:
    return str(reply.json["choices"][0]["message"]["content"])


def job_of(server: LiveServer, started: Reply) -> dict[str, Any]:
    assert started.status == 200, started.body
    path = started.json["status"].removeprefix(server.url)
    assert path.endswith(started.json["uuid"])

    def over() -> dict[str, Any]:
        status: dict[str, Any] = server.request("GET", path).json
        return status if status["processed"] else {}

    return wait_until(over, "the end of the job")


def test_an_engine_is_installed_used_and_removed(start: Callable[..., LiveServer]) -> None:
    server = start()
    refused = ask(server)
    assert refused.status == 501
    assert "local-ai backends install murmur" in refused.error["message"]
    listed = {row["name"]: row for row in server.request("GET", "/backends/available").json}
    assert not listed["murmur"]["installed"]
    assert listed["murmur"]["license"] == "GPL-3.0-or-later"

    status = job_of(server, server.request("POST", "/backends/apply", {"id": "localai@murmur"}))
    assert status["message"] == "completed"
    assert status["progress"] == 100
    assert "error" not in status
    assert text_of(ask(server)) == "hello there"  # at once: nothing has to cool down
    installed = [row["Name"] for row in server.request("GET", "/backends").json]
    assert {"murmur", "llama-cpp"} <= set(installed)
    assert server.request("GET", "/backends/upgrades").json == {}

    removed = job_of(server, server.request("POST", "/backends/delete/murmur"))
    assert removed["deletion"]
    assert "error" not in removed
    assert ask(server).status == 501


@pytest.mark.parametrize("module", ["choir.murmur", "murmur"])
def test_a_package_brings_an_engine(tmp_path: Path, start_server: StartServer, module: str) -> None:
    """By its entry point, as a module of a package or alone; one that is damaged hides no other."""
    site = tmp_path / "site"
    place = site.joinpath(*module.split(".")).parent
    about = site / "choir-1.0.dist-info"
    for folder in (place, about):
        folder.mkdir(parents=True, exist_ok=True)
    (site / "murmur_engine.py").write_text("def say(text):\n    return text.lower()\n")
    (place / "murmur.py").write_text(CODE)
    described = MURMUR.replace("requires: {cpu: [murmur-engine]}", "installed_with: localai")
    (place / "murmur.yaml").write_text(described)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: choir\nVersion: 1.0\n")
    points = f"[localai.backends]\nmurmur = {module}\ngone = nowhere.at.all\n"
    (about / "entry_points.txt").write_text(points)
    models = write_models(tmp_path / "models", {"quiet.yaml": "name: quiet\nbackend: whisperer\n"})
    server = start_server(models, environment={"PYTHONPATH": str(site)})
    assert text_of(ask(server)) == "hello there"
    assert "murmur" in [row["name"] for row in server.get("/backends").json]


def folder_of(server: LiveServer) -> Path:
    rows = {row["name"]: row for row in server.request("GET", "/backends/available").json}
    (environment,) = rows["murmur"]["environments"]
    return Path(environment["folder"])


def test_an_upgrade_is_used_once_the_worker_before_it_has_given_its_answers(
    start: Callable[..., LiveServer],
) -> None:
    """Nobody asks in between: the old environment goes, and the next request gets the new one."""
    server = start()
    job_of(server, server.request("POST", "/backends/apply", {"id": "murmur"}))
    assert text_of(ask(server)) == "hello there"
    old = folder_of(server)
    custom = server.folder.parent / "data" / "backends" / "custom" / "murmur.yaml"
    custom.write_text(MURMUR.replace("[murmur-engine]", '["murmur-engine>=1"]'))
    assert "error" not in job_of(server, server.request("POST", "/backends/upgrade/murmur"))
    new = folder_of(server)
    assert new != old
    wait_until(lambda: not old.exists(), "the end of the old environment")
    assert text_of(ask(server)) == "hello there"
    wait_until(lambda: len(server.workers("quiet")) == 2, "the line about the new worker")
    assert new.exists()


def test_a_damaged_engine_is_told_with_what_mends_it(start: Callable[..., LiveServer]) -> None:
    server = start()
    job_of(server, server.request("POST", "/backends/apply", {"id": "murmur"}))
    next(folder_of(server).rglob("murmur_engine.py")).unlink()
    reply = ask(server)
    assert reply.error["code"] == "start_failed"
    assert "No module named 'murmur_engine'" in reply.error["message"]
    assert "local-ai backends install murmur --force" in reply.error["message"]


def test_what_is_removed_elsewhere_stays_until_its_worker_has_ended(
    start: Callable[..., LiveServer],
) -> None:
    server = start()
    job_of(server, server.request("POST", "/backends/apply", {"id": "murmur"}))
    assert text_of(ask(server)) == "hello there"
    old = folder_of(server)
    removed = run_cli("backends", "uninstall", "murmur", folder=server.folder.parent)
    assert removed.returncode == 0, removed.stderr
    assert (old / "bin" / "python").exists()
    assert text_of(ask(server)) == "hello there"  # of the worker that runs
    server.stop()
    assert not old.exists()


def test_jobs_of_a_server_that_died_are_told_as_failed(
    start: Callable[..., LiveServer], start_server: StartServer, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an index that never answers
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        environment = {"UV_DEFAULT_INDEX": index, "NO_PROXY": "127.0.0.1", "UV_CACHE_DIR": str(tmp_path / "uv")}  # fmt: skip
        for number, end in enumerate((signal.SIGKILL, signal.SIGTERM)):
            server = start_server(tmp_path / "models", environment=environment)
            begun = server.request("POST", "/backends/apply", {"id": "murmur"})
            path = begun.json["status"].removeprefix(server.url)
            wait_until(lambda at=path, on=server: "installing" in on.get(at).json["message"], "its begin")  # fmt: skip
            assert not server.get(path).json["processed"]
            server.stop(end)
            server = start_server(tmp_path / "models", environment=environment)
            told = server.get(path).json
            assert told["processed"]
            assert told["phase"] == "failed"
            assert "The server ended before this was done" in told["error"]
            assert told["gallery_element_name"] == "murmur"
            assert len(server.get("/backends/jobs").json) == number + 1
            server.stop()


def test_a_missing_engine_is_installed_when_that_is_wanted(
    start: Callable[..., LiveServer],
) -> None:
    server = start("--install-missing")
    assert text_of(ask(server)) == "hello there"


def test_jobs_fail_with_a_reason(start: Callable[..., LiveServer]) -> None:
    server = start()
    custom = server.folder.parent / "data" / "backends" / "custom" / "murmur.yaml"
    custom.write_text(MURMUR.replace("[murmur-engine]", "[murmur-engine, no-such-package]"))
    status = job_of(server, server.request("POST", "/backends/apply", {"id": "murmur"}))
    assert "no-such-package" in status["error"]
    assert status["message"] != "completed"
    known = server.request("GET", "/backends/jobs").json
    assert any(job["gallery_element_name"] == "murmur" for job in known.values())


BAD = [
    ("POST", "/backends/apply", {}, 400),
    ("POST", "/backends/apply", {"id": 7}, 400),
    ("POST", "/backends/apply", {"id": "nothing-like-it"}, 404),
    ("POST", "/backends/apply", {"id": "llama-cpp"}, 400),
    ("POST", "/backends/apply", {"id": "murmur", "variant": "cuda99"}, 400),
    ("POST", "/backends/delete/nothing-like-it", None, 404),
    ("POST", "/backends/delete/llama-cpp", None, 404),
    ("GET", "/backends/jobs/17", None, 404),
    ("POST", "/backends/jobs/17/cancel", None, 404),
    ("POST", "/backends/upgrade/nothing-like-it", None, 404),
]


def test_bad_calls_are_told_apart(start: Callable[..., LiveServer]) -> None:
    server = start()
    for method, path, body, status in BAD:
        reply = server.request(method, path, body)
        assert reply.status == status, (path, body, reply.body)
        assert reply.error["message"]


def test_nobody_installs_where_that_is_turned_off(start: Callable[..., LiveServer]) -> None:
    server = start("--disable-gallery-endpoint")
    assert server.request("POST", "/backends/apply", {"id": "murmur"}).status == 404
    assert server.request("GET", "/backends").status == 200

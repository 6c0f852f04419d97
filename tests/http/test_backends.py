"""Engines over HTTP: models that need one, installing and removing as jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartServer
from tests.engines.test_install import CODE, MURMUR
from tests.live import LiveServer, Reply, wait_until
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

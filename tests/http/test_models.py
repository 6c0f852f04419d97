"""Installing, changing and removing models over HTTP, over restarts and kills as well."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartServer
from tests.downloads.file_server import FileServer, Rule, sha256
from tests.downloads.installing import quarantined, visible
from tests.live import SENTENCE, LiveServer, Reply, wait_until

FAST = ("--allow-private-fetch", "--download-connections", "1")


@pytest.fixture
def start(tmp_path: Path, start_server: StartServer) -> Callable[..., LiveServer]:
    def started(*arguments: str) -> LiveServer:
        (tmp_path / "models").mkdir(exist_ok=True)
        return start_server(tmp_path / "models", *FAST, *arguments)

    return started


def slowly(pause_s: float = 0.05) -> Rule:
    return lambda asked, answer: replace(answer, pause_s=pause_s)


def status_of(server: LiveServer, started: Reply) -> dict[str, Any]:
    assert started.status == 200, started.body
    path = started.json["status"].removeprefix(server.url)
    assert path.endswith(started.json["uuid"])
    found: dict[str, Any] = server.get(path).json
    return found


def over(server: LiveServer, started: Reply) -> dict[str, Any]:
    def probe() -> dict[str, Any]:
        status = status_of(server, started)
        return status if status["processed"] else {}

    return wait_until(probe, "the end of the job")


def entry(files: FileServer, weights: bytes, name: str = "talker") -> dict[str, Any]:
    return {
        "name": name,
        "files": [
            {
                "filename": f"{name}.gguf",
                "uri": files.address("/talker.gguf"),
                "sha256": sha256(weights),
            }
        ],
        "overrides": {"parameters": {"model": f"{name}.gguf"}, "backend": "llama-cpp"},
    }


def test_a_model_is_installed_answers_and_is_removed(
    start: Callable[..., LiveServer], files: FileServer, weights: bytes, tmp_path: Path
) -> None:
    server = start()
    started = server.post("/models/apply", entry(files, weights))
    status = over(server, started)
    assert "error" not in status, status
    assert status["message"] == "completed"
    assert status["progress"] == 100.0
    assert status["total_bytes"] == len(weights)
    assert server.say("talker", "hello").json["choices"][0]["message"]["content"] == SENTENCE
    assert started.json["uuid"] in server.get("/models/jobs").json
    removed = over(server, server.post("/models/delete/talker", {}))
    assert (removed["deletion"], "error" in removed) == (True, False)
    assert visible(tmp_path / "models") == {}
    assert server.post("/models/delete/talker", {}).status == 404


def test_an_address_installs_a_model(
    start: Callable[..., LiveServer], files: FileServer, weights: bytes, tmp_path: Path
) -> None:
    server = start()
    body = {"uri": files.address("/talker.gguf"), "preferences": {"name": "mine/own"}}
    status = over(server, server.post("/models/import-uri", body))
    assert "error" not in status, status
    assert server.say("mine/own", "hello").json["choices"][0]["message"]["content"] == SENTENCE
    assert set(visible(tmp_path / "models")) == {"talker.gguf", "mine__own.yaml"}


def test_what_goes_wrong_is_said_in_the_job(
    start: Callable[..., LiveServer], files: FileServer, weights: bytes, tmp_path: Path
) -> None:
    server = start()
    wrong = entry(files, weights)
    wrong["files"][0]["sha256"] = "0" * 64
    status = over(server, server.post("/models/apply", wrong))
    assert "checksum" in status["error"]
    assert status["processed"]
    gone = {"uri": files.address("/none.gguf")}
    assert "404" in over(server, server.post("/models/import-uri", gone))["error"]
    assert visible(tmp_path / "models") == {}
    secret = tmp_path / "secret.gguf"
    secret.write_bytes(weights)
    for uri in (str(secret), secret.as_uri(), "../secret.gguf"):
        status = over(server, server.post("/models/import-uri", {"uri": uri}))
        assert "outside the models folder" in status["error"] or "parts" in status["error"] or "galler" in status["error"]  # fmt: skip
    assert visible(tmp_path / "models") == {}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/models/apply", {}),
        ("/models/apply", {"id": 7}),
        ("/models/apply", {"files": []}),
        ("/models/apply", {"files": [{"filename": "a", "uri": "b"}]}),
        ("/models/apply", {"id": "x", "name": "../x"}),
        ("/models/import-uri", {"uri": ""}),
        ("/models/import-uri", {"uri": "a/b", "preferences": {"name": 7}}),
        ("/models/import", {"backend": "echo"}),
        ("/models/import", {"name": "../../x", "backend": "echo"}),
        ("/models/import", {"name": "x", "backend": "echo", "parameters": {"temperature": "hot"}}),
        ("/models/import", [1]),
    ],
)
def test_bad_bodies_are_the_callers_fault(server: LiveServer, path: str, body: Any) -> None:
    reply = server.post(path, body)
    assert reply.status == 400, reply.body
    assert reply.error["message"]


def test_an_unknown_job_is_not_found(server: LiveServer) -> None:
    assert server.get("/models/jobs/17").status == 404
    for verb in ("cancel", "pause", "resume"):
        assert server.post(f"/models/jobs/17/{verb}", {}).status == 404


def test_a_job_is_paused_resumed_and_cancelled(
    start: Callable[..., LiveServer], files: FileServer, weights: bytes, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    server = start()
    files.rule = slowly()
    started = server.post("/models/apply", entry(files, weights))
    wait_until(lambda: status_of(server, started)["current_bytes"], "a first byte")
    again = server.post("/models/apply", entry(files, weights))
    assert again.json["uuid"] == started.json["uuid"]
    path = f"/models/jobs/{started.json['uuid']}"
    paused = server.post(f"{path}/pause", {}).json
    assert (paused["phase"], paused["processed"]) == ("paused", False)
    assert len(quarantined(models)) == 1
    sent = files.sent["/talker.gguf"]
    files.rule = lambda _, answer: answer
    assert server.post(f"{path}/resume", {}).json["phase"] == "running"
    assert "error" not in over(server, started)
    assert files.sent["/talker.gguf"] - sent < len(weights)
    files.rule = slowly()
    other = server.post("/models/apply", entry(files, weights, "other"))
    wait_until(lambda: status_of(server, other)["current_bytes"], "a first byte")
    cancelled = server.post(f"/models/jobs/{other.json['uuid']}/cancel", {}).json
    assert (cancelled["cancelled"], cancelled["processed"]) == (True, True)
    assert quarantined(models) == []
    assert set(visible(models)) == {"talker.gguf", "talker.yaml"}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_goes_on_after_a_restart(
    start: Callable[..., LiveServer],
    files: FileServer,
    weights: bytes,
    tmp_path: Path,
    number: int,
) -> None:
    server = start()
    files.rule = slowly()
    started = server.post("/models/apply", entry(files, weights))
    half = len(weights) // 2
    wait_until(lambda: files.sent.get("/talker.gguf", 0) > half, "half of the file")
    wait_until(lambda: status_of(server, started)["current_bytes"] > half // 2, "some progress")
    server.stop(number)
    assert visible(tmp_path / "models") == {}
    files.rule = lambda _, answer: answer
    sent = files.sent["/talker.gguf"]
    server = start()
    path = f"/models/jobs/{started.json['uuid']}"
    wait_until(lambda: server.get(path).json["processed"], "the end of the job")
    assert server.get(path).json["message"] == "completed"
    assert visible(tmp_path / "models")["talker.gguf"] == weights
    assert files.sent["/talker.gguf"] - sent < len(weights)


def test_model_files_are_added_shown_and_changed(
    start: Callable[..., LiveServer], tmp_path: Path
) -> None:
    server = start()
    added = server.post("/models/import", {"name": "parrot", "backend": "echo"}).json
    assert (added["success"], added["filename"]) == (True, "parrot.yaml")
    assert server.post("/models/import", {"name": "parrot", "backend": "echo"}).status == 400
    assert "echo" in server.get("/models/edit/parrot").body.decode()
    renamed = {"name": "cockatoo", "backend": "echo", "description": "another bird"}
    assert server.post("/models/edit/parrot", renamed).json["filename"] == "cockatoo.yaml"
    listed = [one["id"] for one in server.get("/v1/models").json["data"]]
    assert "cockatoo" in listed
    assert "parrot" not in listed
    assert server.post("/models/edit/cockatoo", {"name": "a", "backend": []}).status == 400
    (tmp_path / "models" / "late.yaml").write_text("name: late\nbackend: echo\n")
    assert server.post("/models/reload", {}).json["success"]
    assert "late" in [one["id"] for one in server.get("/v1/models").json["data"]]


def test_nothing_is_changed_where_that_is_turned_off(start: Callable[..., LiveServer]) -> None:
    server = start("--disable-gallery-endpoint")
    for path in ("/models/apply", "/models/delete/x", "/models/import", "/models/import-uri"):
        assert server.post(path, {}).status in (404, 405)
    assert server.get("/models/jobs").json == {}

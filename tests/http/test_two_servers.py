"""Two servers, and commands beside them, on one data folder and one models folder."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import openai
import pytest

from tests.conftest import StartServer
from tests.downloads.file_server import FileServer, sha256
from tests.live import SENTENCE, LiveServer, echo_yaml, run_cli, wait_until, write_models

ARGUMENTS = ("--allow-private-fetch", "--download-connections", "1")


def test_answers_in_the_background_go_on_while_another_server_starts(
    tmp_path: Path, start_server: StartServer
) -> None:
    folder = write_models(
        tmp_path / "models",
        {"slow.yaml": echo_yaml("slow", delay_s=0.1), "other.yaml": echo_yaml("other")},
    )
    first = start_server(folder)
    with first.openai() as client:
        text = " ".join(map(str, range(60)))
        polled = client.responses.create(model="slow", input=text, background=True)
        stream = client.responses.create(model="slow", input=text, background=True, stream=True)
        followed = next(iter(stream)).response.id  # type: ignore[union-attr]  # the first event is response.created
        wait_until(lambda: first.running("slow") == 2, "the answers")
        second = start_server(folder)
        with second.openai() as other:
            assert other.responses.retrieve(polled.id).status == "in_progress"
            with pytest.raises(openai.BadRequestError, match="another server"):
                other.responses.cancel(polled.id)
            events = list(other.responses.retrieve(followed, stream=True))
            assert events[-1].type == "response.completed"
            assert [event.sequence_number for event in events] == list(range(len(events)))
            wait_until(lambda: other.responses.retrieve(polled.id).status == "completed", "the end")
            assert client.responses.retrieve(polled.id).output_text == text
        first.stop(signal.SIGKILL)
        assert second.say("other", "so").json["choices"][0]["message"]["content"] == "so"


def test_an_install_goes_on_at_its_server_and_passes_on_when_that_is_killed(
    tmp_path: Path, start_server: StartServer, files: FileServer, weights: bytes
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    half = len(weights) // 2
    files.rule = lambda _, answer: replace(answer, stall_after=half)
    first = start_server(folder, *ARGUMENTS)
    started = first.post("/models/apply", entry(files, weights)).json["uuid"]
    wait_until(lambda: files.sent.get("/talker.gguf", 0) > len(weights) // 4, "a first part")
    second = start_server(folder, *ARGUMENTS)
    assert second.get(f"/models/jobs/{started}").status == 404, "it is not this server's"
    assert first.get(f"/models/jobs/{started}").json["phase"] == "running"
    first.stop(signal.SIGKILL)
    files.rule = lambda _, answer: answer
    third = start_server(folder, *ARGUMENTS)
    wait_until(lambda: third.get(f"/models/jobs/{started}").json["processed"], "the end")
    assert third.get(f"/models/jobs/{started}").json["message"] == "completed"
    for server in (second, third):
        wait_until(lambda one=server: answer(one) == SENTENCE, "the model")


def test_commands_work_beside_a_server(
    tmp_path: Path, start_server: StartServer, files: FileServer
) -> None:
    folder = write_models(tmp_path / "models", {"echo.yaml": echo_yaml("echo")})
    server = start_server(folder)
    with server.openai() as client:
        kept = client.responses.create(model="echo", input="so", background=True)
        done = run_cli(
            "models", "install", files.address("/talker.gguf"), "--allow-private-fetch",
            "--models-path", str(folder), folder=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert wait_until(lambda: answer(server) == SENTENCE, "the new model")
        wait_until(lambda: client.responses.retrieve(kept.id).status == "completed", "the answer")
    gone = run_cli(
        "models", "uninstall", "talker", "--yes", "--models-path", str(folder), folder=tmp_path
    )
    assert gone.returncode == 0, gone.stderr
    wait_until(lambda: "unloading talker" in server.log, "its leaving")


def entry(files: FileServer, weights: bytes) -> dict[str, object]:
    file = {
        "filename": "talker.gguf",
        "uri": files.address("/talker.gguf"),
        "sha256": sha256(weights),
    }
    return {
        "name": "talker",
        "files": [file],
        "overrides": {"parameters": {"model": "talker.gguf"}},
    }


def answer(server: LiveServer) -> str | None:
    reply = server.say("talker", "Hi", max_tokens=20)
    return reply.json["choices"][0]["message"]["content"] if reply.status == 200 else None

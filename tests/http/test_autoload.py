"""A model that a request names is installed by itself, where that is allowed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.downloads.file_server import running, sha256
from tests.gallery.localai_gallery import write_gallery
from tests.gguf_maker import make_scripted
from tests.http.gallery_site import serving
from tests.live import LiveServer, echo_yaml, wait_until, write_models


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return write_models(tmp_path / "models", {"echo.yaml": echo_yaml("echo")})


@pytest.fixture
def server(tmp_path: Path, models: Path, start_server: StartServer) -> Iterator[LiveServer]:
    make_scripted(tmp_path / "made.gguf", ["it", " works"])
    with serving(tmp_path / "site") as site:
        write_gallery(
            tmp_path / "site", site.address, {"tiny.gguf": (tmp_path / "made.gguf").read_bytes()}
        )
        setting = json.dumps([{"name": "site", "url": f"{site.address}/index.yaml"}])
        yield start_server(
            models,
            "--autoload-galleries",
            environment={"LOCALAI_GALLERIES": setting, "HF_HUB_OFFLINE": ""},
        )
        assert sum("/tiny.gguf" in line for line in site.asked) == 1, (
            "several requests, one download"
        )


def test_requests_for_one_model_wait_for_one_install(server: LiveServer, models: Path) -> None:
    with ThreadPoolExecutor(3) as threads:
        replies = list(threads.map(lambda _: server.say("tiny-chat", "Hi"), range(3)))
    assert [reply.status for reply in replies] == [200, 200, 200], replies[0].body
    assert replies[0].json["choices"][0]["message"]["content"] == "it works"
    assert (models / "tiny-chat.yaml").is_file()
    assert server.say("nobody-knows-this", "Hi").status == 404


def test_a_model_named_at_the_start_is_installed_and_served(
    tmp_path: Path, models: Path, start_server: StartServer
) -> None:
    make_scripted(tmp_path / "made.gguf", ["it", " works"])
    data = (tmp_path / "made.gguf").read_bytes()
    index = write_gallery(tmp_path / "site", (tmp_path / "site").as_uri(), {"tiny.gguf": data})
    setting = json.dumps([{"name": "mine", "url": str(index)}])
    server = start_server(models, "tiny-chat", environment={"LOCALAI_GALLERIES": setting})
    assert "tiny-chat: from mine@tiny-chat" in server.log
    assert server.say("tiny-chat", "Hi").json["choices"][0]["message"]["content"] == "it works"


def test_nothing_is_installed_unless_it_is_allowed(
    tmp_path: Path, models: Path, start_server: StartServer
) -> None:
    server = start_server(models)
    assert server.say("whisper-tiny", "Hi").status == 200  # by the only model there is
    assert [path.name for path in models.iterdir()] == ["echo.yaml"]


def test_files_that_model_files_name_are_fetched(
    tmp_path: Path, models: Path, start_server: StartServer
) -> None:
    make_scripted(tmp_path / "made.gguf", ["it", " works"])
    data = (tmp_path / "made.gguf").read_bytes()
    with running() as files:
        files.add("/far.gguf", data)
        files.add("/more.bin", b"more")
        yaml = (
            f"name: far\nparameters: {{model: '{files.address('/far.gguf')}'}}\n"
            f"download_files:\n- {{filename: sub/more.bin, uri: '{files.address('/more.bin')}', "
            f"sha256: {sha256(b'more')}}}\n"
        )
        wrong = yaml.replace("far", "torn").replace(sha256(b"more"), "0" * 64).replace("sub/", "")
        write_models(models, {"far.yaml": yaml, "torn.yaml": wrong, "alias.yaml": "name: near\nalias: far\n"})  # fmt: skip
        server = start_server(models, "--allow-private-fetch")
        wait_until(lambda: server.get("/readyz").status == 200, "the end of the downloads")
        assert (models / "sub" / "more.bin").read_bytes() == b"more"
        assert "torn is not complete" in server.log.replace(":", "")
        assert not (models / "more.bin").exists()
        assert server.say("near", "Hi").json["choices"][0]["message"]["content"] == "it works"
        (models / "late.yaml").write_text(yaml.replace("far", "late"))
        files.add("/late.gguf", data)
        server.post("/models/reload", {})
        reply = server.say("late", "Hi")
        assert reply.json["choices"][0]["message"]["content"] == "it works", reply.body
        assert sum(asked.path == "/more.bin" for asked in files.asked) >= 1
        text = yaml.replace("far", "sent").replace("/more.bin", "/sent.bin")
        files.add("/sent.gguf", data)
        files.add("/sent.bin", b"more")
        assert server.post("/models/import", text.encode()).json["success"]
        wait_until((models / "sent.gguf").is_file, "the download by a job")
        jobs = server.get("/models/jobs").json
        assert [job["gallery_element_name"] for job in jobs.values()] == ["sent"]
        wait_until(lambda: all(job["processed"] for job in server.get("/models/jobs").json.values()), "its end")  # fmt: skip
        asked = len(files.asked)
        assert server.say("late", "Hi").status == 200
        assert len(files.asked) == asked  # what is there is not asked for again
        assert server.post("/models/delete/late", {}).status == 200
        wait_until(lambda: not (models / "late.gguf").exists(), "the removal of what was fetched")
        assert (models / "sub" / "more.bin").is_file()  # the other model's, too

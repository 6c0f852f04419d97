"""What can be installed, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.gallery.localai_gallery import write_gallery
from tests.http.gallery_site import serving
from tests.live import LiveServer, echo_yaml, write_models


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A web server on loopback with a gallery in LocalAI's format; its address."""
    with serving(tmp_path / "site") as site:
        write_gallery(tmp_path / "site", site.address)
        yield site.address


@pytest.fixture
def server(tmp_path: Path, site: str, start_server: StartServer) -> LiveServer:
    models = write_models(tmp_path / "models", {"tiny.yaml": echo_yaml("tiny-jinja")})
    setting = json.dumps([{"name": "site", "url": f"{site}/index.yaml"}])
    return start_server(models, environment={"LOCALAI_GALLERIES": setting})


def test_a_gallery_on_the_web_is_listed(server: LiveServer, site: str) -> None:
    assert server.get("/models/galleries").json == [
        {"name": "site", "url": f"{site}/index.yaml"},
        {"name": "builtin", "url": "package:"},
    ]
    rows = {row["id"]: row for row in server.get("/models/available").json}
    assert rows["site@tiny-jinja"]["installed"] is True
    row = rows["site@tiny-eyes"]
    assert (row["installed"], row["runs_here"], row["backend"]) == (False, True, "llama-cpp")
    assert row["files"][0]["uri"] == f"{site}/tiny.gguf"
    assert row["gallery"]["name"] == "site"
    assert "builtin@qwen3-8b" in rows
    found = server.get("/models/available?search=ears%20tiny").json
    assert [row["name"] for row in found] == ["tiny-ears"]
    assert server.get("/models/tiny-jinja").json["id"] == "tiny-jinja"  # a model's own route


def test_a_gallery_that_cannot_be_had_is_told_in_a_header(
    tmp_path: Path, start_server: StartServer
) -> None:
    models = write_models(tmp_path / "models", {"e.yaml": echo_yaml("e")})
    setting = json.dumps([{"name": "gone", "url": "http://127.0.0.1:9/index.yaml"}])
    server = start_server(models, environment={"LOCALAI_GALLERIES": setting})
    reply = server.get("/models/available")
    assert len(reply.json) > 40
    assert "The gallery 'gone' cannot be reached" in reply.headers["local-ai-warning"]

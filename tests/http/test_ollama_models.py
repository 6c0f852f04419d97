"""Ollama's own client pulls, copies and deletes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ollama
import pytest

from tests.conftest import StartServer
from tests.downloads.file_server import running
from tests.downloads.installing import visible
from tests.gguf_maker import make_scripted
from tests.live import SENTENCE, SPOKEN, LiveServer
from tests.sources.registry_server import RegistryServer


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryServer]:
    make_scripted(tmp_path / "weights.gguf", SPOKEN)
    server = RegistryServer()
    with running(server):
        data = (tmp_path / "weights.gguf").read_bytes()
        server.push("library/talker", "1b", [("application/vnd.ollama.image.model", data, {})])
        yield server


@pytest.fixture
def live(tmp_path: Path, start_server: StartServer) -> LiveServer:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "parrot.yaml").write_text("name: parrot\nbackend: echo\n")
    return start_server(tmp_path / "models", "--allow-private-fetch")


def test_the_official_client_pulls_copies_and_deletes(
    live: LiveServer, registry: RegistryServer, tmp_path: Path
) -> None:
    name = f"ollama://{registry.host}/library/talker:1b"
    with live.ollama() as client:
        told = list(client.pull(name, stream=True))
        assert told[-1].status == "success"
        assert told[0].status == "pulling manifest"
        said = client.chat("talker:1b", [{"role": "user", "content": "hello"}])
        assert said.message.content == SENTENCE
        assert client.pull(name).status == "success"  # again: it is there
        client.copy("talker:1b", "twin")
        client.delete("talker:1b")
        said = client.chat("twin", [{"role": "user", "content": "hello"}])
        assert said.message.content == SENTENCE
        client.delete("twin")
        told = list(client.create("derived", from_=name, system="Be kind.", stream=True))
        assert told[-1].status == "success"
        assert (
            client.chat("derived", [{"role": "user", "content": "hi"}]).message.content == SENTENCE
        )
        assert live.post("/api/show", {"model": "derived"}).json["system"] == "Be kind."
        client.delete("derived")
        assert set(visible(tmp_path / "models")) == {"parrot.yaml"}
        for call in (lambda: client.delete("twin"), lambda: client.copy("twin", "other")):
            with pytest.raises(ollama.ResponseError) as failed:
                call()
            assert failed.value.status_code == 404
        with pytest.raises(ollama.ResponseError) as failed:
            client.pull(f"ollama://{registry.host}/library/none:1b")
        assert "none" in failed.value.error
        with pytest.raises(ollama.ResponseError):
            list(client.pull(f"ollama://{registry.host}/library/none:1b", stream=True))
        with pytest.raises(ollama.ResponseError) as failed:
            client.copy("parrot", "../x")
        assert failed.value.status_code == 400

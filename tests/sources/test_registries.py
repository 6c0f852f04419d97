"""Models of OCI registries and of Ollama's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from localai.domain.downloads import Listing, ModelPlan
from localai.domain.errors import ChecksumMismatch, LocalAIError, Unsupported
from localai.domain.source_errors import DownloadFailed, SourceForbidden, SourceNotFound
from localai.outbound import Client, ClientSettings, Proxies
from localai.sources import Sources, SourceSettings
from tests.downloads.file_server import Answer, content, running
from tests.downloads.installing import install, visible
from tests.sources.registry_server import RegistryServer

DATA = content(700_000)
OLLAMA = "application/vnd.ollama.image."


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    server = RegistryServer()
    with running(server):
        yield server


def look(name: str, folder: Path) -> Listing:
    async def ask() -> Listing:
        client = Client(ClientSettings(allow_private=True, stall_s=2.0), Proxies({}))
        try:
            return await Sources(SourceSettings(), client, folder).look(name)
        finally:
            await client.close()

    return asyncio.run(ask())


def fetch(listing: Listing, folder: Path) -> dict[str, bytes]:
    install(folder, ModelPlan(name="m", files=listing.files))
    return visible(folder)


def test_a_model_of_ollama(server: RegistryServer, tmp_path: Path) -> None:
    server.push(
        "library/gemma",
        "2b",
        [
            (f"{OLLAMA}model", DATA, {}),
            (f"{OLLAMA}template", b"{{ .Prompt }}", {}),
            (f"{OLLAMA}params", json.dumps({"stop": ["<end>"]}).encode(), {}),
            (f"{OLLAMA}projector", b"eyes", {}),
        ],
    )
    found = look(f"ollama://{server.host}/library/gemma:2b", tmp_path)
    assert (found.model_name, found.source) == ("gemma:2b", "ollama")
    assert found.texts["template"] == "{{ .Prompt }}"
    assert json.loads(found.texts["params"]) == {"stop": ["<end>"]}
    assert fetch(found, tmp_path / "m") == {"gemma-2b.gguf": DATA, "mmproj-gemma-2b.gguf": b"eyes"}


def test_an_artifact_with_a_token_and_an_index(server: RegistryServer, tmp_path: Path) -> None:
    server.wants_token = True
    notes = {"org.opencontainers.image.title": "weights/own.gguf"}
    digest = server.push("org/own", "inner", [("application/vnd.docker.ai.gguf.v3", DATA, notes)])
    index = {"manifests": [{"digest": digest, "size": 1, "mediaType": "application/vnd.oci.image.manifest.v1+json"}]}  # fmt: skip
    server.files["/v2/org/own/manifests/1.0"] = json.dumps(index).encode()
    found = look(f"oci://{server.host}/org/own:1.0", tmp_path)
    assert found.revision == digest
    assert fetch(found, tmp_path / "m") == {"weights/own.gguf": DATA}
    assert server.tokens_given == 1
    assert look(f"oci://{server.host}/org/own@{digest}", tmp_path).revision == digest


@pytest.mark.parametrize("title", ["../own.gguf", "/etc/own.gguf", "own\x00.gguf", "nul"])
def test_a_hostile_title_goes_nowhere(server: RegistryServer, tmp_path: Path, title: str) -> None:
    notes = {"org.opencontainers.image.title": title}
    server.push("org/own", "1", [("application/octet-stream", DATA, notes)])
    listing = look(f"oci://{server.host}/org/own:1", tmp_path)
    with pytest.raises(LocalAIError):
        fetch(listing, tmp_path / "m")
    assert visible(tmp_path) == {}


def test_archives_are_not_unpacked(server: RegistryServer, tmp_path: Path) -> None:
    server.push("org/image", "1", [("application/vnd.oci.image.layer.v1.tar+gzip", DATA, {})])
    with pytest.raises(Unsupported) as refused:
        look(f"oci://{server.host}/org/image:1", tmp_path)
    assert "not unpacked" in refused.value.message


def test_a_registry_that_lies_is_noticed(server: RegistryServer, tmp_path: Path) -> None:
    digest = server.push("org/own", "1", [("x/y", DATA, {})])
    server.files[f"/v2/org/own/manifests/{digest}"] += b" "
    with pytest.raises(ChecksumMismatch):
        look(f"oci://{server.host}/org/own@{digest}", tmp_path)
    server.files = {path: data[:-1] + b"!" if "blobs" in path else data for path, data in server.files.items()}  # fmt: skip
    with pytest.raises(ChecksumMismatch):
        fetch(look(f"oci://{server.host}/org/own:1", tmp_path), tmp_path / "m")
    assert visible(tmp_path) == {}


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b"{}", SourceNotFound),
        (403, b"{}", SourceForbidden),
        (429, b"{}", DownloadFailed),
        (200, b"no json", SourceNotFound),
        (200, b"[]", SourceNotFound),
        (200, b'{"layers": []}', SourceNotFound),
        (200, b"x" * 5_000_000, DownloadFailed),
    ],
)
def test_whatever_a_registry_answers_is_a_sentence(
    server: RegistryServer, tmp_path: Path, status: int, body: bytes, error: type[LocalAIError]
) -> None:
    server.rule = lambda asked, answer: Answer(body, status=status)
    with pytest.raises(error) as failed:
        look(f"ollama://{server.host}/library/m:1", tmp_path)
    assert failed.value.sentence.endswith(".")

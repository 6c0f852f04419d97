"""Hugging Face, as its own library sees it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from localai.domain.downloads import Listing, ModelPlan
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.source_errors import DownloadFailed, SourceForbidden, SourceNotFound
from localai.outbound import Client, ClientSettings, Proxies
from localai.sources import Sources, SourceSettings
from tests.downloads.file_server import content, running
from tests.downloads.installing import install, visible
from tests.sources.hub_server import COMMIT, TOKEN, HubServer

BIG, OTHER = content(800_000), content(400_000, seed=2)
FILES = {
    "README.md": b"hello",
    ".gitattributes": b"x",
    "own.Q4_K_M.gguf": BIG,
    "sub/own.Q8_0-00001-of-00002.gguf": BIG,
    "sub/own.Q8_0-00002-of-00002.gguf": OTHER,
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    server = HubServer()
    server.repositories["owner/own-GGUF"] = dict(FILES)
    with running(server):
        yield server


def look(hub: HubServer, name: str, folder: Path, **settings: object) -> Listing:
    chosen = replace(SourceSettings(hf_endpoint=hub.origin), **settings)  # type: ignore[arg-type]

    async def ask() -> Listing:
        client = Client(ClientSettings(allow_private=True, stall_s=2.0), Proxies({}))
        try:
            return await Sources(chosen, client, folder).look(name)
        finally:
            await client.close()

    return asyncio.run(ask())


def fetch(listing: Listing, folder: Path) -> dict[str, bytes]:
    install(folder, ModelPlan(name="m", files=listing.files))
    return visible(folder)


def test_a_repository_is_listed_with_sizes_and_checksums(hub: HubServer, tmp_path: Path) -> None:
    found = look(hub, "owner/own-GGUF", tmp_path)
    assert {file.name for file in found.files} == set(FILES) - {".gitattributes"}
    assert found.revision == COMMIT
    big = next(file for file in found.files if file.name == "own.Q4_K_M.gguf")
    assert (big.size_bytes, len(big.sha256)) == (len(BIG), 64)
    assert COMMIT in big.address


@pytest.mark.parametrize(
    "name",
    [
        "owner/own-GGUF/own.Q4_K_M.gguf",
        "huggingface://owner/own-GGUF/own.Q4_K_M.gguf",
        "hf://owner/own-GGUF@v1/own.Q4_K_M.gguf",
        f"owner/own-GGUF/own.Q4_K_M.gguf@{COMMIT}",
        "https://huggingface.co/owner/own-GGUF/resolve/main/own.Q4_K_M.gguf",
    ],
)
def test_a_file_comes_from_the_hub(hub: HubServer, tmp_path: Path, name: str) -> None:
    found = look(hub, name, tmp_path)
    assert found.is_exact
    assert fetch(found, tmp_path / "m") == {"own.Q4_K_M.gguf": BIG}


def test_all_parts_of_a_model_belong_together(hub: HubServer, tmp_path: Path) -> None:
    found = look(hub, "owner/own-GGUF/sub/own.Q8_0-00001-of-00002.gguf", tmp_path)
    assert len(found.files) == 2
    assert found.model_name == "own.Q8_0"


def test_a_gated_repository_wants_a_token(hub: HubServer, tmp_path: Path) -> None:
    hub.gated.add("owner/own-GGUF")
    with pytest.raises(SourceForbidden) as refused:
        look(hub, "owner/own-GGUF", tmp_path)
    assert "gated" in refused.value.message
    assert "HF_TOKEN" in refused.value.hint
    found = look(hub, "owner/own-GGUF/own.Q4_K_M.gguf", tmp_path, hf_token=TOKEN)
    assert fetch(found, tmp_path / "m") == {"own.Q4_K_M.gguf": BIG}
    cdn = [asked for asked in hub.asked if asked.path.startswith("/cdn/")]
    assert cdn
    resolved = [asked for asked in hub.asked if "/resolve/" in asked.path]
    assert all(asked.headers.get("authorization") == f"Bearer {TOKEN}" for asked in resolved)


@pytest.mark.parametrize(
    ("name", "error", "word"),
    [
        ("owner/none", SourceNotFound, "does not exist"),
        ("owner/own-GGUF@v9", SourceNotFound, "no branch"),
        ("owner/own-GGUF/own.Q4_K_S.gguf", SourceNotFound, "own.Q4_K_M.gguf"),
        ("owner/own--GGUF", InvalidRequest, "valid name"),
    ],
)
def test_a_wrong_name_is_a_sentence(
    hub: HubServer, tmp_path: Path, name: str, error: type[LocalAIError], word: str
) -> None:
    with pytest.raises(error) as failed:
        look(hub, name, tmp_path)
    assert word in failed.value.sentence
    assert failed.value.sentence.endswith(".")


def test_no_hub_there(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed) as failed:
        look(hub, "owner/own-GGUF", tmp_path, hf_endpoint="http://127.0.0.1:9")
    assert "its hub cannot be reached" in failed.value.message
    assert "HTTPS_PROXY" in failed.value.hint


@pytest.mark.parametrize(
    ("status", "error", "word"),
    [(403, SourceForbidden, "HF_TOKEN"), (429, DownloadFailed, "HF_TOKEN"), (503, DownloadFailed, "Try later")],
)  # fmt: skip
def test_what_a_hub_refuses_is_said(
    hub: HubServer, tmp_path: Path, status: int, error: type[LocalAIError], word: str
) -> None:
    hub.rule = lambda asked, answer: (
        replace(answer, status=status) if asked.path.startswith("/api/models/") else answer
    )
    with pytest.raises(error) as failed:
        look(hub, "owner/own-GGUF", tmp_path)
    assert f"status {status}" in failed.value.message
    assert word in failed.value.hint


def test_offline_nothing_is_asked(hub: HubServer, tmp_path: Path) -> None:
    assert os.environ.get("HF_HUB_OFFLINE") is None
    with pytest.raises(SourceNotFound) as failed:
        look(hub, "owner/never-fetched", tmp_path, offline=True)
    assert "HF_HUB_OFFLINE" in failed.value.sentence
    assert hub.asked == []

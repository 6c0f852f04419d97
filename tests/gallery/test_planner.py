"""Whatever a user calls a model leads to one plan: an entry, an address, a path."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from localai.domain.downloads import ModelPlan
from localai.domain.errors import InvalidRequest
from localai.domain.source_errors import EntryNotFound
from localai.gallery import Galleries, Gallery, Planner
from localai.gallery.cache import Cache
from localai.gallery.galleries import Surroundings
from localai.outbound import Client, ClientSettings
from localai.outbound.proxies import Proxies
from localai.sources import Sources, SourceSettings
from tests.gallery.localai_gallery import write_gallery


@pytest.fixture
def planner(tmp_path: Path) -> Planner:
    folder = tmp_path / "gallery"
    index = write_gallery(folder, folder.as_uri())
    around = Surroundings(
        fetch=None,
        free_bytes=lambda: 0,
        runs=lambda name: name in {"llama-cpp", "whisper", "piper"},
    )
    here = Galleries((Gallery("mine", str(index)),), Cache(None), around)
    sources = Sources(
        SourceSettings(may_read_files=True, offline=True), Client(ClientSettings(), Proxies({})), tmp_path / "models"
    )  # fmt: skip
    return Planner(here, sources, lambda: 8_000_000_000)


def test_an_entry_becomes_files_to_fetch_and_texts_to_write(planner: Planner) -> None:
    plan = asyncio.run(planner.plan("mine@tiny-template-files", name="mine/own"))
    assert plan.uri == "mine@tiny-template-files"
    (file,) = plan.files
    assert (file.name, len(file.sha256)) == ("tiny.gguf", 64)
    assert file.address.startswith("file:///")
    assert list(plan.texts) == ["tiny-chat-template.tmpl", "mine__own.yaml"]
    assert plan.texts["tiny-chat-template.tmpl"] == "{{.Input}}\nAnswer:\n"
    assert yaml.safe_load(plan.texts["mine__own.yaml"])["name"] == "mine/own"


def test_an_entry_whose_name_looks_like_a_repository(planner: Planner) -> None:
    assert asyncio.run(planner.plan("maker/tiny")).uri == "mine@maker/tiny"


def test_a_path(planner: Planner, tmp_path: Path) -> None:
    plan = asyncio.run(planner.plan(str(tmp_path / "gallery" / "tiny.gguf")))
    assert (plan.name, plan.files[0].name, plan.backend) == ("tiny", "tiny.gguf", "llama-cpp")
    voice = asyncio.run(planner.plan(str(tmp_path / "gallery" / "voice.onnx")))
    assert [file.name for file in voice.files] == ["voice.onnx", "voice.onnx.json"]


def test_a_model_file_that_lies_elsewhere(planner: Planner, tmp_path: Path) -> None:
    far = tmp_path / "far.yaml"
    far.write_text(
        "# mine\nname: far\nparameters: {model: 'hf://o/r/w.gguf@main'}\n"
        f"download_files: [{{filename: v.bin, uri: 'https://h.example/v', sha256: {'b' * 64}}}]\n"
    )
    plan = asyncio.run(planner.plan(str(far), overrides={"context_size": 99}))
    assert (plan.name, list(plan.texts)) == ("far", ["far.yaml"])
    assert [(file.name, file.sha256) for file in plan.files] == [
        ("w.gguf", ""),
        ("v.bin", "b" * 64),
    ]
    assert "/o/r/resolve/main/w.gguf" in plan.files[0].address
    assert yaml.safe_load(plan.texts["far.yaml"])["context_size"] == 99
    assert asyncio.run(planner.plan(far.as_uri(), name="own")).name == "own"
    base = tmp_path / "base.yaml"
    base.write_text(
        "config_file: |\n  f16: true\nfiles: [{filename: a.gguf, uri: 'https://h/a.gguf'}]\n"
    )
    plan = asyncio.run(planner.plan(str(base)))
    assert (plan.name, plan.files[0].name) == ("base", "a.gguf")
    assert yaml.safe_load(plan.texts["base.yaml"])["f16"] is True
    for text in ("[]", "name: 5\n", "parameters: {model: x}\n", "name: a\ncontext_size: much\n", "a: [", "- name: a\n- name: b\n"):  # fmt: skip
        far.write_text(text)
        with pytest.raises(InvalidRequest):
            asyncio.run(planner.plan(str(far)))


def test_an_entry_in_a_request(planner: Planner) -> None:
    def plan(**body: object) -> ModelPlan:
        return asyncio.run(planner.of_request(body, name="m", overrides={"f16": True}))

    found = plan(files=[{"uri": "https://example.org/a.gguf", "sha256": "a" * 64}])
    assert found.files[0].address == "https://example.org/a.gguf"
    assert yaml.safe_load(found.texts["m.yaml"])["f16"] is True
    others = plan(files=[{"uri": "https://example.org/b.gguf"}], variants=[{"model": "tiny-chat"}])
    assert others.files[0].address == "https://example.org/b.gguf"
    for body in (
        {"files": [{"uri": ""}]},
        {"files": [{"uri": "https://x/y", "filename": "../y"}]},
        {},
    ):
        with pytest.raises(InvalidRequest):
            plan(**body)


def test_a_word_that_nobody_knows(planner: Planner) -> None:
    with pytest.raises(EntryNotFound) as caught:
        asyncio.run(planner.plan("tiny-chatt"))
    assert "tiny-chat" in caught.value.fields["near"]

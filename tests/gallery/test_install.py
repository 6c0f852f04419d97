"""Entries of a public gallery, installed: from files to a model that can be asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from localai.catalog.folder import ModelFolder
from localai.catalog.gguf import read_gguf
from localai.domain.errors import ChecksumMismatch
from localai.downloads.download import Downloader
from localai.downloads.install import Installer
from localai.downloads.settings import DownloadSettings
from localai.gallery import Gallery
from localai.gallery.supply import SupplySettings, make_supply
from localai.sources import SourceSettings
from tests.gallery.localai_gallery import write_gallery
from tests.gguf_maker import make_scripted

NAMES = [
    "tiny-chat", "tiny-chat-renamed", "tiny-chat-cool", "sizes", "sizes-q8", "tiny-jinja", "tiny:templates",
    "tiny-template-files", "TINY-Capitals", "maker/tiny", "tiny-inline", "tiny-inline-text", "tiny-unnamed-model",
    "tiny-eyes", "tiny-vectors", "tiny-order", "tiny-ears", "tiny-voice", "tiny-no-checksum",
]  # fmt: skip


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    make_scripted(tmp_path / "made.gguf", ["a b", "c d"])
    data = (tmp_path / "made.gguf").read_bytes()
    folder = tmp_path / "gallery"
    return write_gallery(folder, folder.as_uri(), {"tiny.gguf": data})


async def install(index: Path, models: Path, name: str) -> None:
    supply = make_supply(
        SupplySettings(
            galleries=(Gallery("mine", str(index)),),
            sources=SourceSettings(may_read_files=True, offline=True),
            models_path=models,
            cache=models.parent / "kept",
        ),
        {},
        free_bytes=lambda: 2_500_000_000,
        backends=lambda: {"llama-cpp", "whisper", "piper"},
    )
    settings = DownloadSettings()
    downloader = Downloader(models, supply.client, settings)
    try:
        plan = await supply.planner.plan(name)
        async for _ in Installer(models, downloader, settings).install(plan):
            pass
    finally:
        downloader.close()
        await supply.close()


def test_every_entry_that_an_engine_here_runs_becomes_a_model(
    gallery: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name in NAMES:
        asyncio.run(install(gallery, models, name))
    catalog = ModelFolder(models).refresh()
    assert catalog.problems == ()
    assert catalog.warnings == ()
    assert set(NAMES) <= set(catalog.specs)
    for name in NAMES:
        path = catalog.specs[name].model_path
        assert path is not None
        assert path.is_file(), name
        if path.read_bytes().startswith(b"GGUF"):
            assert read_gguf(path).architecture
    assert catalog.specs["tiny-chat-cool"].sampling.temperature == 0.1
    assert catalog.specs["tiny:templates"].templates is not None
    assert catalog.specs["tiny-eyes"].settings["mmproj"] == str(models / "eyes/mmproj.gguf")
    assert catalog.specs["tiny-chat"].settings["context_size"] == 256


def test_a_file_that_is_not_what_the_gallery_says_makes_no_model(
    gallery: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (gallery.parent / "vectors.gguf").write_bytes(b"GGUF but others")
    with pytest.raises(ChecksumMismatch):
        asyncio.run(install(gallery, models, "tiny-vectors"))
    assert list(ModelFolder(models).refresh().specs) == []

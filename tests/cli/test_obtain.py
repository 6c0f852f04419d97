"""Models that are wanted before the server starts, and the engines they need."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from localai import settings as settings_table
from localai.cli import main
from localai.cli.obtain import obtain, preload
from localai.domain.source_errors import EntryNotFound
from localai.downloads.receipts import Placing, Receipts
from localai.settings import ServerSettings
from tests.gallery.localai_gallery import write_gallery

Load = Callable[..., ServerSettings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """The settings of a server in a folder of its own, with a gallery in LocalAI's format."""
    index = write_gallery(tmp_path / "gallery", (tmp_path / "gallery").as_uri())
    galleries = json.dumps([{"name": "mine", "url": str(index)}])

    def settings(**flags: object) -> ServerSettings:
        places = {"models_path": tmp_path / "models", "data_path": tmp_path / "data"}
        return settings_table.load({"galleries": galleries, **places, **flags}, environment={})

    return settings


def installed(settings: ServerSettings) -> set[str]:
    return {path.name for path in settings.models_path.glob("*.yaml")}


def test_models_are_preloaded_once(
    load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wished = json.dumps(
        ["tiny-chat", {"id": "mine@tiny-jinja", "name": "own", "overrides": {"context_size": 99}}]
    )
    listed = tmp_path / "more.yaml"
    listed.write_text("- id: tiny-inline\n")
    settings = load(preload_models=wished, preload_models_config=listed)
    preload(settings)
    assert installed(settings) == {"tiny-chat.yaml", "own.yaml", "tiny-inline.yaml"}
    assert "context_size: 99" in (settings.models_path / "own.yaml").read_text()
    assert "own is installed." in capsys.readouterr().err
    preload(settings)
    assert capsys.readouterr().err == ""


def test_a_model_of_no_gallery_has_near_ones_installed_or_not(load: Load) -> None:
    settings = load()
    obtain(settings, "tiny-chat")
    with pytest.raises(EntryNotFound) as caught:
        obtain(settings, "tiny-chatt")
    assert caught.value.fields["near"][0] == "tiny-chat"


def test_what_a_killed_install_had_verified_is_there_without_a_network(load: Load) -> None:
    settings = load()
    obtain(settings, "tiny-chat")
    folder = settings.models_path
    (folder / "tiny.gguf").rename(folder / ".local-ai" / "downloads" / "part")
    (folder / "tiny-chat.yaml").unlink()
    receipt = Receipts(folder).read("tiny-chat")
    assert receipt is not None
    text = "name: tiny-chat\nparameters: {model: tiny.gguf}\n"
    Placing(receipt=receipt, moves=(("part", "tiny.gguf"),), texts={"tiny-chat.yaml": text}).begin(
        folder
    )
    offline = load(galleries='[{"name": "mine", "url": "/nowhere.yaml"}]')
    assert obtain(offline, "tiny-chat") == "tiny-chat"
    assert (folder / "tiny.gguf").is_file()


def test_where_nobody_can_be_asked_the_engine_is_named(
    load: Load, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load()
    assert obtain(settings, "tiny-voice") == "tiny-voice"
    assert "local-ai backends install piper" in capsys.readouterr().err


def test_a_path_is_a_model_too(load: Load, tmp_path: Path) -> None:
    settings = load()
    assert obtain(settings, str(tmp_path / "gallery" / "vectors.gguf")) == "vectors"
    assert (settings.models_path / "vectors.gguf").is_file()


def test_models_are_installed_by_name_with_the_build_and_the_name_that_are_asked_for(
    load: Load, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = load()
    monkeypatch.chdir(tmp_path)
    places = ["--models-path", str(settings.models_path), "--data-path", str(settings.data_path)]
    asked = [*places, "--galleries", settings.galleries]
    main(["models", "install", "tiny-jinja", "tiny-inline", *asked])
    assert capsys.readouterr().out == "tiny-jinja\ntiny-inline\n"
    main(["models", "install", "sizes", "--variant", "q8_0", "--name", "mine", "--json", *asked])
    assert "model: tiny-Q8_0.gguf" in (settings.models_path / "mine.yaml").read_text()
    said = capsys.readouterr()
    assert "it was asked for" in said.err
    (receipt,) = json.loads(said.out)
    assert (receipt["name"], receipt["uri"]) == ("mine", "mine@sizes-q8")
    assert len(receipt["files"][0]["sha256"]) == 64
    for wrong in (["a", "b", "--name", "c"], ["sizes", "--variant", "q2"]):
        with pytest.raises(SystemExit):
            main(["models", "install", *wrong, *asked])

"""Finding models on the command line, and saying why an installed one works or does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from localai.cli import main
from localai.hardware import gpus
from tests.gallery.localai_gallery import write_gallery
from tests.gguf_maker import make_scripted
from tests.live import echo_yaml, write_models

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line in this process: exit code, data, talk. Its own start takes a second."""
    models = write_models(tmp_path / "models", {"echo.yaml": echo_yaml("echo")})
    make_scripted(models / "tiny-chat.gguf", ["a b", "c d"])
    index = write_gallery(tmp_path / "gallery", (tmp_path / "gallery").as_uri())
    mine = json.dumps([{"name": "mine", "url": index.as_uri()}])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments: str, galleries: str = mine) -> tuple[int, str, str]:
        code = 0
        try:
            main(["models", *arguments, "--galleries", galleries])
        except SystemExit as end:
            assert isinstance(end.code, int)
            code = end.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_available_models_are_those_that_run_here_and_installed_ones_are_marked(
    cli: Cli,
) -> None:
    code, out, err = cli("available")
    assert code == 0
    rows = {line[1:].split()[0]: line for line in out.splitlines()}
    assert rows["tiny-chat"].startswith("*")
    assert rows["whisper-base"].startswith(" ")
    assert "148 MB" in rows["whisper-base"]
    assert "painter" in rows  # only its base configuration says what it needs
    assert err == ""


def test_search_finds_every_word(cli: Cli) -> None:
    code, out, _ = cli("search", "qwen", "vision", "--json")
    assert code == 0
    names = [row["name"] for row in json.loads(out)]
    assert {"qwen3-vl-2b", "qwen3-vl-8b"} < set(names)
    assert "qwen3-8b" not in names
    code, out, err = cli("search", "no-such-model")
    assert code == 1
    assert "No model of the galleries" in err


def test_info_says_which_build_would_be_installed_and_why(cli: Cli) -> None:
    code, out, _ = cli("info", "mine@sizes", "--json")
    assert code == 0
    said = json.loads(out)
    assert said["where"] == "gallery"
    assert said["here"].startswith("installs mine@sizes")
    assert "builds" in said["here"]
    code, out, _ = cli("info", "painter")
    assert code == 0
    assert "stablediffusion-ggml" in out


def test_info_of_where_a_name_leads(cli: Cli) -> None:
    path = Path("gallery/vectors.gguf").absolute()
    code, out, _ = cli("info", str(path), "--json")
    assert code == 0
    said = json.loads(out)
    assert (said["where"], said["name"], said["size_bytes"]) == (
        "source",
        "vectors",
        path.stat().st_size,
    )
    assert said["files"][0]["filename"] == "vectors.gguf"
    assert "only build" in said["here"]


def test_info_of_an_installed_model(cli: Cli) -> None:
    said = json.loads(cli("info", "tiny-chat", "--json")[1])
    assert said["where"] == "installed"
    assert said["engine"] == "llama-cpp"
    assert said["facts"]["architecture"]
    assert said["memory_bytes"] > said["size_bytes"] > 0


def test_an_unknown_name_has_near_ones(cli: Cli) -> None:
    code, _, err = cli("info", "whisper-bas")
    assert code == 1
    assert "'whisper-base'" in err


def test_check_says_which_engine_and_why(cli: Cli) -> None:
    models = Path("models").absolute()
    (models / "voice.onnx").write_bytes(b"\x08\x07")
    (models / "voice.onnx.json").write_text("{}")
    (models / "broken.gguf").write_bytes(b"GGUF\x03\0\0\0")
    (models / "bad.yaml").write_text("name: bad\nthreads: many\n")
    code, out, _ = cli("check")
    assert code == 1
    assert "tiny-chat: works with llama-cpp\n  engine   llama-cpp, because tiny-chat.gguf is a GGUF file" in out  # fmt: skip
    assert "because its model file says `backend: echo`" in out
    assert "voice.onnx is of the kind 'piper-voice', which only this engine runs" in out
    assert "Install it: local-ai backends install piper" in out
    assert "broken: has problems" in out
    assert "bad.yaml:2: threads" in out
    (models / "odd.yaml").write_text(
        "name: odd\nbackend: whisper\nparameters: {model: voice.onnx}\n"
    )
    (models / "empty").mkdir()
    (models / "empty" / "config.json").write_text('{"architectures": ["BertModel"]}')
    (models / "none.yaml").write_text(
        "name: none\nbackend: sentencetransformers\nparameters: {model: empty}\n"
    )
    said = cli("check", "odd", "none")[1]
    assert (
        "voice.onnx is of the kind 'piper-voice', which whisper does not run; piper would." in said
    )
    assert "holds no weights" in said
    code, out, _ = cli("check", "tiny-chat", "--json")
    assert code == 0
    assert [one["name"] for one in json.loads(out)] == ["tiny-chat"]


def test_a_gallery_that_cannot_be_read_is_told_and_the_others_serve(cli: Cli) -> None:
    setting = json.dumps([{"name": "gone", "url": "http://127.0.0.1:9/index.yaml"}])
    code, out, err = cli("search", "whisper-tiny", galleries=setting)
    assert code == 0
    assert "whisper-tiny" in out
    assert "The gallery 'gone' cannot be reached" in err


def test_a_wrong_setting_is_told(cli: Cli) -> None:
    code, _, err = cli("available", galleries="{")
    assert code == 2
    assert "GALLERIES is no JSON list" in err


def test_system_says_what_a_report_needs(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    main(["system", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["cores"] >= 1
    assert report["memory_bytes"] >= report["available_memory_bytes"] > 0
    assert report["models"] == 2
    assert {"llama-cpp", "echo"} <= set(report["backends"])
    assert report["packages"]["xllamacpp"]
    main(["system"])
    shown = capsys.readouterr().out
    assert "llama-cpp (with the server)" in shown
    assert report["version"] in shown
    assert [one["name"] for one in report["gpus"]] == [card.name for card in gpus()]
    assert shown.count("\nGPU ") == len(report["gpus"])

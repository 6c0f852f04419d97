"""Models are removed, carried elsewhere and looked after."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from localai.cli.models import command
from localai.domain.errors import ChecksumMismatch, InvalidRequest, LocalAIError, ModelNotFound
from localai.downloads.archive import CONTENTS, import_archive
from tests.downloads.file_server import content, running, sha256
from tests.downloads.installing import install, plan_of, quarantined, visible

DATA = content(300_000)
YAML = "name: m\nbackend: echo\nparameters:\n  model: m.gguf\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A models folder with an installed model, and one that shares its weights."""
    models = tmp_path / "models"
    source = tmp_path / "source.gguf"
    source.write_bytes(DATA)
    plan = plan_of(source.as_uri(), DATA)
    install(models, type(plan)(name="m", files=plan.files, texts={"m.yaml": YAML}))
    return models


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command of `local-ai models`; raises what it raises."""
    result = CliRunner().invoke(
        command, [*arguments, "--models-path", str(folder)], standalone_mode=False
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_a_model_is_removed_with_what_is_its_alone(folder: Path) -> None:
    (folder / "other.yaml").write_text(YAML.replace("name: m", "name: other"))
    _, said = run(folder, "uninstall", "m", "--json")
    assert json.loads(said) == [{"name": "m", "removed": ["m.yaml"], "kept": ["m.gguf"]}]
    assert set(visible(folder)) == {"m.gguf", "other.yaml"}
    run(folder, "uninstall", "other")
    assert visible(folder) == {}
    with pytest.raises(ModelNotFound):
        run(folder, "uninstall", "m")


def test_a_file_outside_the_folder_is_never_removed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.gguf"
    outside.write_bytes(b"GGUF")
    (folder / "link.gguf").symlink_to(outside)
    run(folder, "uninstall", "link")
    assert outside.exists()
    assert not (folder / "link.gguf").is_symlink()


def test_damage_is_found(folder: Path) -> None:
    assert run(folder, "verify")[0] == 0
    (folder / "m.gguf").write_bytes(DATA[:-1] + b"x")
    code, said = run(folder, "verify", "m", "--json")
    assert code == 1
    assert json.loads(said)["m"][0]["problem"]
    with pytest.raises(ModelNotFound):
        run(folder, "verify", "nobody")


def test_a_model_travels_in_an_archive(folder: Path, tmp_path: Path) -> None:
    archive, there = tmp_path / "m.tar", tmp_path / "there"
    run(folder, "export", "m", str(archive))
    run(there, "import", str(archive))
    assert visible(there) == visible(folder)
    assert run(there, "verify", "m")[0] == 0
    with pytest.raises(InvalidRequest):
        run(there, "import", str(archive))
    with pytest.raises(InvalidRequest):
        run(folder, "export", "m", str(archive))


def test_what_is_left_of_downloads_is_removed(folder: Path) -> None:
    with running() as server:
        server.add("/n.gguf", DATA)
        server.rule = lambda asked, answer: type(answer)(
            answer.body, answer.status, answer.headers, stall_after=1000
        )
        with pytest.raises(LocalAIError):
            install(folder, plan_of(server.address("/n.gguf"), DATA, name="n"), stall_s=0.1)
    assert len(quarantined(folder)) == 1
    assert json.loads(run(folder, "prune", "--json")[1])["files"] == 1
    assert quarantined(folder) == []


def archive_of(path: Path, contents: object, members: dict[str, bytes | None]) -> Path:
    """An archive as an enemy would make it; None is a link to /etc/passwd."""
    with tarfile.open(path, "w") as archive:
        for name, data in {CONTENTS: json.dumps(contents).encode(), **members}.items():
            header = tarfile.TarInfo(name)
            if data is None:
                header.type, header.linkname = tarfile.SYMTYPE, "/etc/passwd"
            header.size = len(data or b"")
            archive.addfile(header, io.BytesIO(data or b""))
    return path


def listed(name: str, data: bytes = DATA) -> dict[str, object]:
    return {"name": name, "size_bytes": len(data), "sha256": sha256(data)}


@pytest.mark.parametrize(
    ("files", "texts", "members"),
    [
        ([listed("../x.gguf")], {}, {"../x.gguf": DATA}),
        ([listed("/x.gguf")], {}, {"/x.gguf": DATA}),
        ([listed("x.gguf")], {}, {"x.gguf": None}),
        ([listed("x.gguf")], {}, {"x.gguf": DATA + b"more"}),
        ([listed("x.gguf")], {}, {}),
        ([], {}, {"x.gguf": DATA}),
        ([], {"../x.yaml": "name: x"}, {}),
        ([listed("x.yaml")], {}, {"x.yaml": DATA}),
    ],
)
def test_an_archive_is_not_trusted(
    tmp_path: Path, files: list[object], texts: dict[str, str], members: dict[str, bytes | None]
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    contents = {"version": 1, "name": "x", "files": files, "texts": texts}
    path = archive_of(tmp_path / "x.tar", contents, members)
    with pytest.raises((InvalidRequest, ChecksumMismatch)):
        import_archive(path, models)
    assert visible(models) == {}
    assert {one.name for one in tmp_path.iterdir()} == {"models", "x.tar"}


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    for data in (b"", b"no archive", DATA):
        path.write_bytes(data)
        with pytest.raises(InvalidRequest):
            import_archive(path, tmp_path)

"""The models folder as a catalog that stays current."""

import os
import struct
import time
from pathlib import Path

import pytest

from localai.catalog.folder import STARTER_NAME, ModelFolder
from localai.catalog.resolve import resolve
from localai.domain.errors import SettingInvalid
from tests.clock import Clock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "models"
    path.mkdir()
    return path


def weights(path: Path, content: bytes = b"GGUF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_yaml_files_and_loose_weights_are_models(folder: Path) -> None:
    (folder / "b.yaml").write_text("name: named\nparameters: {model: w.gguf}\n")
    (folder / "a.yml").write_text("- name: first\n- name: second\n")
    weights(folder / "w.gguf")
    weights(folder / "loose.Q4_K_M.gguf")
    catalog = ModelFolder(folder).refresh()
    assert list(catalog.specs) == ["first", "loose.Q4_K_M", "named", "second"]
    assert catalog.problems == catalog.warnings == ()
    loose = catalog.specs["loose.Q4_K_M"]
    assert (loose.is_loose_file, loose.model_path) == (True, folder / "loose.Q4_K_M.gguf")
    assert catalog.specs["named"].model_path == folder / "w.gguf"
    assert not catalog.specs["named"].is_loose_file


def test_weights_answer_to_their_file_names(folder: Path) -> None:
    (folder / "b.yaml").write_text("name: named\nparameters: {model: w.gguf}\n")
    weights(folder / "w.gguf")
    weights(folder / "loose.gguf")
    weights(folder / "sub/deep/inner.gguf")
    catalog = ModelFolder(folder).refresh()
    for asked, found in [
        ("w", "named"),
        ("w.gguf", "named"),
        ("loose", "loose"),
        ("loose.gguf", "loose"),
        ("inner.gguf", "inner"),
        ("sub/deep/inner.gguf", "inner"),
        ("sub/deep/inner", "inner"),
    ]:
        assert resolve(asked, catalog).name == found


def test_what_is_no_model_of_its_own_is_left_out(folder: Path) -> None:
    (folder / "v.yaml").write_text(
        "name: v\nmmproj: eyes.gguf\nlora_adapter: style.gguf\nparameters: {model: v.gguf}\n"
    )
    (folder / ".hidden.yaml").write_text("name: hidden\n")
    (folder / "notes.txt").write_text("name: notes\n")
    (folder / "folder.gguf").mkdir()
    for name in (
        "v.gguf", "eyes.gguf", "style.gguf", "mmproj-v.gguf", "v-mmproj-f16.gguf", ".x.gguf",
        ".cache/x.gguf", "one/two/three/x.gguf",
        "big-00001-of-00002.gguf", "big-00002-of-00002.gguf",
    ):  # fmt: skip
        weights(folder / name)
    catalog = ModelFolder(folder).refresh()
    assert list(catalog.specs) == ["big", "v"]
    assert resolve("big-00001-of-00002.gguf", catalog).name == "big"


def test_a_yaml_name_goes_before_a_file_name(folder: Path) -> None:
    (folder / "a.yaml").write_text("name: x\nparameters: {model: other.gguf}\n")
    weights(folder / "x.gguf")
    weights(folder / "other.gguf")
    catalog = ModelFolder(folder).refresh()
    assert catalog.specs["x"].model_path == folder / "other.gguf"
    assert catalog.specs["x.gguf"].model_path == folder / "x.gguf"


def test_files_of_one_name_in_several_folders_are_all_usable(folder: Path) -> None:
    for name in ("q/m.gguf", "p/m.gguf", "m.gguf"):
        weights(folder / name)
    catalog = ModelFolder(folder).refresh()
    assert list(catalog.specs) == ["m", "p/m", "q/m"]
    assert catalog.specs["m"].model_path == folder / "m.gguf"
    assert catalog.specs["p/m"].model_path == folder / "p/m.gguf"


def test_of_two_models_with_one_name_the_first_file_counts(folder: Path) -> None:
    (folder / "b.yaml").write_text("name: x\ndescription: late\n")
    (folder / "a.yaml").write_text("name: x\ndescription: early\n")
    catalog = ModelFolder(folder).refresh()
    assert catalog.specs["x"].description == "early"
    (problem,) = catalog.problems
    assert problem.startswith("b.yaml:1: name: 'x'")
    assert "a.yaml:1" in problem


def test_the_list_file_comes_last(folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.yaml"
    listed.write_text("- {name: x, description: list}\n- {name: y}\n")
    (folder / "z.yaml").write_text("name: x\ndescription: folder\n")
    catalog = ModelFolder(folder, config_file=listed).refresh()
    assert list(catalog.specs) == ["x", "y"]
    assert catalog.specs["x"].description == "folder"
    assert catalog.specs["y"].model_path == folder / "y"


def test_the_starter_serves_until_there_is_another_model(folder: Path, tmp_path: Path) -> None:
    starter = weights(tmp_path / "starter.gguf")
    models = ModelFolder(folder, starter=starter)
    (spec,) = models.refresh().specs.values()
    assert (spec.name, spec.is_starter, spec.model_path) == (STARTER_NAME, True, starter)
    assert spec.sampling.temperature == 0.7
    weights(folder / "own.gguf")
    assert list(models.refresh().specs) == ["own"]
    (folder / "own.gguf").unlink()
    assert list(models.refresh().specs) == [STARTER_NAME]


def test_problems_keep_the_entry_by_its_name(folder: Path) -> None:
    (folder / "a.yaml").write_text("name: bad\nf16: maybe\n")
    catalog = ModelFolder(folder).refresh()
    assert catalog.specs == {}
    assert catalog.broken == {"bad": catalog.problems}


# ---- staying current


def test_the_disk_is_looked_at_once_a_second(folder: Path) -> None:
    clock = Clock()
    models = ModelFolder(folder, clock=clock)
    assert list(models.catalog().specs) == []
    (folder / "a.yaml").write_text("name: a\n")
    clock.now_s += 0.9
    assert list(models.catalog().specs) == []
    clock.now_s += 0.2
    assert list(models.catalog().specs) == ["a"]


def test_an_unchanged_folder_gives_the_same_catalog(folder: Path) -> None:
    (folder / "a.yaml").write_text("name: a\n")
    weights(folder / "w.gguf")
    models = ModelFolder(folder)
    assert models.refresh() is models.refresh()


def test_a_changed_file_is_read_again_and_the_others_are_not(folder: Path) -> None:
    (folder / "a.yaml").write_text("name: a\n")
    (folder / "b.yaml").write_text("name: b\n")
    models = ModelFolder(folder)
    before = models.refresh()
    (folder / "b.yaml").write_text("name: b2\n")
    after = models.refresh()
    assert list(after.specs) == ["a", "b2"]
    assert after.specs["a"] is before.specs["a"]


def test_the_revision_changes_with_yaml_and_weights(folder: Path) -> None:
    path = folder / "a.yaml"
    path.write_text("name: a\nmmproj: eyes.bin\nparameters: {model: w.bin}\n")
    weights(folder / "w.bin")
    weights(folder / "eyes.bin")
    models = ModelFolder(folder)
    seen = [models.refresh().specs["a"].revision]

    def look() -> None:
        seen.append(models.refresh().specs["a"].revision)

    look()
    assert seen[0] == seen[1]
    weights(folder / "w.bin", b"longer weights")
    look()
    weights(folder / "eyes.bin", b"longer eyes")
    look()
    path.write_text(path.read_text() + "f16: true\n")
    look()
    (folder / "w.bin").unlink()
    look()
    assert len(set(seen)) == 5


def test_a_comment_is_no_change_of_the_model(folder: Path) -> None:
    path = folder / "a.yaml"
    path.write_text("name: a\n")
    models = ModelFolder(folder)
    before = models.refresh().specs["a"]
    path.write_text("# about a\nname: a\n")
    after = models.refresh().specs["a"]
    assert after.revision == before.revision
    assert after.origin == "a.yaml:2"


def test_models_are_as_old_as_their_files(folder: Path) -> None:
    (folder / "a.yaml").write_text("name: a\n")
    weights(folder / "w.gguf")
    os.utime(folder / "a.yaml", (1_000, 1_000))
    os.utime(folder / "w.gguf", (2_000, 2_000))
    specs = ModelFolder(folder).refresh().specs
    assert (specs["a"].created_unix_s, specs["w"].created_unix_s) == (1_000, 2_000)


def test_a_vanished_folder_keeps_its_models_and_says_so(folder: Path) -> None:
    (folder / "a.yaml").write_text("name: a\n")
    models = ModelFolder(folder)
    models.refresh()
    away = folder.rename(folder.with_name("away"))
    for _ in range(2):
        catalog = models.refresh()
        assert list(catalog.specs) == ["a"]
        (problem,) = catalog.problems
        assert "cannot be read" in problem
    away.rename(folder)
    assert models.refresh().problems == ()


def test_an_empty_folder_that_vanished_recovers(folder: Path) -> None:
    models = ModelFolder(folder)
    models.refresh()
    folder.rmdir()
    assert models.refresh().problems
    folder.mkdir()
    assert models.refresh().problems == ()


def test_links_may_lead_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "w.gguf").symlink_to(weights(tmp_path / "elsewhere.gguf"))
    (folder / "dead.gguf").symlink_to(tmp_path / "nothing")
    (folder / "loop").symlink_to(folder)
    assert list(ModelFolder(folder).refresh().specs) == ["w"]


def test_a_large_folder_is_rechecked_quickly(folder: Path) -> None:
    for number in range(2_000):
        (folder / f"{number}.yaml").write_text(f"name: m{number}\n")
    models = ModelFolder(folder)
    assert len(models.refresh().specs) == 2_000
    times = []
    for _ in range(3):
        began = time.perf_counter()
        models.refresh()
        times.append(time.perf_counter() - began)
    assert min(times) < 0.15  # about 0.015 s; reading them all again takes half a second


# ---- the check at the start


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    ModelFolder(tmp_path / "models").check()
    assert (tmp_path / "models").is_dir()


@pytest.mark.parametrize("name", ["no/such/parent", "file", "file/inside"])
def test_a_folder_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingInvalid) as caught:
        ModelFolder(tmp_path / name).check()
    assert str(tmp_path / name) in caught.value.message


def test_a_missing_list_file_is_refused(folder: Path) -> None:
    with pytest.raises(SettingInvalid, match=r"list\.yaml"):
        ModelFolder(folder, config_file=folder / "list.yaml").check()


FORMATS = ("causal-lm", "sentence-transformers", "ggml-whisper", "piper-voice", "ct2-whisper")


def test_models_of_other_engines_are_found_by_their_files(folder: Path) -> None:
    weights(folder / "ggml-base.bin", struct.pack("<Ii", 0x67676D6C, 51_865) + bytes(40))
    weights(folder / "en.onnx", b"\x08\x07")
    weights(folder / "en.onnx.json", b"{}")
    llama = folder / "maker/llama"
    weights(llama / "config.json", b'{"architectures": ["LlamaForCausalLM"]}')
    weights(llama / "model.safetensors")
    vectors = folder / "vectors"
    weights(vectors / "modules.json", b"[]")
    weights(vectors / "config.json", b'{"architectures": ["BertModel"]}')
    weights(vectors / "pytorch_model.bin")
    weights(vectors / "1_Pooling/config.json", b"{}")
    catalog = ModelFolder(folder, formats=FORMATS).refresh()
    assert list(catalog.specs) == ["en", "ggml-base", "llama", "vectors"]
    assert catalog.problems == catalog.warnings == ()
    assert catalog.specs["llama"].model_path == llama
    for asked, found in [
        ("maker/llama", "llama"),
        ("en.onnx", "en"),
        ("ggml-base.bin", "ggml-base"),
    ]:
        assert resolve(asked, catalog).name == found
    assert all(spec.is_loose_file for spec in catalog.specs.values())
    assert list(ModelFolder(folder).refresh().specs) == []  # without engines for them


def test_what_no_engine_runs_is_no_model(folder: Path) -> None:
    weights(folder / "notes.bin", b"notes")
    weights(folder / "some.onnx", b"\x08\x07")
    weights(folder / "description/config.json", b'{"architectures": ["LlamaForCausalLM"]}')
    weights(folder / "painter/config.json", b'{"architectures": ["UNet"]}')
    weights(folder / "painter/x.safetensors")
    weights(folder / "vectors/modules.json", b"[]")
    weights(folder / "vectors/model.safetensors")
    weights(folder / "vectors/inner/config.json", b'{"architectures": ["LlamaForCausalLM"]}')
    weights(folder / "vectors/inner/model.safetensors")
    assert list(ModelFolder(folder, formats=FORMATS).refresh().specs) == ["vectors"]


def test_a_model_file_owns_the_folder_it_names(folder: Path) -> None:
    weights(folder / "llama/config.json", b'{"architectures": ["LlamaForCausalLM"]}')
    weights(folder / "llama/model.safetensors")
    (folder / "l.yaml").write_text("name: mine\nparameters: {model: llama}\n")
    catalog = ModelFolder(folder, formats=FORMATS).refresh()
    assert list(catalog.specs) == ["mine"]
    assert resolve("llama", catalog).name == "mine"


def test_a_folder_that_becomes_a_model_is_noticed(folder: Path) -> None:
    models = ModelFolder(folder, formats=FORMATS)
    weights(folder / "llama/model.safetensors")
    assert list(models.refresh().specs) == []
    weights(folder / "llama/config.json", b'{"architectures": ["LlamaForCausalLM"]}')
    first = models.refresh().specs["llama"]
    weights(folder / "llama/config.json", b'{"architectures": ["LlamaForCausalLM"], "n": 1}')
    assert models.refresh().specs["llama"].revision != first.revision


def test_weights_in_a_folder_that_come_or_change_are_noticed(folder: Path) -> None:
    models = ModelFolder(folder, formats=FORMATS)
    weights(folder / "llama/config.json", b'{"architectures": ["LlamaForCausalLM"]}')
    assert list(models.refresh().specs) == []
    weights(folder / "llama/model.safetensors", b"first")
    first = models.refresh().specs["llama"]
    assert models.refresh().specs["llama"].revision == first.revision
    weights(folder / "llama/model.safetensors", b"second")
    assert models.refresh().specs["llama"].revision != first.revision

"""OpenVINO: what PyTorch makes of the same weights is the measure; the words of a model file for it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from localai.engines.manifest import Manifest
from tests.backends import inside_openvino as inside
from tests.bert_maker import make_bert_folder
from tests.engines.installed import results_of
from tests.hf_maker import make_scripted_hf
from tests.live import PATIENCE_S

ENTRY = Manifest().find("openvino")
PIECES = ["The", " answer", " is", " 42", "."]
EXACT, HALF = 1e-3, 0.1

pytestmark = pytest.mark.timeout(10 * PATIENCE_S)  # the engine may take a minute to be imported


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openvino")


@pytest.fixture(scope="session")
def found(folder: Path) -> dict[str, Any]:
    """All results, of PyTorch and of the backend, from one process."""
    (folder / "empty").mkdir()
    odd = make_bert_folder(folder / "odd")
    (odd / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    torn = make_bert_folder(folder / "torn") / "model.safetensors"
    torn.write_bytes(torn.read_bytes()[:10_000])
    models = {
        "embedder": str(make_bert_folder(folder / "embedder")),
        "writer": str(make_scripted_hf(folder / "writer", PIECES)),
        "other": str(make_scripted_hf(folder / "other", PIECES)),
        "broken": {
            "empty": str(folder / "empty"),
            "odd pooling": str(odd),
            "torn": str(torn.parent),
            "nothing": str(folder / "nothing"),
        },
    }
    return results_of(ENTRY, inside.__name__, models, folder)  # type: ignore[no-any-return]


def same(one: list[list[float]], other: list[list[float]], near: float) -> bool:
    return all(math.dist(a, b) < near for a, b in zip(one, other, strict=True))


def test_vectors_are_those_of_pytorch(found: dict[str, Any]) -> None:
    ours, library = found["embedder"], found["embedder of the library"]
    assert same(ours["exact"]["vectors"], library, EXACT)
    assert same(ours["usual"]["vectors"], library, HALF)
    alone = [one["vectors"][0] for one in ours["together"]]
    assert same(alone, library * 8, EXACT)
    assert ours["exact"]["tokens"] * 8 == sum(one["tokens"] for one in ours["together"])


def test_what_was_converted_can_be_kept(found: dict[str, Any], folder: Path) -> None:
    assert found["embedder"]["warnings"] == []
    kept = {path.name for path in (folder / "embedder" / "openvino").iterdir()}
    assert {"openvino_model.xml", "openvino_model.bin", "config.json"} <= kept
    assert not list((folder / "embedder").glob(".openvino*"))
    assert not (folder / "other" / "openvino").exists()  # nobody asked
    assert "converted already" in found["embedder"]["late"][0]


def test_what_is_too_long_is_refused_or_cut(found: dict[str, Any]) -> None:
    ours = found["embedder"]
    assert ours["context"] == 256
    assert (ours["too long"]["kind"], ours["too long"]["fields"]["param"]) == ("context_too_long", "input[1]")  # fmt: skip
    assert ours["cut"]["tokens"] == 256


def test_it_writes(found: dict[str, Any]) -> None:
    ours = found["writer"]
    text = "".join(PIECES)
    assert ours["plain"]["texts"] == {"0": text}
    assert ours["choices"]["texts"] == {str(number): text for number in range(3)}
    assert [one["texts"]["0"] for one in ours["together"]] == [text] * 4
    assert ours["context"] == 512
    assert ours["template"]


@pytest.mark.parametrize("device", ["CPU", "AUTO", "MULTI", "HETERO", "MULTI:CPU", "HETERO:CPU"])
def test_devices_by_their_names(found: dict[str, Any], device: str) -> None:
    ours = found["writer"][device]
    assert ours["text"]["texts"] == {"0": "".join(PIECES)}, ours
    assert "CPU" in ours["device"]


@pytest.mark.parametrize("device", ["GPU", "NPU", "AUTO:-CPU"])
def test_a_device_that_is_not_there(found: dict[str, Any], device: str) -> None:
    ours = found["writer"][device]
    if "device" in ours:  # a machine of Intel's
        assert ours["text"]["texts"] == {"0": "".join(PIECES)}
        return
    assert ours["kind"] == "start_failed"
    assert device in ours["message"]


@pytest.mark.parametrize("name", ["xpu_4bit", "bnb_8bit"])
def test_smaller_weights(found: dict[str, Any], name: str) -> None:
    assert found["writer"][name]["text"]["texts"] == {"0": "".join(PIECES)}
    assert found["writer"][name]["warnings"] == []


def test_a_model_for_something_else_says_so(found: dict[str, Any]) -> None:
    assert "OVModelForCausalLM" in found["embedder"]["generate"]["message"]
    assert "OVModelForFeatureExtraction" in found["writer"]["embed"]["message"]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("empty", "model_file_invalid", "neither config.json nor modules.json"),
        ("odd pooling", "start_failed", "sentencetransformers"),
        ("torn", "start_failed", "cannot load"),
        ("nothing", "model_file_invalid", "are not there"),
        ("type", "spec_invalid", "OVModelForCausalLM"),
        ("quantization", "spec_invalid", "xpu_4bit"),
    ],
)
def test_what_cannot_be_loaded_is_told(
    found: dict[str, Any], name: str, kind: str, words: str
) -> None:
    told = found["broken"][name]
    assert told["kind"] == kind, told
    assert words in told["message"]

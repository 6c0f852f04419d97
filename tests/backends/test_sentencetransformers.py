"""Sentence Transformers: what the library itself gives for the same inputs is the measure."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from localai.engines.manifest import Manifest
from tests.backends import inside_sentencetransformers as inside
from tests.bert_maker import make_bert_folder
from tests.bert_onnx import export_bert
from tests.engines.installed import MINILM, device_of, results_of, skip_without_minilm
from tests.gguf_maker import make_tiny_llama
from tests.hf_maker import make_tiny_hf
from tests.live import PATIENCE_S

ENTRY = Manifest().find("sentencetransformers")
SAME = 1e-5

pytestmark = pytest.mark.timeout(10 * PATIENCE_S)  # the engine may take a minute to be imported


def make_broken(folder: Path) -> dict[str, str]:
    """Folders that are no model of this engine."""
    (folder / "empty").mkdir(parents=True)
    no_weights = make_bert_folder(folder / "no weights")
    (no_weights / "model.safetensors").unlink()
    torn = make_bert_folder(folder / "torn")
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:10_000])
    gguf = folder / "with a gguf"
    gguf.mkdir()
    make_tiny_llama(gguf / "model.gguf")
    onnx = make_bert_folder(folder / "exported")
    (onnx / "model.safetensors").rename(onnx / "model.onnx")
    code = make_bert_folder(folder / "with code")
    config = json.loads((code / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}
    (code / "config.json").write_text(json.dumps(config | {"model_type": "mine"}))
    return {
        "empty": str(folder / "empty"),
        "no weights": str(no_weights),
        "torn": str(torn),
        "a gguf": str(gguf / "model.gguf"),
        "a folder with a gguf": str(gguf),
        "exported": str(onnx),
        "code": str(code),
        "a generator": str(make_tiny_hf(folder / "generator")),
        "many labels": str(make_bert_folder(folder / "labels", ranks=True, labels=3)),
        "nothing": str(folder / "nothing"),
    }


def make_exported(folder: Path) -> dict[str, str]:
    """Models with an ONNX form: beside the weights, alone, and one that is no encoder's."""
    both = make_bert_folder(folder / "both")
    export_bert(both, both / "onnx" / "small.onnx", states="token_embeddings")
    alone = make_bert_folder(folder / "alone")
    export_bert(alone, alone / "model.onnx")
    (alone / "model.safetensors").unlink()
    other = make_bert_folder(folder / "other")
    export_bert(other, other / "model.onnx", states="poem")
    return {"both": str(both), "alone": str(alone), "other": str(other)}


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All results, of the library and of the backend, from one process."""
    folder = tmp_path_factory.mktemp("inside")
    models: dict[str, Any] = {
        "tiny": str(make_bert_folder(folder / "tiny")),
        "ranker": str(make_bert_folder(folder / "ranker", ranks=True)),
        "broken": make_broken(folder / "broken"),
        "onnx": make_exported(folder / "onnx"),
    }
    if MINILM.is_dir():
        models["minilm"] = str(MINILM)
        exported = shutil.copytree(MINILM, folder / "minilm", ignore=shutil.ignore_patterns("*.safetensors"))  # fmt: skip
        export_bert(MINILM, exported / "onnx" / "model.onnx")
        models["onnx"]["minilm"] = str(exported)
    results: dict[str, Any] = results_of(ENTRY, inside.__name__, models, folder)
    return results


@pytest.fixture(params=["tiny", "minilm"])
def both(request: pytest.FixtureRequest, found: dict[str, Any]) -> tuple[Any, Any]:
    """What the backend gave, and what the library did; for a small model and a real one."""
    if request.param == "minilm":
        skip_without_minilm()
    return found[request.param], found[f"{request.param} of the library"]


def same(one: list[list[float]], other: list[list[float]]) -> bool:
    assert len(one) == len(other)
    return all(
        math.dist(first, second) < SAME and len(first) == len(second)
        for first, second in zip(one, other, strict=True)
    )


def test_vectors_are_the_librarys_own(both: tuple[Any, Any]) -> None:
    ours, library = both
    assert same(ours["plain"]["vectors"], library["plain"])
    assert ours["plain"]["tokens"] == library["tokens"]


def test_vectors_are_the_same_in_any_company(both: tuple[Any, Any]) -> None:
    ours, library = both
    one_by_one, at_once = ours["together"]
    assert same([row for one in one_by_one for row in one["vectors"]], library["plain"] * 8)
    assert same(at_once["vectors"], library["plain"] * 8)
    assert at_once["tokens"] == sum(one["tokens"] for one in one_by_one) == 8 * library["tokens"]


def test_token_ids_mean_their_text(both: tuple[Any, Any]) -> None:
    first, second = both[0]["ids"]["vectors"]
    assert same([first], [second])


def test_what_is_too_long_is_refused_or_cut(both: tuple[Any, Any]) -> None:
    ours, library = both
    refused = ours["too long"]
    assert refused["kind"] == "context_too_long"
    assert refused["fields"]["limit"] == 256 == ours["facts"]
    assert refused["fields"]["requested"] > 1000
    assert refused["fields"]["param"] == "input[1]"
    assert same(ours["cut"]["vectors"], library["cut"])
    assert same(ours["very long"]["vectors"], library["cut"])
    assert ours["cut"]["tokens"] == 256
    first, second = ours["white space"]["vectors"]
    assert same([first], [second])


def test_prompts_by_name(found: dict[str, Any]) -> None:
    ours, library = found["tiny"], found["tiny of the library"]
    assert same(ours["query"]["vectors"], library["query"])
    assert not same(ours["query"]["vectors"], library["plain"])
    assert ours["no such prompt"]["kind"] == "invalid_request"
    assert "'query', 'document'" in ours["no such prompt"]["message"]


def test_options(found: dict[str, Any]) -> None:
    ours, library = found["options"], found["tiny of the library"]
    assert same(ours["short"]["vectors"], library["short"])
    assert same(ours["query"]["vectors"], library["query"])
    assert same(ours["prompt"]["vectors"], library["query"])  # the same words
    assert same(ours["small batches"]["vectors"], library["plain"])
    assert same(ours["long vectors"]["vectors"], library["plain"])  # this model normalizes itself
    assert same(ours["cut: long"]["vectors"], library["cut"])
    assert ours["context: long"]["fields"]["limit"] == 32
    assert ours["facts"] == 40
    for half, whole in zip(ours["half"]["vectors"], library["plain"], strict=True):
        assert math.dist(half, whole) < 0.1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no such prompt", "'query', 'document'"),
        ("too many positions", "4096; this model has 256"),
        ("type", "SentenceTransformer and CrossEncoder"),
        ("dtype", "float32"),
        ("unknown", "'truncate'"),
        ("cuda", "CUDA device"),
    ],
)
def test_wrong_options_are_told(found: dict[str, Any], name: str, words: str) -> None:
    told = found["options"][name]
    assert words in told["message"]
    assert told["kind"] in {"spec_invalid", "start_failed"}


def test_the_device_is_told(found: dict[str, Any]) -> None:
    assert found["tiny"]["device"] == device_of("sentencetransformers")


def test_ranks_are_the_librarys_own(found: dict[str, Any]) -> None:
    ours, library = found["ranker"]["plain"], found["ranker of the library"]
    assert ours["scores"] == pytest.approx(library["scores"], abs=SAME)
    order = sorted(range(len(ours["scores"])), key=lambda place: -ours["scores"][place])
    assert order == library["order"]
    alone = [one["scores"][0] for one in found["ranker"]["together"]]
    assert alone == pytest.approx(library["scores"], abs=SAME)
    assert ours["tokens"] == sum(one["tokens"] for one in found["ranker"]["together"])


def test_a_document_that_is_too_long_is_cut_unless_told_otherwise(found: dict[str, Any]) -> None:
    assert all(map(math.isfinite, found["ranker"]["cut"]["scores"]))
    refused = found["ranker"]["too long"]
    assert (refused["kind"], refused["fields"]["param"]) == ("context_too_long", "documents[1]")


def test_a_model_for_something_else_says_so(found: dict[str, Any]) -> None:
    assert "/v1/rerank" in found["ranker"]["embed"]["message"]
    assert "cross-encoder" in found["tiny"]["rank"]["message"]
    assert found["tiny"]["rank"]["kind"] == "unsupported"


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("empty", "model_file_invalid", "neither config.json nor modules.json"),
        ("no weights", "model_file_invalid", "no weights"),
        ("torn", "start_failed", "cannot load"),
        ("a gguf", "model_file_invalid", "llama-cpp"),
        ("a folder with a gguf", "model_file_invalid", "llama-cpp"),
        ("exported", "model_file_invalid", "ONNX Runtime cannot read"),
        ("code", "start_failed", "trust_remote_code"),
        ("a generator", "model_file_invalid", "backend: transformers"),
        ("many labels", "model_file_invalid", "3 classes"),
        ("nothing", "model_file_invalid", "are not there"),
    ],
)
def test_a_folder_that_is_no_model_is_told(
    found: dict[str, Any], name: str, kind: str, words: str
) -> None:
    told = found["broken"][name]
    assert told["kind"] == kind, told
    assert words in told["message"]


def test_an_onnx_file_gives_the_vectors_of_its_weights(found: dict[str, Any]) -> None:
    library = found["tiny of the library"]["plain"]
    for name in ("alone", "named"):
        ours = found["onnx"][name]
        assert same(ours["vectors"], library)
        assert ours["tokens"] == found["tiny of the library"]["tokens"]
    assert same(found["onnx"]["together"], library)
    assert "ONNX Runtime" in found["onnx"]["device"]
    assert same(found["onnx"]["weights"]["vectors"], library)


def test_an_onnx_file_of_a_real_model(found: dict[str, Any]) -> None:
    skip_without_minilm()
    assert same(found["onnx"]["minilm"]["vectors"], found["minilm of the library"]["plain"])


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("not there", "model_file_invalid", "onnx/model.onnx"),
        ("of another name", "model_file_invalid", "onnx/large.onnx"),
        ("out of the folder", "spec_invalid", "below the model's folder"),
        ("no encoder", "model_file_invalid", "poem"),
        ("no runtime", "spec_invalid", "'vulkan'"),
        ("on a card", "spec_invalid", "compute on the CPU"),
    ],
)
def test_what_is_wrong_with_an_onnx_file_is_told(
    found: dict[str, Any], name: str, kind: str, words: str
) -> None:
    told = found["onnx"][name]
    assert told["kind"] == kind
    assert words in told["message"]


@pytest.mark.parametrize("name", ["its own", "of ONNX", "of weights"])
def test_openvino_gives_the_vectors_of_the_weights(found: dict[str, Any], name: str) -> None:
    library, ours = found["tiny of the library"], found["openvino"][name]
    assert same(ours["vectors"], library["plain"])
    assert same(ours["together"], library["plain"])
    assert ours["tokens"] == library["tokens"]
    assert ours["device"].startswith("CPU (")


def test_openvino_gives_the_vectors_of_a_real_model(found: dict[str, Any]) -> None:
    skip_without_minilm()
    library = found["minilm of the library"]["plain"]
    assert same(found["openvino"]["minilm"]["vectors"], library)


def test_openvino_ranks_as_the_weights_do(found: dict[str, Any]) -> None:
    library = found["ranker of the library"]["scores"]
    assert found["openvino"]["ranker"]["scores"] == pytest.approx(library, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("torn", "model_file_invalid", "OpenVINO cannot read"),
        ("of another name", "model_file_invalid", "openvino/small.xml"),
        ("of another kind", "spec_invalid", "must end in .onnx or .xml"),
        ("for another", "spec_invalid", "must end in .onnx"),
        ("on a card", "start_failed", "found no CUDA"),
    ],
)
def test_what_is_wrong_with_openvinos_form_is_told(
    found: dict[str, Any], name: str, kind: str, words: str
) -> None:
    told = found["openvino"][name]
    assert told["kind"] == kind, told
    assert words in told["message"]

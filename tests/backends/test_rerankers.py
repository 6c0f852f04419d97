"""Rerankers: the library's own order of the same documents is the measure, for each type of model."""

from __future__ import annotations

import math
from typing import Any

import pytest

from localai.engines.manifest import Manifest
from tests.backends import inside_rerankers as inside
from tests.bert_maker import make_bert_folder
from tests.engines.installed import device_of, results_of
from tests.hf_maker import make_tiny_hf
from tests.live import PATIENCE_S

ENTRY = Manifest().find("rerankers")
KINDS = ("cross-encoder", "t5")
SAME = 1e-4
pytestmark = pytest.mark.timeout(10 * PATIENCE_S)  # the engine may take a minute to be imported


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All results, of the library and of the backend, from one process."""
    folder = tmp_path_factory.mktemp("rankers")
    torn = make_bert_folder(folder / "torn", ranks=True) / "model.safetensors"
    torn.write_bytes(torn.read_bytes()[:10_000])
    (folder / "empty").mkdir()
    models = {
        "folder": str(folder),
        "cross-encoder": str(make_bert_folder(folder / "ranker", ranks=True)),
        "broken": {
            "torn": str(torn.parent),
            "empty": str(folder / "empty"),
            "an embedder": str(make_bert_folder(folder / "embedder")),
            "a generator": str(make_tiny_hf(folder / "generator")),
            "many labels": str(make_bert_folder(folder / "labels", ranks=True, labels=3)),
            "nothing": str(folder / "nothing"),
        },
    }
    return results_of(ENTRY, inside.__name__, models, folder)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_the_order_is_the_librarys_own(found: dict[str, Any], kind: str) -> None:
    ours, library = found[kind]["plain"]["scores"], found[kind]["library"]
    assert ours == pytest.approx(library["scores"], abs=SAME)
    assert sorted(range(len(ours)), key=lambda place: -ours[place]) == library["order"]
    assert len(set(ours)) == len(ours)


def test_each_document_has_its_own_score_in_any_company(found: dict[str, Any], kind: str) -> None:
    ours = found[kind]["plain"]["scores"]
    assert [one["scores"][0] for one in found[kind]["together"]] == pytest.approx(ours, abs=SAME)
    assert found[kind]["one by one"]["scores"] == pytest.approx(ours, abs=SAME)
    assert found[kind]["half"]["scores"] == pytest.approx(ours, abs=0.2)


def test_questions_at_once_are_not_mixed_up(found: dict[str, Any], kind: str) -> None:
    asked = found[kind]["queries"]
    near = pytest.approx(found[kind]["plain"]["scores"], abs=SAME)
    assert [one["scores"] for one in asked[::2]] == [near] * 4
    assert all(one["scores"] != near for one in asked[1::2])


def test_tokens_are_counted(found: dict[str, Any], kind: str) -> None:
    whole = found[kind]["plain"]["tokens"]
    assert whole == sum(one["tokens"] for one in found[kind]["together"])
    assert whole > 40 + len(inside.DOCUMENTS) * 5


def test_what_is_too_long_is_cut_unless_told_otherwise(found: dict[str, Any], kind: str) -> None:
    assert all(map(math.isfinite, found[kind]["cut"]["scores"]))
    refused = found[kind]["too long"]
    assert (refused["kind"], refused["fields"]["param"]) == ("context_too_long", "documents[1]")
    assert refused["fields"]["limit"] == found[kind]["facts"]


def test_the_device_is_told(found: dict[str, Any], kind: str) -> None:
    assert found[kind]["device"] == device_of("rerankers")


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("torn", "start_failed", "cannot load"),
        ("empty", "model_file_invalid", "neither config.json nor modules.json"),
        ("an embedder", "model_file_invalid", "type: cross-encoder"),
        ("a generator", "model_file_invalid", "no ranker"),
        ("many labels", "model_file_invalid", "3 classes"),
        ("nothing", "model_file_invalid", "are not there"),
        ("type", "spec_invalid", "cross-encoder and t5"),
        ("colbert", "spec_invalid", "does not run"),
        ("unknown", "spec_invalid", "'truncate'"),
        ("cuda", "start_failed", "CUDA device"),
    ],
)
def test_what_cannot_be_loaded_is_told(
    found: dict[str, Any], name: str, kind: str, words: str
) -> None:
    told = found["broken"][name]
    assert told["kind"] == kind, told
    assert words in told["message"]

"""Engines' models from a hub: which of a repository's files are fetched, and that once will do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub import hub
from tests.live import PATIENCE_S, clean_environment

FILES = {
    "config.json": b"{}",
    "modules.json": b"[]",
    "vocab.txt": b"a",
    "1_Pooling/config.json": b"{}",
    "2_Dense/model.safetensors": b"dense",
    "model.safetensors": b"weights",
    "onnx/model.onnx": b"exported",
    "onnx/model_quint8_avx2.onnx": b"small",
    "openvino/openvino_model.xml": b"<net/>",
    "openvino/openvino_model.bin": b"numbers",
    "openvino/openvino_model_qint8_quantized.bin": b"small numbers",
    "tf_model.h5": b"old",
}
AROUND = {name for name in FILES if name.endswith(("json", "txt")) or name.startswith("2_")}

# The hub's library reads its settings once, so each look is a process of its own.
PROGRAM = """
import sys
from localai.wire.messages import LoadRequest
from localai.worker.hub import model_folder
request = LoadRequest(model="m", model_path="missing", model_id="team/model")
names = sys.argv[1:]
beside = tuple(name[:-4] + ".xml" for name in names if name.endswith(".bin"))
folder = model_folder(request, weights=tuple(names), beside=beside)
print(*sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()), sep="\\n")
"""


def look(home: Path, address: str, *weights: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *weights], capture_output=True, text=True, check=False, cwd=home,
        env=clean_environment(HOME=str(home), HF_HOME=str(home), HF_ENDPOINT=address), timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("weights", "fetched"),
    [
        ((), {"model.safetensors"}),
        (("onnx/model.onnx", "model.onnx"), {"onnx/model.onnx"}),
        (("onnx/model_quint8_avx2.onnx",), {"onnx/model_quint8_avx2.onnx"}),
        (
            ("openvino/openvino_model.bin", "openvino_model.bin"),
            {"openvino/openvino_model.bin", "openvino/openvino_model.xml"},
        ),
    ],
    ids=["weights", "onnx", "one of several", "openvino"],
)
def test_what_is_fetched(tmp_path: Path, weights: tuple[str, ...], fetched: set[str]) -> None:
    with hub() as there:
        there.repositories["team/model"] = FILES
        assert look(tmp_path, there.address, *weights) == AROUND | fetched
        asked = len(there.asked)
        assert look(tmp_path, there.address, *weights) == AROUND | fetched
        assert len(there.asked) == asked  # what is in the cache is used without asking anybody


def test_another_form_is_fetched_beside_the_first(tmp_path: Path) -> None:
    with hub() as there:
        there.repositories["team/model"] = FILES
        look(tmp_path, there.address)
        found = look(tmp_path, there.address, "onnx/model.onnx")
    assert {"model.safetensors", "onnx/model.onnx"} <= found

"""What files that were sent become: one model file, with each of them in its place."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import pytest
import yaml

from localai.assemble import engine_stock, model_library
from localai.domain.downloads import NewModel
from localai.domain.errors import InvalidRequest
from localai.downloads.blobs import Blobs
from localai.inference.model_creation import ModelCreation
from localai.settings import ServerSettings
from tests.gguf_maker import make_tiny_llama


@pytest.fixture
def creation(tmp_path: Path) -> ModelCreation:
    settings = ServerSettings(models_path=tmp_path / "models", data_path=tmp_path / "data")
    library = model_library(settings, engine_stock(settings))
    return ModelCreation(library, Blobs(settings.models_path, 100_000_000), settings.models_path)


def sent(creation: ModelCreation, files: Mapping[str, bytes]) -> dict[str, str]:
    digests = {}
    for name, data in files.items():
        digests[name] = hashlib.sha256(data).hexdigest()
        incoming = creation.blobs.receive(len(data))
        incoming.write(data)
        creation.blobs.keep(incoming, digests[name])
    return digests


def made(creation: ModelCreation, folder: Path, **fields: Any) -> tuple[dict[str, Any], set[str]]:
    """The model file that comes of it, and the names of the files beside it."""

    async def run() -> list[str]:
        return [step async for step in creation.create(NewModel(name="new", **fields))]

    assert asyncio.run(run())[-1] == "success"
    values = yaml.safe_load((folder / "new.yaml").read_text())
    (key,) = (path for path in (folder / "new").iterdir())
    return values, {path.name for path in key.iterdir()}


def of_kind(folder: Path, kind: str, architecture: str = "llama") -> bytes:
    """A GGUF file without weights that says what it is."""
    writer = gguf.GGUFWriter(folder / "part.gguf", architecture)
    writer.add_type(kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return (folder / "part.gguf").read_bytes()


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    make_tiny_llama(tmp_path / "w.gguf")
    return (tmp_path / "w.gguf").read_bytes()


def test_a_model_with_its_projector_and_adapters(
    creation: ModelCreation, tmp_path: Path, weights: bytes
) -> None:
    eyes, lora = of_kind(tmp_path, "mmproj", "clip"), of_kind(tmp_path, "adapter")
    files = sent(creation, {"eyes.gguf": eyes, "w.gguf": weights})
    adapters = sent(creation, {"style.gguf": lora})
    values, names = made(creation, tmp_path / "models", files=files, adapters=adapters)
    folder = values["parameters"]["model"].rpartition("/")[0]
    assert values["parameters"]["model"] == f"{folder}/w.gguf"
    assert values["mmproj"] == f"{folder}/eyes.gguf"
    assert values["lora_adapters"] == [f"{folder}/style.gguf"]
    assert names == {"eyes.gguf", "w.gguf", "style.gguf"}


def test_a_model_in_parts(creation: ModelCreation, tmp_path: Path, weights: bytes) -> None:
    parts = {f"w-0000{n}-of-00002.gguf": weights + bytes([n]) for n in (2, 1)}
    values, names = made(creation, tmp_path / "models", files=sent(creation, parts))
    assert values["parameters"]["model"].endswith("/w-00001-of-00002.gguf")
    assert names == set(parts)


def test_a_folder_of_the_hugging_face_kind(creation: ModelCreation, tmp_path: Path) -> None:
    files = {"config.json": b'{"model_type": "llama"}', "model.safetensors": b"\x08\0\0\0\0\0\0\0{}      ", "tokenizer.json": b"{}"}  # fmt: skip
    values, names = made(creation, tmp_path / "models", files=sent(creation, files))
    assert (tmp_path / "models" / values["parameters"]["model"] / "config.json").is_file()
    assert names == set(files)
    assert (tmp_path / "models" / ".local-ai" / "models" / "new.json").is_file()


def test_files_of_several_models_are_refused(
    creation: ModelCreation, tmp_path: Path, weights: bytes
) -> None:
    parts = {"a-00001-of-00002.gguf": weights, "b-00002-of-00002.gguf": weights + b"x"}
    for files in (parts, {"a/w.gguf": weights, "b/w.gguf": weights}, {"notes.txt": b"hello"}):
        digests = sent(creation, files)
        with pytest.raises(InvalidRequest):
            made(creation, tmp_path / "models", files=digests)
    assert not (tmp_path / "models" / "new.yaml").exists()

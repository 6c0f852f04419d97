"""What a model is, told from its own bytes."""

import json
import struct
from pathlib import Path

import pytest

from localai.catalog.file_kinds import kinds_of


def whisper(vocabulary: int) -> bytes:
    return struct.pack("<Ii", 0x67676D6C, vocabulary) + bytes(40)


@pytest.mark.parametrize(
    ("data", "kinds"),
    [
        (b"GGUF\3\0\0\0", ("gguf",)),
        (whisper(51_865), ("ggml-whisper",)),
        (whisper(50_257), ("ggml",)),
        (b"lmgg", ("ggml",)),
        (b"", ()),
        (b"hello, this is text", ()),
    ],
)
def test_files(tmp_path: Path, data: bytes, kinds: tuple[str, ...]) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    assert kinds_of(path) == kinds


def test_a_voice_has_its_description_beside_it(tmp_path: Path) -> None:
    voice = tmp_path / "voice.onnx"
    voice.write_bytes(b"\x08\x07")
    assert kinds_of(voice) == ("onnx",)
    (tmp_path / "voice.onnx.json").write_text("{}")
    assert kinds_of(voice) == ("piper-voice",)


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        ({"config.json": {"architectures": ["LlamaForCausalLM"]}}, ("causal-lm",)),
        ({"config.json": {"architectures": ["GPT2LMHeadModel"]}}, ("causal-lm",)),
        ({"config.json": {"architectures": ["BertForSequenceClassification"]}}, ("cross-encoder",)),
        (
            {"modules.json": [], "config.json": {"architectures": ["BertModel"]}},
            ("sentence-transformers",),
        ),
        ({"config.json": {"model_type": "bert"}}, ("transformers",)),
        ({"model.bin": {}, "config.json": {"alignment_heads": []}}, ("ct2-whisper",)),
        ({"openvino_model.xml": {}, "config.json": {}}, ("openvino",)),
        ({"model_index.json": {}}, ("diffusers",)),
        ({"config.json": [1]}, ()),
        ({"config.json": {"architectures": 7}}, ()),
        ({"readme.md": {}}, ()),
    ],
)
def test_folders(tmp_path: Path, files: dict[str, object], kinds: tuple[str, ...]) -> None:
    for name, value in files.items():
        (tmp_path / name).write_text(json.dumps(value))
    assert kinds_of(tmp_path) == kinds


def test_what_cannot_be_read_is_no_model(tmp_path: Path) -> None:
    assert kinds_of(tmp_path / "nothing") == ()
    (tmp_path / "config.json").write_bytes(b"\xff not json")
    assert kinds_of(tmp_path) == ()

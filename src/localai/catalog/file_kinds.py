"""What kind of model a file or folder holds, told from its own bytes and names.

The kinds are the words of `accepts: {format: [...]}` in the manifest of backends.
"""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

GGUF: Final = "gguf"

_GGML_MAGIC: Final = b"lmgg"  # 0x67676d6c, little-endian
_WHISPER_VOCABULARY: Final = range(51_864, 51_900)
_LARGEST_JSON_BYTES: Final = 32 << 20
_TASKS: Final = (
    # the end of an architecture's name in config.json -> kind
    ("ForCausalLM", "causal-lm"),
    ("LMHeadModel", "causal-lm"),
    ("ForSequenceClassification", "cross-encoder"),
    ("WhisperForConditionalGeneration", "transformers-whisper"),
    ("MusicgenForConditionalGeneration", "musicgen"),
    ("BarkModel", "bark"),
)


FOLDER_MARKS: Final = frozenset({"config.json", "modules.json"})  # a folder with one may be a model
WEIGHTS: Final = frozenset({".safetensors", ".bin", ".pt", ".pth"})  # in such a folder
LOOSE: Final = frozenset(
    {".onnx", ".bin"}
)  # files that may be models of engines other than llama.cpp


def kinds_of(path: Path) -> tuple[str, ...]:
    """The kinds that `path` can be used as, the most telling first; empty when it tells nothing."""
    with suppress(OSError):
        if path.is_dir():
            return tuple(_folder(path))
        return tuple(_file(path)) if path.is_file() else ()  # never a pipe, which has no end
    return ()


def has_weights(path: Path) -> bool:
    """Whether `path` is a file, or a folder with weights in it; only a description is no model."""
    with suppress(OSError):
        return path.is_file() or any(entry.suffix in WEIGHTS for entry in path.iterdir())
    return False


def _file(path: Path) -> list[str]:
    with path.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(b"GGUF"):
        return [GGUF]
    if head.startswith(_GGML_MAGIC):
        number = struct.unpack_from("<i", head, 4)[0] if len(head) >= 8 else 0  # noqa: PLR2004
        return ["ggml-whisper" if number in _WHISPER_VOCABULARY else "ggml"]
    if path.suffix == ".onnx":
        return ["piper-voice"] if path.with_name(f"{path.name}.json").is_file() else ["onnx"]
    return []


def _folder(path: Path) -> list[str]:
    names = {entry.name for entry in path.iterdir()}
    config = _json(path / "config.json") if "config.json" in names else {}
    found: list[str] = []
    if "model_index.json" in names:
        found.append("diffusers")
    if "openvino_model.xml" in names:
        found.append("openvino")
    if "model.bin" in names and ("alignment_heads" in config or "suppress_ids" in config):
        found.append("ct2-whisper")
    if "modules.json" in names:
        found.append("sentence-transformers")
    architectures = config.get("architectures")
    for architecture in architectures if isinstance(architectures, list) else ():
        found += [kind for end, kind in _TASKS if str(architecture).endswith(end)]
    if not found and config.get("model_type"):
        found.append("transformers")
    return list(dict.fromkeys(found))


def _json(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        if path.is_file() and path.stat().st_size <= _LARGEST_JSON_BYTES:
            value = json.loads(path.read_bytes())
            return value if isinstance(value, dict) else {}
    return {}

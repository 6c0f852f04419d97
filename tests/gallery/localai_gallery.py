"""A gallery in LocalAI's format, for tests: its folder, with addresses and checksums filled in."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

TEMPLATES = Path(__file__).parent / "localai"
FILES = {
    "TINY": "tiny.gguf",
    "PROJECTOR": "projector.gguf",
    "VECTORS": "vectors.gguf",
    "ORDER": "order.gguf",
    "WHISPER": "ggml-tiny.bin",
    "VOICE": "voice.onnx",
}


def write_gallery(folder: Path, address: str, files: Mapping[str, bytes] | None = None) -> Path:
    """Write the gallery and its `files` into `folder`; `address` is what leads there. Its index."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES.values():
        data = (files or {}).get(name, name.encode() * 50)
        (folder / name).write_bytes(data)
    (folder / "voice.onnx.json").write_text("{}")
    for template in TEMPLATES.glob("*.yaml"):
        text = template.read_text().replace("{FILES}", address)
        for word, name in FILES.items():
            text = text.replace(f"{{SHA_{word}}}", sha256((folder / name).read_bytes()).hexdigest())
        (folder / template.name).write_text(text)
    return folder / "index.yaml"

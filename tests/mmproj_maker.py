"""A tiny random vision projector for the tiny model, and small pictures."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import gguf
import numpy as np

SIZE, FEED_FORWARD, LAYERS, HEADS = 64, 128, 2, 4
IMAGE, PATCH = 112, 14


def make_mmproj(path: Path, *, text_size: int) -> Path:
    """Write a CLIP encoder with a gemma3 projector into a text model of width `text_size`."""
    random = np.random.default_rng(9)
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_file_type(0)
    writer.add_bool("clip.has_vision_encoder", val=True)
    writer.add_bool("clip.use_gelu", val=True)
    writer.add_string("clip.projector_type", "gemma3")
    for key, value in {
        "image_size": IMAGE,
        "patch_size": PATCH,
        "embedding_length": SIZE,
        "feed_forward_length": FEED_FORWARD,
        "block_count": LAYERS,
        "attention.head_count": HEADS,
        "projection_dim": text_size,
    }.items():
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    writer.add_array("clip.vision.image_mean", [0.5] * 3)
    writer.add_array("clip.vision.image_std", [0.5] * 3)

    def add(name: str, *shape: int) -> None:
        kind = name.rpartition(".")[2]
        values = np.zeros(shape) if kind == "bias" else random.standard_normal(shape) * 0.05
        writer.add_tensor(name, values.astype(np.float32))

    add("v.patch_embd.weight", SIZE, 3, PATCH, PATCH)
    add("v.patch_embd.bias", SIZE)
    add("v.position_embd.weight", (IMAGE // PATCH) ** 2, SIZE)
    for name in ("v.post_ln", "mm.soft_emb_norm"):
        add(f"{name}.weight", SIZE)
    add("v.post_ln.bias", SIZE)
    add("mm.input_projection.weight", SIZE, text_size)
    for layer in range(LAYERS):
        at = f"v.blk.{layer}."
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            add(f"{at}{part}.weight", SIZE, SIZE)
            add(f"{at}{part}.bias", SIZE)
        for part in ("ln1", "ln2"):
            add(f"{at}{part}.weight", SIZE)
            add(f"{at}{part}.bias", SIZE)
        # In this format `ffn_down` is the layer that widens; see clip.cpp.
        add(f"{at}ffn_down.weight", SIZE, FEED_FORWARD)
        add(f"{at}ffn_down.bias", SIZE)
        add(f"{at}ffn_up.weight", FEED_FORWARD, SIZE)
        add(f"{at}ffn_up.bias", FEED_FORWARD)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def png(width: int = 30, height: int = 20, color: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    """A picture of one color."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(color) * width) * height
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body

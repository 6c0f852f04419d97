"""Tiny random projectors that give the tiny model eyes or ears, and small pictures and sounds."""

from __future__ import annotations

import io
import math
import struct
import wave
import zlib
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np

SIZE, FEED_FORWARD, LAYERS, HEADS = 64, 128, 2, 4
IMAGE, PATCH = 112, 14
MELS, PLACES = 80, 1500  # of Whisper's encoder: bands, and places for half a minute of sound
STACKED = 100  # places that become one token
RATE_HZ = 16000

Add = Callable[..., None]


def make_mmproj(path: Path, *, text_size: int) -> Path:
    """Write a CLIP encoder with a gemma3 projector into a text model of width `text_size`."""
    writer, add = _begin(path, "vision", "gemma3", text_size)
    writer.add_bool("clip.use_gelu", val=True)
    writer.add_uint32("clip.vision.image_size", IMAGE)
    writer.add_uint32("clip.vision.patch_size", PATCH)
    writer.add_array("clip.vision.image_mean", [0.5] * 3)
    writer.add_array("clip.vision.image_std", [0.5] * 3)
    add("v.patch_embd.weight", SIZE, 3, PATCH, PATCH)
    add("v.patch_embd.bias", SIZE)
    add("v.position_embd.weight", (IMAGE // PATCH) ** 2, SIZE)
    for name in ("v.post_ln", "mm.soft_emb_norm"):
        add(f"{name}.weight", SIZE)
    add("v.post_ln.bias", SIZE)
    add("mm.input_projection.weight", SIZE, text_size)
    _add_layers(add, "v", biased="qkvo")
    return _end(writer, path)


def make_audio_mmproj(path: Path, *, text_size: int) -> Path:
    """Write Whisper's encoder with Ultravox's projector: half a minute becomes 15 tokens."""
    writer, add = _begin(path, "audio", "ultravox", text_size)
    writer.add_uint32("clip.audio.num_mel_bins", MELS)
    writer.add_uint32("clip.audio.projector.stack_factor", STACKED)
    add("a.conv1d.1.weight", SIZE, MELS, 3)
    add("a.conv1d.2.weight", SIZE, SIZE, 3)
    for number in (1, 2):
        add(f"a.conv1d.{number}.bias", SIZE, 1)
    add("a.position_embd.weight", PLACES, SIZE)
    add("a.post_ln.weight", SIZE)
    add("a.post_ln.bias", SIZE)
    add("mm.a.norm_pre.weight", SIZE * STACKED)
    add("mm.a.mlp.1.weight", SIZE, SIZE * STACKED)
    add("mm.a.norm_mid.weight", SIZE // 2)
    add("mm.a.mlp.2.weight", text_size, SIZE // 2)
    _add_layers(add, "a", biased="qvo")
    return _end(writer, path)


def _begin(path: Path, sense: str, projector: str, text_size: int) -> tuple[gguf.GGUFWriter, Add]:
    random = np.random.default_rng(9)
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_file_type(0)
    writer.add_bool(f"clip.has_{sense}_encoder", val=True)
    writer.add_string("clip.projector_type", projector)
    for key, value in {
        "embedding_length": SIZE,
        "feed_forward_length": FEED_FORWARD,
        "block_count": LAYERS,
        "attention.head_count": HEADS,
        "projection_dim": text_size,
    }.items():
        writer.add_uint32(f"clip.{sense}.{key}", value)
    writer.add_float32(f"clip.{sense}.attention.layer_norm_epsilon", 1e-6)

    def add(name: str, *shape: int) -> None:
        kind = name.rpartition(".")[2]
        values = np.zeros(shape) if kind == "bias" else random.standard_normal(shape) * 0.05
        writer.add_tensor(name, values.astype(np.float32))

    return writer, add


def _add_layers(add: Add, prefix: str, *, biased: str) -> None:
    for layer in range(LAYERS):
        at = f"{prefix}.blk.{layer}."
        for part in ("q", "k", "v", "out"):
            add(f"{at}attn_{part}.weight", SIZE, SIZE)
            if part[0] in biased:
                add(f"{at}attn_{part}.bias", SIZE)
        for part in ("ln1", "ln2"):
            add(f"{at}{part}.weight", SIZE)
            add(f"{at}{part}.bias", SIZE)
        add(f"{at}ffn_up.weight", FEED_FORWARD, SIZE)
        add(f"{at}ffn_up.bias", FEED_FORWARD)
        add(f"{at}ffn_down.weight", SIZE, FEED_FORWARD)
        add(f"{at}ffn_down.bias", SIZE)


def _end(writer: gguf.GGUFWriter, path: Path) -> Path:
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


def wav(seconds: float = 1.0, pitch_hz: float = 440.0, rate_hz: int = RATE_HZ) -> bytes:
    """A tone: mono, 16 bits."""
    count = int(seconds * rate_hz)
    tone = (8000 * math.sin(2 * math.pi * pitch_hz * n / rate_hz) for n in range(count))
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(b"".join(struct.pack("<h", int(value)) for value in tone))
    return written.getvalue()


def mp3(frames: int = 40) -> bytes:
    """Silence: MPEG 1 layer III, 128 kbit/s, 44.1 kHz; a frame is 26 ms."""
    return (b"\xff\xfb\x90\x00" + bytes(413)) * frames


def flac(rate_hz: int, samples: int) -> bytes:
    """The head of a FLAC file that claims so many samples, and none of them."""
    info = (rate_hz << 44) | (15 << 36) | samples
    sizes = struct.pack(">HH", 4096, 4096) + bytes(6)
    return b"fLaC\x80\x00\x00\x22" + sizes + info.to_bytes(8, "big") + bytes(16)

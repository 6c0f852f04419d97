"""Small model folders of the Hugging Face kind, written with numpy alone: no torch is needed here."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tests.gguf_maker import CHATML, HERMES, NEWLINE, SPECIAL, TURN_END, byte_tokens

_FIRST = 256 + len(SPECIAL)  # the first token that is no byte


def make_scripted_hf(
    folder: Path,
    pieces: Sequence[str],
    *,
    template: str | None = HERMES,
    context_length: int = 2048,
) -> Path:
    """A llama that answers `pieces`, one token each, whenever its prompt ends in a newline.

    The same model as `gguf_maker.make_scripted` writes.
    """
    spell = byte_tokens()
    words = ["".join(spell[byte] for byte in piece.encode()) for piece in pieces]
    size = _FIRST + len(words)
    size += -size % 2
    config = _llama(size, width=size, heads=1, layers=1, inner=2, context_length=context_length)
    chain = [NEWLINE, *range(_FIRST, _FIRST + len(words)), TURN_END]
    following = np.zeros((size, size), np.float32)  # row: next token; column: last token
    following[TURN_END, :] = 2.0
    for last, then in pairwise(chain):
        following[TURN_END, last] = 0.0
        following[then, last] = 2.0
    tensors = {name: np.zeros(dims, np.float32) for name, dims in _layer(config, 0).items()}
    for norm in ("input_layernorm", "post_attention_layernorm"):
        tensors[f"model.layers.0.{norm}.weight"] = np.ones(size, np.float32)
    tensors["model.embed_tokens.weight"] = np.eye(size, dtype=np.float32)
    tensors["model.norm.weight"] = np.ones(size, np.float32)
    tensors["lm_head.weight"] = following
    return _write(folder, config, tensors, words, template)


def make_tiny_hf(
    folder: Path,
    *,
    template: str | None = CHATML,
    context_length: int = 2048,
    seed: int = 0,
    size: int = _FIRST + 1,
) -> Path:
    """A llama with random weights: it answers noise, the same noise for the same seed.

    With a smaller `size` it has no weights for the last tokens of its own tokenizer.
    """
    random = np.random.default_rng(seed)
    config = _llama(size, width=64, heads=4, layers=2, inner=128, context_length=context_length)
    config["pad_token_id"] = min(256, size - 1)
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (size, 64),
        "model.norm.weight": (64,),
        "lm_head.weight": (size, 64),
    }
    for layer in range(2):
        shapes |= _layer(config, layer)
    tensors = {
        name: np.ones(dims, np.float32)
        if name.endswith("norm.weight")
        else (random.standard_normal(dims) * 0.08).astype(np.float32)
        for name, dims in shapes.items()
    }
    return _write(folder, config, tensors, [], template)


def _llama(
    size: int, *, width: int, heads: int, layers: int, inner: int, context_length: int
) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": size,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": context_length,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "bos_token_id": 256,
        "eos_token_id": TURN_END,
        "pad_token_id": 256,
        "dtype": "float32",
    }


def _layer(config: Mapping[str, Any], layer: int) -> dict[str, tuple[int, ...]]:
    width, inner = config["hidden_size"], config["intermediate_size"]
    square = (width, width)
    shapes: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj": square,
        "self_attn.k_proj": square,
        "self_attn.v_proj": square,
        "self_attn.o_proj": square,
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner),
        "input_layernorm": (width,),
        "post_attention_layernorm": (width,),
    }
    return {f"model.layers.{layer}.{part}.weight": dims for part, dims in shapes.items()}


def _write(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    words: Sequence[str],
    template: str | None,
) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[0],
        "eos_token": SPECIAL[2],
        "pad_token": SPECIAL[0],
        "clean_up_tokenization_spaces": False,
    }
    if template is not None:
        described["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(words), ensure_ascii=False))
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def _tokenizer(words: Sequence[str]) -> dict[str, Any]:
    """Byte-level BPE without merges: text becomes its bytes; words are only ever said."""
    listed = [*byte_tokens(), *SPECIAL, *words]
    special = [
        {"id": 256 + index, "content": text, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False, "special": True}
        for index, text in enumerate(SPECIAL)
    ]  # fmt: skip
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    return {
        "version": "1.0",
        "added_tokens": special,
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "vocab": {text: index for index, text in enumerate(listed)},
            "merges": [],
        },
    }


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """The format of https://huggingface.co/docs/safetensors: a length, a JSON header, the values."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, values in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": values.shape,
            "data_offsets": [at, at + values.nbytes],
        }
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            stream.write(values.astype("<f4").tobytes())

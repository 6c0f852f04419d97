"""Tiny random BERT models: one that embeds, and one that ranks."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

SIZE, LAYERS, HEADS, FEED_FORWARD = 64, 2, 4, 128
_MARK = "\N{LOWER ONE EIGHTH BLOCK}"  # before a word's first piece in llama.cpp's WordPiece
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_WORDS = ["the", "cat", "dog", "sat", "on", "mat", "paris", "france", "capital", "is", "of"]


def make_bert(path: Path, *, ranks: bool = False, context_length: int = 256) -> Path:
    """Write a model that embeds with mean pooling or, with `ranks`, scores pairs."""
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name("tiny-bert")
    writer.add_context_length(context_length)
    writer.add_embedding_length(SIZE)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(value=False)
    writer.add_pooling_type(gguf.PoolingType.RANK if ranks else gguf.PoolingType.MEAN)
    writer.add_file_type(0)
    words = _add_vocabulary(writer)
    for name, tensor in _tensors(words, context_length, ranks=ranks).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: gguf.GGUFWriter) -> int:
    characters = [chr(code) for code in range(33, 127)]
    marked = [_MARK + piece for piece in (*characters, *_WORDS)]
    tokens = list(dict.fromkeys([*_SPECIAL, *marked, *characters]))
    kinds = [gguf.TokenType.CONTROL] * len(_SPECIAL)
    kinds += [gguf.TokenType.NORMAL] * (len(tokens) - len(kinds))
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_type_count(2)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(3)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    return len(tokens)


def _tensors(words: int, context: int, *, ranks: bool) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)

    def weights(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.1).astype(np.float32)

    ones, zeros = np.ones(SIZE, np.float32), np.zeros(SIZE, np.float32)
    tensors = {
        "token_embd.weight": weights(words, SIZE),
        "position_embd.weight": weights(context, SIZE),
        "token_types.weight": weights(2, SIZE),
        "token_embd_norm.weight": ones,
        "token_embd_norm.bias": zeros,
    }
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensors[f"{at}{part}.weight"] = weights(SIZE, SIZE)
            tensors[f"{at}{part}.bias"] = zeros
        for part in ("attn_output_norm", "layer_output_norm"):
            tensors[f"{at}{part}.weight"] = ones
            tensors[f"{at}{part}.bias"] = zeros
        tensors[f"{at}ffn_up.weight"] = weights(FEED_FORWARD, SIZE)
        tensors[f"{at}ffn_up.bias"] = np.zeros(FEED_FORWARD, np.float32)
        tensors[f"{at}ffn_down.weight"] = weights(SIZE, FEED_FORWARD)
        tensors[f"{at}ffn_down.bias"] = zeros
    if ranks:
        tensors["cls.weight"] = weights(SIZE, SIZE)
        tensors["cls.bias"] = zeros
        tensors["cls.output.weight"] = weights(1, SIZE)
        tensors["cls.output.bias"] = np.zeros(1, np.float32)
    return tensors

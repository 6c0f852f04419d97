"""Tiny random BERT models: one that embeds, and one that ranks; for llama.cpp and as folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.hf_maker import write_safetensors

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


def make_bert_folder(
    folder: Path, *, ranks: bool = False, labels: int = 1, context_length: int = 256
) -> Path:
    """Write such a model as a folder of the Hugging Face kind: a sentence transformer or a cross-encoder.

    The sentence transformer has the prompts `query` and `document`.
    """
    folder.mkdir(parents=True)
    vocabulary = _pieces()
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(vocabulary)))
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context_length,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    config = {
        "architectures": ["BertForSequenceClassification" if ranks else "BertModel"],
        "model_type": "bert",
        "vocab_size": len(vocabulary),
        "hidden_size": SIZE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": FEED_FORWARD,
        "max_position_embeddings": context_length,
        "id2label": {str(label): f"LABEL_{label}" for label in range(labels)},
    }
    (folder / "config.json").write_text(json.dumps(config))
    tensors = _folder_tensors(len(vocabulary), context_length, labels=labels if ranks else 0)
    write_safetensors(folder / "model.safetensors", tensors)
    if not ranks:
        _describe_sentence_transformer(folder, context_length)
    return folder


def _describe_sentence_transformer(folder: Path, context_length: int) -> None:
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(kinds.items())
    ]  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": SIZE, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": context_length, "do_lower_case": False})
    )
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "the dog is ", "document": ""}})
    )


def _pieces() -> dict[str, int]:
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    inside = [f"##{character}" for character in characters if character.isalnum()]
    return {text: index for index, text in enumerate([*_SPECIAL, *_WORDS, *characters, *inside])}


def _tokenizer(vocabulary: dict[str, int]) -> dict[str, Any]:
    special = [
        {"id": index, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for index, text in enumerate(_SPECIAL)
    ]  # fmt: skip
    begin, end = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, "[SEP]"
    one = [
        begin,
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": end, "type_id": 0}},
    ]
    two = [
        *one,
        {"Sequence": {"id": "B", "type_id": 1}},
        {"SpecialToken": {"id": end, "type_id": 1}},
    ]
    ids = {
        text: {"id": text, "ids": [vocabulary[text]], "tokens": [text]} for text in ("[CLS]", end)
    }
    return {
        "version": "1.0",
        "added_tokens": special,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing", "single": one, "pair": two, "special_tokens": ids
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }  # fmt: skip


def _folder_tensors(words: int, context: int, *, labels: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (words, SIZE),
        "embeddings.position_embeddings.weight": (context, SIZE),
        "embeddings.token_type_embeddings.weight": (2, SIZE),
        "embeddings.LayerNorm.weight": (SIZE,),
        "embeddings.LayerNorm.bias": (SIZE,),
        "pooler.dense.weight": (SIZE, SIZE),
        "pooler.dense.bias": (SIZE,),
    }
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        for part, rows, columns in (
            ("attention.self.query", SIZE, SIZE),
            ("attention.self.key", SIZE, SIZE),
            ("attention.self.value", SIZE, SIZE),
            ("attention.output.dense", SIZE, SIZE),
            ("intermediate.dense", FEED_FORWARD, SIZE),
            ("output.dense", SIZE, FEED_FORWARD),
        ):
            shapes |= {f"{at}{part}.weight": (rows, columns), f"{at}{part}.bias": (rows,)}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{at}{part}.weight": (SIZE,), f"{at}{part}.bias": (SIZE,)}
    if labels:
        shapes = {f"bert.{name}": shape for name, shape in shapes.items()}
        shapes |= {"classifier.weight": (labels, SIZE), "classifier.bias": (labels,)}
    made: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        if name.endswith("LayerNorm.weight"):
            made[name] = np.ones(shape, np.float32)
        elif name.endswith("bias"):
            made[name] = np.zeros(shape, np.float32)
        else:
            made[name] = (random.standard_normal(shape) * 0.2).astype(np.float32)
    return made

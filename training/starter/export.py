"""Write a checkpoint as a GGUF file.

usage: export.py WORK_DIR OUT.gguf [q8_0|f16]
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np
import tokenizer as tok
import torch
from gguf.quants import quantize
from model import Shape

CONTEXT = 2048
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
DESCRIPTION = (
    "A small demonstration model that comes with the local-ai server, trained from scratch on "
    "generated text. It can repeat text, do small sums, rewrite short sentences, tell simple "
    "stories and call tools. Install a real model for real work."
)


def write_metadata(w: gguf.GGUFWriter, shape: Shape, kind: str) -> None:
    """Say what the file is and how the network is built."""
    w.add_name("local-ai starter")
    w.add_description(DESCRIPTION)
    w.add_license("MIT")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(shape.width)
    w.add_block_count(shape.layers)
    w.add_feed_forward_length(shape.hidden)
    w.add_head_count(shape.heads)
    w.add_head_count_kv(shape.heads)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(shape.head)
    w.add_rope_freq_base(10000.0)
    w.add_vocab_size(shape.vocabulary)
    types = gguf.LlamaFileType
    w.add_file_type(types.MOSTLY_F16 if kind == "f16" else types.MOSTLY_Q8_0)


def write_tokenizer(w: gguf.GGUFWriter, folder: Path) -> None:
    """Tokens, merges, special tokens and the chat template."""
    _, tokens, merges = tok.load(folder)
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    for s in tok.SPECIAL:
        control = "|" in s  # the tool marks are text that the reader of a reply has to see
        kinds[tokens.index(s)] = gguf.TokenType.CONTROL if control else gguf.TokenType.USER_DEFINED
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(tok.PRE_TOKENIZER)
    w.add_token_list(tokens)
    w.add_token_types(kinds)
    w.add_token_merges([f"{a} {b}" for a, b in merges])
    w.add_bos_token_id(tokens.index("<|endoftext|>"))
    w.add_pad_token_id(tokens.index("<|endoftext|>"))
    w.add_eos_token_id(tokens.index("<|im_end|>"))
    w.add_eot_token_id(tokens.index("<|im_end|>"))
    w.add_add_bos_token(False)
    w.add_chat_template(TEMPLATE.read_text())


def write_matrix(w: gguf.GGUFWriter, name: str, values: np.ndarray, kind: str) -> None:
    """One weight matrix in the chosen number format."""
    values = np.ascontiguousarray(values)
    if kind == "f16":
        w.add_tensor(name, values.astype(np.float16))
    else:
        q8 = gguf.GGMLQuantizationType.Q8_0
        w.add_tensor(name, quantize(values, q8), raw_dtype=q8)


def write_weights(
    w: gguf.GGUFWriter, weights: dict[str, np.ndarray], shape: Shape, kind: str
) -> None:
    """All tensors under llama's names; without ``output.weight`` the embeddings are used."""
    write_matrix(w, "token_embd.weight", weights["embedding"], kind)
    w.add_tensor("output_norm.weight", weights["norm"])
    for i in range(shape.layers):
        ours, theirs = f"blocks.{i}.", f"blk.{i}."
        w.add_tensor(theirs + "attn_norm.weight", weights[ours + "norm1"])
        w.add_tensor(theirs + "ffn_norm.weight", weights[ours + "norm2"])
        for name, source, row in [
            ("attn_q", "qkv", 0),
            ("attn_k", "qkv", 1),
            ("attn_v", "qkv", 2),
            ("attn_output", "out", 0),
            ("ffn_gate", "gate_up", 0),
            ("ffn_up", "gate_up", 1),
            ("ffn_down", "down", 0),
        ]:
            write_matrix(w, f"{theirs}{name}.weight", weights[ours + source][row], kind)


def export(folder: Path, out: Path, kind: str = "q8_0") -> None:
    """Checkpoint -> GGUF; the file appears under its name only when it is complete."""
    state = torch.load(folder / "checkpoint.pt")
    shape = Shape(**state["shape"])
    weights = {k: v.float().numpy() for k, v in state["model"].items()}
    fresh = out.with_suffix(".tmp")
    w = gguf.GGUFWriter(str(fresh), "llama")
    write_metadata(w, shape, kind)
    write_tokenizer(w, folder)
    write_weights(w, weights, shape, kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    fresh.replace(out)
    print(f"{out.name}: {out.stat().st_size} bytes, step {state['step']}")


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4])

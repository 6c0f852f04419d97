"""The models that are measured: random weights, made here and kept in the cache folder.

Their vocabulary is bytes and English-looking words, and they only ever say words: one dimension of
the residual stream is constant, and the output rows of all other tokens point against it. So every
token is visible text, and every answer has exactly the length that was asked for.
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

TEMPLATE = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
FIRST_WORD = 256 + len(SPECIAL)
VERSION = 1  # part of the file name: change it when the weights change


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of a llama."""

    name: str
    layers: int
    width: int
    heads: int
    inner: int
    words: int
    context: int

    @property
    def vocabulary(self) -> int:
        return FIRST_WORD + self.words


# So small that the engine's work is its sampling and its HTTP: shows what is added to a token.
TINY = Shape(name="tiny", layers=1, width=64, heads=1, inner=64, words=253, context=2048)
# About 110 million parameters: the smallest that people really run.
SMALL = Shape(name="110m", layers=12, width=768, heads=12, inner=2048, words=16125, context=2048)


def model(shape: Shape) -> Path:
    """The file of this shape, written now if it is not there yet."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "localai-benchmarks"
    path = folder / f"{shape.name}-{VERSION}.gguf"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        unfinished = path.with_suffix(f".{os.getpid()}")
        _write(unfinished, shape)
        unfinished.rename(path)
        print(f"made {path} in {time.monotonic() - began:.0f} s")
    return path


def _write(path: Path, shape: Shape) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"random {shape.name}")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    _add_vocabulary(writer, shape)
    random = np.random.default_rng(0)
    for name, values in _tensors(shape, random):
        if values.ndim == 1:
            writer.add_tensor(name, values)
            continue
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(shape: Shape, random: np.random.Generator):
    width, inner, size = shape.width, shape.inner, shape.vocabulary

    def noise(rows: int, columns: int) -> np.ndarray:
        return random.standard_normal((rows, columns), dtype=np.float32) / np.float32(
            np.sqrt(columns)
        )

    def silent_in_first(rows: int, columns: int) -> np.ndarray:
        values = noise(rows, columns)
        values[0] = 0  # nothing is ever added to the constant dimension
        return values

    embedding, output = noise(size, width), noise(size, width)
    embedding[:, 0] = 4.0
    output[:, 0] = 0.0
    output[:FIRST_WORD] = 0.0
    output[:FIRST_WORD, 0] = -100.0
    yield "token_embd.weight", embedding
    yield "output.weight", output
    yield "output_norm.weight", np.ones(width, np.float32)
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", np.ones(width, np.float32)
        yield block + "ffn_norm.weight", np.ones(width, np.float32)
        for part in ("q", "k", "v"):
            yield f"{block}attn_{part}.weight", noise(width, width)
        yield block + "attn_output.weight", silent_in_first(width, width)
        yield block + "ffn_gate.weight", noise(inner, width)
        yield block + "ffn_up.weight", noise(inner, width)
        yield block + "ffn_down.weight", silent_in_first(width, inner)


def _add_vocabulary(writer: gguf.GGUFWriter, shape: Shape) -> None:
    tokens = [*_byte_tokens(), *SPECIAL, *itertools.islice(_words(), shape.words)]
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    kinds[256:FIRST_WORD] = [gguf.TokenType.CONTROL] * len(SPECIAL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["t h"])  # never applied: "th" is no token; but the key must be there
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(258)
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(TEMPLATE)


def _words():
    """Words with a space before them, in GPT-2's spelling of bytes."""
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    for count in itertools.count(2):
        for parts in itertools.product(syllables, repeat=count):
            yield "Ġ" + "".join(parts)


def _byte_tokens() -> list[str]:
    """GPT-2's printable spelling of each byte, in byte order."""
    plain = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)}
    plain |= set(range(ord("®"), ord("ÿ") + 1))
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]

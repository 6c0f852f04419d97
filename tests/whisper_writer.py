"""Write Whisper models as whisper.cpp and CTranslate2 read them, from arrays and a list of words.

The numbers of the special tokens are those of the multilingual models, whose loaders are strict
about them. Text tokens are single bytes, then words with a space before them, then fillers.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

VOCABULARY = 51_865
END_OF_TEXT, START = 50_257, 50_258
FIRST_LANGUAGE, LANGUAGES = 50_259, 99
TRANSLATE, TRANSCRIBE = 50_358, 50_359
FIRST_TIME = 50_364
FIRST_WORD = 256
MELS, FRAMES, LONGEST = 80, 1500, 448


def token_bytes(words: Sequence[str]) -> list[bytes]:
    """The text tokens by number."""
    known = [f" {word}".encode() for word in words]
    rest = [f" w{number}".encode() for number in range(END_OF_TEXT - FIRST_WORD - len(words))]
    return [bytes([byte]) for byte in range(FIRST_WORD)] + known + rest


def mel_filters() -> Array:
    """The 80 filters of Slaney's mel scale on 201 frequencies, as Whisper has them."""

    def hertz(mel: Array) -> Array:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    top = 15 + 27 * np.log(8000 / 1000) / np.log(6.4)
    edges = hertz(np.linspace(0, top, MELS + 2))
    bins = np.linspace(0, 8000, 201)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters.astype(np.float32)


def write_ggml(path: Path, weights: Mapping[str, Array], words: Sequence[str], heads: int) -> None:
    """Write a file for whisper.cpp; the weights have the names of Whisper's first release."""
    width = weights["encoder.ln_post.weight"].size
    encoder, decoder = (_layers(weights, side) for side in ("encoder", "decoder"))
    shape = (VOCABULARY, FRAMES, width, heads, encoder, LONGEST, width, heads, decoder, MELS)
    with path.open("wb") as file:
        file.write(struct.pack("<i", 0x67676D6C))
        file.write(struct.pack("<11i", *shape, 1))  # 1: 16-bit weights
        filters = mel_filters()
        file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        tokens = token_bytes(words)
        file.write(struct.pack("<i", len(tokens)))
        for token in tokens:
            file.write(struct.pack("<i", len(token)) + token)
        for name, values in weights.items():
            shaped = values.reshape(-1, 1) if ".conv" in name and values.ndim == 1 else values
            is_half = shaped.ndim > 1 and not name.endswith(("positional_embedding", ".bias"))
            data = shaped.astype(np.float16) if is_half else shaped
            file.write(struct.pack("<3i", data.ndim, len(name), int(is_half)))
            file.write(struct.pack(f"<{data.ndim}i", *data.shape[::-1]))
            file.write(name.encode() + data.tobytes())


def write_ct2(
    folder: Path,
    weights: Mapping[str, Array],
    words: Sequence[str],
    heads: int,
    looking: Sequence[tuple[int, int]] = ((0, 0),),
) -> None:
    """Write a folder for CTranslate2, which must be importable.

    `looking` are the layers and heads of the decoder that look where a word is said.
    """
    from ctranslate2.specs import WhisperSpec

    encoder, decoder = (_layers(weights, side) for side in ("encoder", "decoder"))
    spec = WhisperSpec(encoder, heads, decoder, heads)
    for side, layers in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        layers.position_encodings.encodings = weights[f"{side}.positional_embedding"]
        last = "encoder.ln_post" if side == "encoder" else "decoder.ln"
        _set(layers.layer_norm, weights, last, "gamma beta")
        for number, layer in enumerate(layers.layer):
            block = f"{side}.blocks.{number}"
            _set_attention(layer.self_attention, weights, f"{block}.attn", is_self=True)
            if side == "decoder":
                _set_attention(layer.attention, weights, f"{block}.cross_attn", is_self=False)
            _set(layer.ffn.layer_norm, weights, f"{block}.mlp_ln", "gamma beta")
            _set(layer.ffn.linear_0, weights, f"{block}.mlp.0")
            _set(layer.ffn.linear_1, weights, f"{block}.mlp.2")
    _set(spec.encoder.conv1, weights, "encoder.conv1")
    _set(spec.encoder.conv2, weights, "encoder.conv2")
    spec.decoder.embeddings.weight = weights["decoder.token_embedding.weight"]
    spec.decoder.projection.weight = weights["decoder.token_embedding.weight"]
    vocabulary = _vocabulary(words)
    vocabulary[END_OF_TEXT - 1] = ""  # as in every multilingual model; CTranslate2 knows them by it
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = list(looking)
    spec.config.lang_ids = list(range(FIRST_LANGUAGE, FIRST_LANGUAGE + LANGUAGES))
    spec.validate()
    spec.optimize(quantization="int8")
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(words)))


def _layers(weights: Mapping[str, Array], side: str) -> int:
    return len({name.split(".")[2] for name in weights if name.startswith(f"{side}.blocks.")})


def _set(spec: Any, weights: Mapping[str, Array], name: str, fields: str = "weight bias") -> None:
    weight, bias = fields.split()
    setattr(spec, weight, weights[f"{name}.weight"])
    if f"{name}.bias" in weights:
        setattr(spec, bias, weights[f"{name}.bias"])


def _set_attention(spec: Any, weights: Mapping[str, Array], name: str, *, is_self: bool) -> None:
    """CTranslate2 joins the matrices of query, key and value; a key has no bias."""
    _set(spec.layer_norm, weights, f"{name}_ln", "gamma beta")
    parts = [["query", "key", "value"]] if is_self else [["query"], ["key", "value"]]
    nothing = np.zeros_like(weights[f"{name}.query.bias"])
    for linear, names in zip(spec.linear, parts, strict=False):
        linear.weight = np.concatenate([weights[f"{name}.{part}.weight"] for part in names])
        linear.bias = np.concatenate(
            [weights.get(f"{name}.{part}.bias", nothing) for part in names]
        )
    _set(spec.linear[-1], weights, f"{name}.out")


def _vocabulary(words: Sequence[str]) -> list[str]:
    printable = _printable_bytes()
    text = ["".join(printable[byte] for byte in token) for token in token_bytes(words)]
    return [*text, *_special(), *_times()]


def _special() -> list[str]:
    codes = list(_languages())
    return [
        "<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in codes),
        "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>",
        "<|notimestamps|>",
    ]  # fmt: skip


def _times() -> list[str]:
    return [f"<|{number * 0.02:.2f}|>" for number in range(VOCABULARY - FIRST_TIME)]


def _languages() -> list[str]:
    from localai.domain.languages import LANGUAGES as NAMES

    return list(NAMES)[:LANGUAGES]


def _printable_bytes() -> dict[int, str]:
    """The letters that stand for bytes in vocabularies of this kind (GPT-2's)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {b: chr(256 + n) for n, b in enumerate(others)}


def _tokenizer(words: Sequence[str]) -> dict[str, Any]:
    text = _vocabulary(words)[:END_OF_TEXT]
    added = [*_special(), *_times()]
    return {
        "version": "1.0",
        "added_tokens": [
            {
                "id": END_OF_TEXT + number, "content": token, "single_word": False,
                "lstrip": False, "rstrip": False, "normalized": False,
                "special": number < len(_special()),
            }
            for number, token in enumerate(added)
        ],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": {token: number for number, token in enumerate(text)}, "merges": []},
    }  # fmt: skip

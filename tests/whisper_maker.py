"""Tiny speech models in Whisper's shape that always write the same, for whisper.cpp and CTranslate2.

    python -m tests.whisper_maker FOLDER     (in the environment of faster-whisper)

The layers add nothing, so what comes next depends on the position alone: the position's embedding
points at the token that is to be said there. Words are made up; the numbers of the special tokens
and the shapes are those of the multilingual models, whose loaders are strict about them.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator, Sequence
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
WIDTH, MELS, FRAMES, LONGEST = 64, 80, 1500, 448
GERMAN = FIRST_LANGUAGE + 2
_PROMPT = 3  # start, language, task
_STRENGTH = 8.0  # of a position over a token
_SCALE = 5.0  # of the last layer: how sure the model is
_SURE = 3.0  # of a look at one place
LOOKS = 12  # positions that look somewhere
FRAMES_A_TOKEN = 30  # 0.6 s

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "été", "東京")
SAID = (0.0, " one", " two", 1.2, 1.2, " three", " été", 2.5)
"""What the model says: text, and times in seconds."""
TEXT = "one two three été"


def token_bytes() -> list[bytes]:
    """The text tokens by number: single bytes, then words with a space before them."""
    words = [f" {word}".encode() for word in WORDS]
    rest = [f" w{number}".encode() for number in range(END_OF_TEXT - 256 - len(words))]
    return [bytes([byte]) for byte in range(256)] + words + rest


def script(said: Sequence[str | float]) -> Iterator[int]:
    """The token ids of what is to be said; a text that is no word comes byte by byte."""
    words = {f" {word}": 256 + number for number, word in enumerate(WORDS)}
    for item in said:
        if isinstance(item, float):
            yield FIRST_TIME + round(item / 0.02)
        elif item in words:
            yield words[item]
        else:
            yield from item.encode()
    yield END_OF_TEXT


def tensors(said: Sequence[str | float] = SAID, language: int = GERMAN) -> dict[str, Array]:
    """The weights, under the names of Whisper's first release."""
    random = np.random.default_rng(1)
    tokens = random.normal(size=(VOCABULARY, WIDTH)).astype(np.float32)
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    positions = np.zeros((LONGEST, WIDTH), np.float32)
    positions[0] = _STRENGTH * tokens[language]
    positions[1:] = _STRENGTH * tokens[END_OF_TEXT]
    for place, token in enumerate(script(said), _PROMPT - 1):
        positions[place] = _STRENGTH * tokens[token]
    found = {
        "encoder.positional_embedding": _waves(),
        "encoder.conv1.weight": np.zeros((WIDTH, MELS, 3), np.float32),
        "encoder.conv1.bias": np.zeros(WIDTH, np.float32),
        "encoder.conv2.weight": np.zeros((WIDTH, WIDTH, 3), np.float32),
        "encoder.conv2.bias": np.zeros(WIDTH, np.float32),
        **_norm("encoder.ln_post"),
        "decoder.token_embedding.weight": tokens,
        "decoder.positional_embedding": positions,
        **_norm("decoder.ln", _SCALE),
    }
    for side in ("encoder", "decoder"):
        block = f"{side}.blocks.0"
        for attention in ("attn",) if side == "encoder" else ("attn", "cross_attn"):
            found |= _norm(f"{block}.{attention}_ln")
            for part in ("query", "key", "value", "out"):
                found[f"{block}.{attention}.{part}.weight"] = np.zeros((WIDTH, WIDTH), np.float32)
                if part != "key":
                    found[f"{block}.{attention}.{part}.bias"] = np.zeros(WIDTH, np.float32)
        if side == "decoder":
            found |= _looking(positions[: _PROMPT + LOOKS])
        found |= _norm(f"{block}.mlp_ln")
        for part, shape in (("0", (4 * WIDTH, WIDTH)), ("2", (WIDTH, 4 * WIDTH))):
            found[f"{block}.mlp.{part}.weight"] = np.zeros(shape, np.float32)
            found[f"{block}.mlp.{part}.bias"] = np.zeros(shape[0], np.float32)
    return found


def _waves() -> Array:
    """A place in the sound as 64 slow waves, so that near places are alike."""
    random = np.random.default_rng(2)
    speeds = random.uniform(0.005, 0.2, WIDTH)
    phases = random.uniform(0, 2 * np.pi, WIDTH)
    return np.cos(np.arange(FRAMES)[:, None] * speeds + phases).astype(np.float32)


def _normal(values: Array) -> Array:
    centered = values - values.mean(axis=-1, keepdims=True)
    return centered / centered.std(axis=-1, keepdims=True)


def _looking(positions: Array) -> dict[str, Array]:
    """Each position looks at a later place in the sound, for the times of words.

    What it sees there counts for nothing: values are zero, so what is said stays the same.
    """
    places = np.maximum(0, np.arange(len(positions)) - _PROMPT) * FRAMES_A_TOKEN
    wanted = _SURE * _normal(_waves())[places]
    query = np.linalg.pinv(_normal(positions)) @ wanted
    return {
        "decoder.blocks.0.cross_attn.query.weight": query.T.astype(np.float32),
        "decoder.blocks.0.cross_attn.key.weight": np.eye(WIDTH, dtype=np.float32),
    }


def _norm(name: str, scale: float = 1.0) -> dict[str, Array]:
    return {
        f"{name}.weight": np.full(WIDTH, scale, np.float32),
        f"{name}.bias": np.zeros(WIDTH, np.float32),
    }


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


def make_ggml(path: Path, said: Sequence[str | float] = SAID) -> None:
    """Write a file for whisper.cpp."""
    shape = (VOCABULARY, FRAMES, WIDTH, 1, 1, LONGEST, WIDTH, 1, 1, MELS)
    with path.open("wb") as file:
        file.write(struct.pack("<i", 0x67676D6C))
        file.write(struct.pack("<11i", *shape, 1))  # 1: 16-bit weights
        filters = mel_filters()
        file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        words = token_bytes()
        file.write(struct.pack("<i", len(words)))
        for word in words:
            file.write(struct.pack("<i", len(word)) + word)
        for name, values in tensors(said).items():
            shaped = values.reshape(-1, 1) if ".conv" in name and values.ndim == 1 else values
            is_half = shaped.ndim > 1 and not name.endswith(("positional_embedding", ".bias"))
            data = shaped.astype(np.float16) if is_half else shaped
            file.write(struct.pack("<3i", data.ndim, len(name), int(is_half)))
            file.write(struct.pack(f"<{data.ndim}i", *data.shape[::-1]))
            file.write(name.encode() + data.tobytes())


def make_ct2(folder: Path) -> None:
    """Write a folder for CTranslate2, which must be importable."""
    from ctranslate2.specs import WhisperSpec

    weights = tensors()
    spec = WhisperSpec(1, 1, 1, 1)
    for side, layers in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        layers.position_encodings.encodings = weights[f"{side}.positional_embedding"]
        _set(
            layers.layer_norm,
            weights,
            "encoder.ln_post" if side == "encoder" else "decoder.ln",
            "gamma beta",
        )
        block, layer = f"{side}.blocks.0", layers.layer[0]
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
    words = _vocabulary()
    words[END_OF_TEXT - 1] = ""  # as in every multilingual model; CTranslate2 knows them by it
    spec.register_vocabulary(words)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [(0, 0)]
    spec.config.lang_ids = list(range(FIRST_LANGUAGE, FIRST_LANGUAGE + LANGUAGES))
    spec.validate()
    spec.optimize(quantization="int8")
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer()))


def _set(spec: Any, weights: dict[str, Array], name: str, fields: str = "weight bias") -> None:
    weight, bias = fields.split()
    setattr(spec, weight, weights[f"{name}.weight"])
    if f"{name}.bias" in weights:
        setattr(spec, bias, weights[f"{name}.bias"])


def _set_attention(spec: Any, weights: dict[str, Array], name: str, *, is_self: bool) -> None:
    """CTranslate2 joins the matrices of query, key and value; a key has no bias."""
    _set(spec.layer_norm, weights, f"{name}_ln", "gamma beta")
    parts = [["query", "key", "value"]] if is_self else [["query"], ["key", "value"]]
    nothing = np.zeros(WIDTH, np.float32)
    for linear, names in zip(spec.linear, parts, strict=False):
        linear.weight = np.concatenate([weights[f"{name}.{part}.weight"] for part in names])
        linear.bias = np.concatenate(
            [weights.get(f"{name}.{part}.bias", nothing) for part in names]
        )
    _set(spec.linear[-1], weights, f"{name}.out")


def _vocabulary() -> list[str]:
    printable = _printable_bytes()
    text = ["".join(printable[byte] for byte in token) for token in token_bytes()]
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


def _tokenizer() -> dict[str, Any]:
    text = _vocabulary()[:END_OF_TEXT]
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


if __name__ == "__main__":
    make_ct2(Path(sys.argv[1]))

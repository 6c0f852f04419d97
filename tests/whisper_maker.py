"""Tiny speech models in Whisper's shape that always write the same, for whisper.cpp and CTranslate2.

    python -m tests.whisper_maker FOLDER     (in the environment of faster-whisper)

The layers add nothing, so what comes next depends on the position alone: the position's embedding
points at the token that is to be said there. Words are made up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tests.whisper_writer import (
    END_OF_TEXT,
    FIRST_LANGUAGE,
    FIRST_TIME,
    FIRST_WORD,
    FRAMES,
    LONGEST,
    MELS,
    VOCABULARY,
    Array,
    write_ct2,
    write_ggml,
)

WIDTH = 64
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


def script(said: Sequence[str | float]) -> Iterator[int]:
    """The token ids of what is to be said; a text that is no word comes byte by byte."""
    words = {f" {word}": FIRST_WORD + number for number, word in enumerate(WORDS)}
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


def make_ggml(path: Path, said: Sequence[str | float] = SAID) -> None:
    """Write a file for whisper.cpp."""
    write_ggml(path, tensors(said), WORDS, heads=1)


if __name__ == "__main__":
    write_ct2(Path(sys.argv[1]), tensors(), WORDS, heads=1)

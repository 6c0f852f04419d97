"""A small model that really hears: 40 English and 20 German words, as eSpeak NG says them.

    python -m tests.command_model FOLDER [FILE]     (in the environment of faster-whisper)

`training/commands` has trained it, and tells how its file is laid out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.whisper_writer import (
    FIRST_TIME,
    FRAMES,
    LONGEST,
    VOCABULARY,
    Array,
    write_ct2,
    write_ggml,
)

FILE = Path(__file__).with_name("commands.npz")
HEADS = 2
LOOKING = ((1, 1),)  # layer and head of the decoder whose looks give the best times of words
TIMES = VOCABULARY - FIRST_TIME

ENGLISH = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "yes", "no",
    "on", "off", "up", "down", "left", "right", "stop", "go", "open", "close", "start", "turn",
    "the", "light", "door", "music", "play", "window", "hello", "world", "please", "computer",
    "set", "timer", "red", "green", "blue", "and",
]  # fmt: skip
GERMAN = [
    "null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "ja",
    "nein", "rechts", "links", "öffnen", "licht", "tür", "bitte", "musik", "rot",
]  # fmt: skip
IN_ENGLISH = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "yes", "no",
    "right", "left", "open", "light", "door", "please", "music", "red",
]  # fmt: skip


def waves(length: int, width: int) -> Array:
    """Whisper's sinusoidal positions (openai/whisper, model.py), [length, width]."""
    speeds = np.exp(-np.log(10_000) / (width // 2 - 1) * np.arange(width // 2))
    angles = np.arange(length)[:, None] * speeds
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def model(file: Path = FILE) -> tuple[dict[str, Array], list[str]]:
    """The weights, under the names of Whisper's first release, and the words."""
    with np.load(file) as stored:
        found = {
            name: stored[name].astype(np.float32)
            for name in stored.files
            if stored[name].dtype == np.float16
        }
        tokens, words = stored["tokens"], [str(word) for word in stored["words"]]
    rows, times, bias = (found.pop(name) for name in ("rows", "times", "times_bias"))
    width = rows.shape[1]
    table = np.repeat(rows[-1:], VOCABULARY, axis=0)  # the row of every token that never occurs
    table[tokens] = rows[:-1]
    table[FIRST_TIME:] = waves(TIMES, width) @ times.T + bias
    reached = found["decoder.positional_embedding"]
    positions = np.zeros((LONGEST, width), np.float32)
    positions[: len(reached)] = reached
    return {
        **found,
        "encoder.positional_embedding": waves(FRAMES, width),
        "decoder.token_embedding.weight": table,
        "decoder.positional_embedding": positions,
    }, words


def make_commands_ggml(path: Path, file: Path = FILE) -> None:
    """Write the file for whisper.cpp."""
    write_ggml(path, *model(file), heads=HEADS)


if __name__ == "__main__":
    write_ct2(Path(sys.argv[1]), *model(*map(Path, sys.argv[2:])), HEADS, LOOKING)

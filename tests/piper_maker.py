"""A voice for Piper that is made by hand: no training, seven kilobytes, and it sounds like speech.

Each phoneme has a length, a loudness of voice and of noise, and three formants; forty harmonics of
the speaker's pitch are made as loud as the formants let through (additive synthesis).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.onnx_writer import FLOAT, INT64, Graph, value_info

RATE_HZ = 22_050
HOP = 256
SPEAKERS = {"low": 0, "high": 1}
PITCH_HZ = (110.0, 190.0)
HARMONICS = 40

# phoneme -> frames, voice, noise, formants in Hz
PHONEMES: dict[str, tuple[float, ...]] = {
    "_": (0, 0, 0, 500, 1500, 2500), "^": (6, 0, 0, 500, 1500, 2500), "$": (6, 0, 0, 500, 1500, 2500),
    " ": (4, 0, 0, 500, 1500, 2500), ".": (20, 0, 0, 500, 1500, 2500), ",": (12, 0, 0, 500, 1500, 2500),
    "i": (9, 1, 0.01, 300, 2300, 3000), "ɪ": (9, 1, 0.01, 400, 2000, 2600),
    "ɛ": (9, 1, 0.01, 550, 1850, 2500), "æ": (9, 1, 0.01, 700, 1700, 2400),
    "ɑ": (9, 1, 0.01, 730, 1100, 2450), "ɔ": (9, 1, 0.01, 570, 850, 2400),
    "o": (9, 1, 0.01, 480, 900, 2400), "ʊ": (9, 1, 0.01, 440, 1020, 2250),
    "u": (9, 1, 0.01, 310, 900, 2250), "ʌ": (9, 1, 0.01, 640, 1200, 2400),
    "ə": (9, 1, 0.01, 500, 1500, 2500), "e": (9, 1, 0.01, 450, 2200, 2700), "a": (9, 1, 0.01, 750, 1300, 2500),
    "m": (6, 0.5, 0.01, 280, 1000, 2200), "n": (6, 0.5, 0.01, 280, 1600, 2500),
    "l": (6, 0.5, 0.01, 360, 1100, 2600), "ɹ": (6, 0.5, 0.01, 400, 1200, 1600),
    "w": (6, 0.5, 0.01, 320, 700, 2200), "j": (6, 0.5, 0.01, 280, 2250, 3000),
    "v": (6, 0.5, 0.1, 300, 1100, 2300), "z": (6, 0.5, 0.1, 300, 1600, 2600),
    "ð": (6, 0.5, 0.1, 300, 1300, 2500), "b": (6, 0.5, 0.01, 250, 900, 2200),
    "d": (6, 0.5, 0.01, 250, 1700, 2600), "ɡ": (6, 0.5, 0.01, 250, 1900, 2300),
    "s": (7, 0, 0.3, 500, 1500, 2500), "ʃ": (7, 0, 0.35, 500, 1500, 2500), "f": (7, 0, 0.15, 500, 1500, 2500),
    "θ": (7, 0, 0.12, 500, 1500, 2500), "h": (5, 0, 0.12, 500, 1500, 2500), "t": (5, 0, 0.25, 500, 1500, 2500),
    "k": (5, 0, 0.22, 500, 1500, 2500), "p": (5, 0, 0.15, 500, 1500, 2500), "ː": (5, 0, 0, 500, 1500, 2500),
}  # fmt: skip


def make_voice(path: Path, *, speakers: int = 2, language: str = "en-us") -> None:
    """Write NAME.onnx and NAME.onnx.json."""
    graph = Graph()
    table = graph.constant(np.array(list(PHONEMES.values()), np.float32))
    first, second = graph.constant([0]), graph.constant([1])
    zero, one = graph.constant(0), graph.constant(1)

    def column(rows: str, number: int) -> str:
        return graph.node(
            "Squeeze", graph.node("Gather", rows, graph.constant([number]), axis=1), second
        )

    # Which phoneme each frame belongs to: the number of phonemes that have ended before it.
    rows = graph.node("Gather", table, graph.node("Squeeze", "input", first), axis=0)
    slowness = graph.node("Gather", "scales", one, axis=0)
    ends = graph.node(
        "CumSum", graph.node("Ceil", graph.node("Mul", column(rows, 0), slowness)), zero
    )
    ends = graph.node("Cast", ends, to=INT64)
    count = graph.node("ReduceMax", ends, keepdims=0)
    frames = graph.node("Unsqueeze", graph.node("Range", zero, count, one), second)
    passed = graph.node("GreaterOrEqual", frames, graph.node("Unsqueeze", ends, first))
    index = graph.node("ReduceSum", graph.node("Cast", passed, to=INT64), second, keepdims=0)
    framed = graph.node("Gather", rows, index, axis=0)

    # Each value drawn out smoothly over the samples of its frames.
    drawn = graph.node("Unsqueeze", graph.node("Transpose", framed, perm=[1, 0]), first)
    sizes = graph.constant(np.array([1, 1, HOP], np.float32))
    drawn = graph.node("Squeeze", graph.node("Resize", drawn, "", sizes, mode="linear"), first)

    def row(number: int) -> str:
        return graph.node("Gather", drawn, graph.constant([number]), axis=0)

    samples = graph.node("Mul", count, graph.constant(HOP))
    steps = graph.node("Cast", graph.node("Range", zero, samples, one), to=FLOAT)
    times = graph.node("Div", steps, graph.constant(float(RATE_HZ)))
    speaker = "sid" if speakers > 1 else first
    pitch = graph.node("Gather", graph.constant(np.array(PITCH_HZ, np.float32)), speaker, axis=0)
    numbers = graph.constant(np.arange(1, HARMONICS + 1, dtype=np.float32)[:, None])
    hertz = graph.node("Mul", numbers, graph.node("Unsqueeze", pitch, first))
    loudness = ""
    for number, width, gain in ((3, 90.0, 1.0), (4, 110.0, 0.5), (5, 160.0, 0.25)):
        apart = graph.node("Div", graph.node("Sub", hertz, row(number)), graph.constant(width))
        square = graph.node("Add", graph.node("Mul", apart, apart), graph.constant(1.0))
        peak = graph.node("Div", graph.constant(gain), square)
        loudness = graph.node("Add", loudness, peak) if loudness else peak
    turns = graph.node("Mul", hertz, graph.node("Unsqueeze", times, first))
    turns = graph.node("Sub", turns, graph.node("Floor", turns))
    waves = graph.node("Sin", graph.node("Mul", turns, graph.constant(2 * np.pi)))
    voice = graph.node("ReduceSum", graph.node("Mul", loudness, waves), first, keepdims=1)
    voice = graph.node("Mul", voice, row(1))
    noise = graph.node("RandomNormalLike", row(2), scale=1.0)
    noise = graph.node(
        "Mul", graph.node("Mul", noise, row(2)), graph.node("Gather", "scales", zero, axis=0)
    )
    mixed = graph.node("Mul", graph.node("Add", voice, noise), graph.constant(0.35))
    graph.node("Unsqueeze", graph.node("Tanh", mixed), first, output="output")

    inputs = [
        value_info("input", INT64, [1, "phonemes"]),
        value_info("input_lengths", INT64, [1]),
        value_info("scales", FLOAT, [3]),
    ]
    if speakers > 1:
        inputs.append(value_info("sid", INT64, [1]))
    graph.write(path, inputs, [value_info("output", FLOAT, [1, 1, "time"])])
    described = {
        "audio": {"sample_rate": RATE_HZ, "quality": "x_low"},
        "espeak": {"voice": language},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": {phoneme: [number] for number, phoneme in enumerate(PHONEMES)},
        "num_symbols": len(PHONEMES),
        "num_speakers": speakers,
        "speaker_id_map": SPEAKERS if speakers > 1 else {},
        "hop_length": HOP,
    }
    path.with_name(f"{path.name}.json").write_text(json.dumps(described))

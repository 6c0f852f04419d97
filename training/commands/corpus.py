"""Have eSpeak NG speak random phrases of the vocabulary.

usage: corpus.py WORK_DIR

Writes train and held (the same voices, other phrases, speeds and pitches, drawn with another seed):
NAME.npy holds all samples one after the other, NAME.json who says what, and where.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random

import numpy as np
import words
from speech import Speaker, trimmed

UTTERANCES = {"train": (1, 12_000), "held": (2, 300)}  # seed, number
LENGTHS = {1: 25, 2: 30, 3: 30, 4: 10, 5: 5}  # words of an utterance: how often
ENGLISH_SHARE = 0.68


def drawn(random: Random, weights: dict) -> object:
    """One of the keys, as often as its weight says."""
    return random.choices(list(weights), list(weights.values()))[0]


def utterance(random: Random) -> tuple[str, list[str], dict]:
    """Language, words, and how they are said."""
    language = "en" if random.random() < ENGLISH_SHARE else "de"
    said = random.choices(words.WORDS[language], k=drawn(random, LENGTHS))
    variant = drawn(random, words.VARIANTS)
    return (
        language,
        said,
        {
            "voice": drawn(random, words.VOICES[language]) + ("+" + variant if variant else ""),
            "speed": random.randint(125, 210),
            "pitch": random.randint(25, 75),
            "gap": random.choice([0, 0, 0, 1, 2, 4]),
        },
    )


def main() -> None:
    """Speak and write."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    speaker = Speaker()
    for name, (seed, count) in UTTERANCES.items():
        random, sounds, notes, place = Random(seed), [], [], 0
        for _ in range(count):
            language, said, how = utterance(random)
            sound = trimmed(speaker.say(" ".join(said), **how))
            sounds.append((sound.clip(-1, 1) * 32767).astype(np.int16))
            notes.append((language, said, place, len(sound)))
            place += len(sound)
        np.save(folder / f"{name}.npy", np.concatenate(sounds))
        (folder / f"{name}.json").write_text(json.dumps(notes, ensure_ascii=False))
        print(name, count, "utterances", round(place / 16_000), "s", flush=True)


if __name__ == "__main__":
    main()

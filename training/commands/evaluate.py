"""Measure the recogniser with both Whisper engines.

usage: evaluate.py FILE.npz [--write PAGE]

Every clip is spoken anew by eSpeak NG, at speeds and pitches of its own, so none was trained on; the
engines get it as the server gives it to them: times are asked for, and the language is found out
unless the row says otherwise. --write puts the table into the page, between its two marks.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import words
from speech import RATE, Speaker, trimmed
from train import errors

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- accuracy:begin -->", "<!-- accuracy:end -->"
UNHEARD = ("Mario", "Lee", "Alicia", "rob", "victor")  # variants that training never uses
SPEED, PITCH = 175, 50

Engine = Callable[[np.ndarray, str, bool], tuple[str, str]]  # samples, language, translate


@dataclass(frozen=True)
class Clip:
    """What is heard, and what should be written."""

    sound: np.ndarray
    language: str
    text: list[str]


def whisper_cpp(file: Path) -> Engine:
    """Text and language, by whisper.cpp."""
    from pywhispercpp.model import Model

    model = Model(
        str(file),
        n_threads=1,
        print_progress=False,
        print_realtime=False,
        context_params={"use_gpu": False, "flash_attn": False},
    )

    def hear(sound: np.ndarray, language: str, translate: bool) -> tuple[str, str]:
        if not language:
            language = max(model.auto_detect_language(sound)[1].items(), key=lambda pair: pair[1])[
                0
            ]
        found = model.transcribe(sound, language=language, translate=translate, temperature_inc=0.0)
        return " ".join(segment.text for segment in found), language

    return hear


def faster_whisper(folder: Path) -> Engine:
    """Text and language, by faster-whisper."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)

    def hear(sound: np.ndarray, language: str, translate: bool) -> tuple[str, str]:
        found, about = model.transcribe(
            sound,
            language=language or None,
            task="translate" if translate else "transcribe",
            beam_size=1,
            condition_on_previous_text=False,
        )
        return " ".join(segment.text for segment in found), about.language

    return hear


class Clips:
    """Speaks clips."""

    def __init__(self) -> None:
        self.speaker = Speaker()

    def said(
        self,
        text: list[str],
        language: str,
        voice: str,
        speed: int,
        pitch: int,
        lead_s: float = 0.2,
    ) -> Clip:
        """Words with silence around them."""
        sound = trimmed(self.speaker.say(" ".join(text), voice, speed, pitch, 0))
        around = [np.zeros(int(s * RATE), np.float32) for s in (lead_s, 0.5)]
        return Clip(np.concatenate([around[0], sound, around[1]]), language, text)

    def single(self, language: str, voices: list[str], lead_s: float = 0.2) -> Iterator[Clip]:
        """Every word in each voice."""
        for voice in voices:
            for word in words.WORDS[language]:
                yield self.said([word], language, voice, SPEED, PITCH, lead_s)

    def phrases(self, length: int, count: int) -> Iterator[Clip]:
        """Random words in random voices of the training."""
        random = Random(1000 + length)
        for number in range(count):
            language = "de" if number % 3 == 2 else "en"
            said = random.choices(words.WORDS[language], k=length)
            variant = random.choice(list(words.VARIANTS))
            voice = random.choice(list(words.VOICES[language])) + ("+" + variant) * bool(variant)
            yield self.said(said, language, voice, random.randint(140, 200), random.randint(30, 70))


def rows(clips: Clips) -> Iterator[tuple[str, list[Clip], bool, bool]]:
    """What is measured: name, clips, whether the language is told, whether it is to be translated."""
    yield "English words, American voice", list(clips.single("en", ["en-us"])), False, False
    yield "English words, British voice", list(clips.single("en", ["en"])), False, False
    yield (
        "English words, Scottish voice",
        list(clips.single("en", ["en-gb-scotland"])),
        False,
        False,
    )
    yield "German words", list(clips.single("de", ["de"])), False, False
    yield "German words, translated to English", list(clips.single("de", ["de"])), False, True
    late = [*clips.single("en", ["en-us"], 3.0), *clips.single("de", ["de"], 3.0)]
    yield "Words after 3 s of silence, language told", late, True, False
    for length, count in ((2, 60), (3, 60), (5, 30)):
        name = f"Phrases of {length} words, all voices, language told"
        yield name, list(clips.phrases(length, count)), True, False
    unheard = list(clips.single("en", [f"en-us+{variant}" for variant in UNHEARD]))[::2]
    yield "English words, voices never heard in training", unheard, True, False


def measured(engine: Engine, clips: list[Clip], told: bool, translate: bool) -> list[str]:
    """Clips right, word error rate, languages right."""
    exact = wrong = total = languages = 0
    for clip in clips:
        text, language = engine(clip.sound, clip.language if told else "", translate)
        wanted = [words.TRANSLATION.get(w, w) for w in clip.text] if translate else clip.text
        found = text.split()
        exact += found == wanted
        wrong += errors(wanted, found)
        total += len(wanted)
        languages += language == clip.language
    found_out = "told" if told else f"{languages}/{len(clips)}"
    return [f"{exact}/{len(clips)}", f"{100 * wrong / total:.1f} %", found_out]


def table(file: Path) -> list[str]:
    """The lines of the table."""
    sys.path.insert(0, str(ROOT))
    from tests.command_model import make_commands_ggml

    lines = [
        "| Clips, all unseen | Engine | Right | Word errors | Language found |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make_commands_ggml(folder / "commands.bin", file)
        make = [sys.executable, "-m", "tests.command_model", str(folder / "commands"), str(file)]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        subprocess.run(make, env={**os.environ, "PYTHONPATH": paths}, check=True)
        engines = {
            "whisper.cpp": whisper_cpp(folder / "commands.bin"),
            "faster-whisper": faster_whisper(folder / "commands"),
        }
        for name, clips, told, translate in rows(Clips()):
            for engine_name, engine in engines.items():
                cells = [name, engine_name, *measured(engine, clips, told, translate)]
                lines.append(f"| {' | '.join(cells)} |")
                print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    lines = table(args.file)
    if args.write:
        text = args.write.read_text()
        head, _, rest = text.partition(BEGIN)
        _, _, tail = rest.partition(END)
        args.write.write_text("\n".join([head + BEGIN, *lines, END]) + tail)


if __name__ == "__main__":
    main()

"""Draw training examples: phrases somewhere in a window, noise, and what is to be written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

import model as net
import numpy as np
import torch
import words
from torch import Tensor

FRAME = 320  # samples of 20 ms
SILENT_END = 6  # frames of a window that stay silent, so that silence can be told from them
LATEST_START = 50  # frames: decoders refuse a first time beyond 1 s


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum."""

    steps: int
    batch: int
    frames: int  # of the window; net.FRAMES is the whole 30 s
    phrases: int  # at most, in one window
    words: int  # at most, in a phrase
    silent: int = 0  # frames that stand for the silence before, and twice as many behind
    rate: float = 1.0  # share of the full learning rate at its end


@dataclass(frozen=True)
class Batch:
    """One step's examples; tokens are rows of the learnt table, -100 is not a target."""

    mel: Tensor
    place: net.Place | None
    tokens: Tensor
    targets: Tensor
    spoken: list[list[int]]  # word numbers from 1, for CTC


Phrase = tuple[int, int, list[str]]  # first and last frame, words


class Corpus:
    """What corpus.py has written."""

    def __init__(self, folder: Path, name: str) -> None:
        self.samples = np.load(folder / f"{name}.npy", mmap_mode="r")
        self.notes = json.loads((folder / f"{name}.json").read_text())
        self.of_length = {
            (language, length): [
                i for i, n in enumerate(self.notes) if n[0] == language and len(n[1]) == length
            ]
            for language in words.WORDS
            for length in range(1, 6)
        }

    def sound(self, number: int) -> np.ndarray:
        """The samples of one utterance, -1 to 1."""
        _, _, start, length = self.notes[number]
        return np.asarray(self.samples[start : start + length], np.float32) / 32768


class Examples:
    """Draws batches."""

    def __init__(self, corpus: Corpus, seed: int) -> None:
        self.corpus, self.random = corpus, Random(seed)
        self.numpy = np.random.default_rng(seed)

    def clip(self, stage: Stage, language: str) -> tuple[np.ndarray, list[Phrase]]:
        """Samples of a window, and the phrases in it."""
        random, end = self.random, (stage.frames - SILENT_END) * FRAME
        clip, phrases = np.zeros(stage.frames * FRAME, np.float32), []
        spoken = 0 if stage.silent and random.random() < 0.06 else random.randint(1, stage.phrases)
        at = int(random.choice([0, random.random() * 0.5]) * 16_000)
        for _ in range(spoken):
            lengths = range(1, stage.words + 1)
            (length,) = random.choices(lengths, [min(2, length) for length in lengths])
            number = random.choice(self.corpus.of_length[language, length])
            sound = self.corpus.sound(number)
            if at + len(sound) > end and not phrases:
                at = max(0, end - len(sound))
            if at + len(sound) > end:
                break
            clip[at : at + len(sound)] += sound * 10 ** (random.uniform(-14, 3) / 20)
            said = self.corpus.notes[number][1]
            phrases.append((round(at / FRAME), round((at + len(sound)) / FRAME), said))
            at += len(sound) + int(random.uniform(0.25, 1.6) * 16_000)
        if random.random() < 0.5:
            until = random.choice([end, min(end, at)])
            level = 10 ** random.uniform(-4.5, -2)
            clip[:until] += self.numpy.standard_normal(until, np.float32) * level
        return clip.clip(-1, 1), phrases

    def first_frame(self, stage: Stage) -> int:
        """Where in the 30 s a window lies."""
        last = net.FRAMES - stage.frames - 2 * stage.silent
        if last <= 0 or self.random.random() < 0.5:
            return 0
        return self.random.randint(0, last if self.random.random() < 0.5 else min(last, 250))

    def place(self, stage: Stage, firsts: list[int]) -> net.Place:
        """Draw the silent frames around windows."""
        before, after, log_before, log_after = [], [], [], []
        for first in firsts:
            b, lb = self.spread(0, first, stage.silent)
            a, la = self.spread(first + stage.frames, net.FRAMES, 2 * stage.silent)
            before.append(b), after.append(a), log_before.append(lb), log_after.append(la)
        stack = [torch.from_numpy(np.stack(x)) for x in (before, log_before, after, log_after)]
        return net.Place(torch.tensor(firsts), *stack)

    def spread(self, start: int, stop: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """`count` frames over a range, evenly but for chance, and how many each stands for (log)."""
        if count == 0 or stop - start < count:
            return np.zeros(count, np.int64), np.full(count, net.NEVER, np.float32)
        edges = np.linspace(start, stop, count + 1)
        drawn = edges[:-1] + self.numpy.random(count) * np.diff(edges)
        log = np.log((stop - start) / count)
        return drawn.astype(np.int64), np.full(count, log, np.float32)

    def writing(
        self, phrases: list[Phrase], language: str, first: int
    ) -> tuple[list[int], list[int]]:
        """Tokens and the targets behind each (-1: none), for a task that is drawn here too."""
        random = self.random
        is_translated = random.random() < (0.35 if language == "de" else 0.05)
        with_times = random.random() < 0.5
        earlier = random.choices(words.WORDS[language], k=random.randint(1, 6))
        before = (
            [words.PREVIOUS, *(words.WORD_TOKEN[w] for w in earlier)]
            if random.random() < 0.1
            else []
        )
        task = words.TRANSLATE if is_translated else words.TRANSCRIBE
        prompt = [words.START, words.LANGUAGE[language], task]
        prompt += [] if with_times else [words.NO_TIMES]
        written = []
        for start, stop, said in phrases:
            times = [min(first + frame, words.TIMES - 1) for frame in (start, stop)]
            times[0] = times[0] if written else min(times[0], LATEST_START)
            here = [words.TRANSLATION.get(w, w) for w in said] if is_translated else said
            tokens = [words.WORD_TOKEN[w] for w in here]
            if with_times:
                tokens = [words.FIRST_TIME + times[0], *tokens, words.FIRST_TIME + times[1]]
            written += tokens
        if with_times and not phrases:
            written = [words.FIRST_TIME]
        written.append(words.END)
        heard = words.LANGUAGE[language] if phrases else words.NO_SPEECH
        targets = [-1] * len(before) + [heard] + [-1] * (len(prompt) - 2) + written
        return (before + prompt + written)[:-1], targets

    def batch(self, stage: Stage) -> Batch:
        """Draw one."""
        clips, firsts, rows, targets, spoken = [], [], [], [], []
        for _ in range(stage.batch):
            language = "en" if self.random.random() < 0.65 else "de"
            clip, phrases = self.clip(stage, language)
            firsts.append(self.first_frame(stage))
            tokens, wanted = self.writing(phrases, language, firsts[-1])
            clips.append(clip)
            rows.append([net.row(t) for t in tokens])
            targets.append([net.row(t) if t >= 0 else -100 for t in wanted])
            spoken.append([words.VOCABULARY.index(w) + 1 for *_, said in phrases for w in said])
        sound = torch.from_numpy(np.stack(clips))
        if stage.frames < net.FRAMES:
            around = net.MARGIN * FRAME
            mel = net.log_mel(torch.nn.functional.pad(sound, (around, around)))
            place = self.place(stage, firsts)
        else:
            mel, place = net.log_mel(sound), None
        longest = max(map(len, rows))
        filler = net.row(words.END)
        return Batch(
            self.smeared(mel),
            place,
            torch.tensor([r + [filler] * (longest - len(r)) for r in rows]),
            torch.tensor([t + [-100] * (longest - len(t)) for t in targets]),
            spoken,
        )

    def smeared(self, mel: Tensor) -> Tensor:
        """Hide some bands in one example of four."""
        for one in mel:
            if self.random.random() < 0.25:
                band = self.random.randint(0, 70)
                one[band : band + self.random.randint(1, 8)] = one.min()
        return mel

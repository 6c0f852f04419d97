"""Quick tests of the recogniser's parts (`.venv/bin/python test_recogniser.py`)."""

from __future__ import annotations

import sys
from pathlib import Path

import model as net
import numpy as np
import torch
import words
from examples import FRAME, Examples, Stage
from torch.nn.functional import pad
from train import errors

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.command_model import ENGLISH, GERMAN, IN_ENGLISH


def test_few_silent_frames_are_heard_as_the_whole_window() -> None:
    torch.manual_seed(0)
    encoder = net.Encoder().eval()
    first, frames = 200, 100
    sound = torch.randn(1, (frames - 6) * FRAME) * 0.1
    around = (first * FRAME, (net.FRAMES - first - frames + 6) * FRAME)
    margin = net.MARGIN * FRAME
    with torch.no_grad():
        whole, _ = encoder(net.log_mel(pad(sound, around)))
        mel = net.log_mel(pad(sound, (margin, margin + 6 * FRAME)))
        drawn = Examples(None, seed=1)
        for count in (24, 0):
            place = drawn.place(Stage(1, 1, frames, 1, 1, silent=count), [first])
            heard, _ = encoder(mel, place)
            window = heard[:, count : count + frames]
            difference = (window - whole[:, first : first + frames]).abs().mean().item()
            print(f"{3 * count} frames for {net.FRAMES - frames}: {difference:.4f}")
            assert (difference < 0.1) == (count > 0)


def test_targets_stand_behind_their_tokens() -> None:
    drawn = Examples(None, seed=1)
    seen = set()
    for _ in range(200):
        tokens, targets = drawn.writing([(10, 40, ["ja", "rot"])], "de", first=100)
        assert len(tokens) == len(targets)
        start = tokens.index(words.START)
        assert targets[start] == words.LANGUAGE["de"]
        said = [t for t in targets[start + 1 :] if t >= 0]
        assert said[-1] == words.END
        texts = [t for t in said if t < words.END]
        wanted = ["yes", "red"] if words.TRANSLATE in tokens else ["ja", "rot"]
        assert texts == [words.WORD_TOKEN[word] for word in wanted]
        times = [t - words.FIRST_TIME for t in said if t >= words.FIRST_TIME]
        assert times == ([] if words.NO_TIMES in tokens else [50, 140])
        seen |= {words.TRANSLATE in tokens, words.NO_TIMES in tokens}
    assert seen == {True, False}


def test_words_are_those_of_the_tests() -> None:
    assert (words.ENGLISH, words.GERMAN) == (ENGLISH, GERMAN)
    assert dict(zip(GERMAN, IN_ENGLISH, strict=True)) == words.TRANSLATION
    assert len(ENGLISH) == 40
    assert len(GERMAN) == 20


def test_errors_are_counted() -> None:
    assert errors(["a", "b"], ["a", "b"]) == 0
    assert errors(["a", "b"], ["b"]) == 1
    assert errors(["a"], ["b", "a", "c"]) == 2


if __name__ == "__main__":
    np.seterr(all="raise")
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print("passed:", name)

"""Train the command recogniser.

usage: train.py WORK_DIR

WORK_DIR holds what corpus.py has written.  A checkpoint is written every minute; a run that was
stopped goes on from the last one.  One thread: on short windows more threads mostly wait.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import model as net
import numpy as np
import torch
import words
from examples import FRAME, Batch, Corpus, Examples, Stage
from torch import Tensor, nn
from torch.nn import functional

SEED = 1
MATRICES_RATE, OTHERS_RATE = 4e-3, 2e-3
WARM_UP = 60
SAVE_EVERY_S = 60
LOG_EVERY, JUDGE_EVERY = 25, 400
STAGES = (
    Stage(steps=550, batch=48, frames=64, phrases=1, words=1),
    Stage(steps=250, batch=32, frames=104, phrases=1, words=2, silent=8),
    Stage(steps=900, batch=24, frames=128, phrases=1, words=3, silent=8),
    Stage(steps=80, batch=16, frames=240, phrases=2, words=3, silent=16, rate=0.8),
    Stage(steps=600, batch=24, frames=128, phrases=1, words=3, silent=8, rate=0.15),
    Stage(steps=20, batch=4, frames=net.FRAMES, phrases=3, words=3, silent=1, rate=0.12),
    Stage(steps=120, batch=24, frames=128, phrases=1, words=3, silent=8, rate=0.03),
    Stage(steps=15, batch=4, frames=net.FRAMES, phrases=3, words=3, silent=1, rate=0.02),
)


class Muon:
    """Momentum whose step is made orthogonal; learns matrices in fewer steps than Adam."""

    def __init__(self, matrices: list[nn.Parameter]) -> None:
        self.groups: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for p in matrices:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.momentum = {k: torch.zeros(len(v), *k) for k, v in self.groups.items()}

    @torch.no_grad()
    def step(self, rate: float, decay: float = 0.05) -> None:
        """Update every matrix; equal shapes are handled in one go."""
        for shape, params in self.groups.items():
            grad = torch.stack([p.grad for p in params])
            momentum = self.momentum[shape].lerp_(grad, 0.05)
            update = _orthogonal(grad.lerp(momentum, 0.95)) * (0.2 * max(shape) ** 0.5)
            for p, one in zip(params, update, strict=True):
                p.mul_(1 - rate * decay).sub_(one, alpha=rate)


def _orthogonal(g: Tensor) -> Tensor:
    """Newton-Schulz iteration towards the nearest orthogonal matrix."""
    x = g.bfloat16()
    flip = x.shape[-2] > x.shape[-1]
    x = x.mT if flip else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        b = x @ x.mT
        x = 3.4445 * x + (-4.7750 * b + 2.0315 * b @ b) @ x
    return (x.mT if flip else x).float()


def _ctc(scores: Tensor, batch: Batch) -> Tensor:
    """Connectionist temporal classification of the words heard (Graves et al., 2006)."""
    spoken = torch.tensor([number for one in batch.spoken for number in one], dtype=torch.long)
    lengths = torch.tensor([len(one) for one in batch.spoken])
    frames = torch.full((len(batch.spoken),), scores.shape[1])
    likely = functional.log_softmax(scores, -1).transpose(0, 1)
    return functional.ctc_loss(likely, spoken, frames, lengths, zero_infinity=True)


class Trainer:
    """The model, its optimizers and where it stands."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(SEED)
        self.folder, self.step, self.spent = folder, 0, 0.0
        self.model = net.Recogniser()
        matrices = [p for n, p in self.model.named_parameters() if ".blocks." in n and p.dim() == 2]
        kept = {id(p) for p in matrices}
        self.others = [p for p in self.model.parameters() if id(p) not in kept]
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(
            self.others, lr=OTHERS_RATE, betas=(0.9, 0.98), weight_decay=0.0
        )
        self.checkpoint = folder / "checkpoint.pt"
        if self.checkpoint.exists():
            self.resume()

    def resume(self) -> None:
        """Go on from the last checkpoint."""
        state = torch.load(self.checkpoint)
        self.model.load_state_dict(state["model"])
        self.adam.load_state_dict(state["adam"])
        self.muon.momentum = state["muon"]
        self.step, self.spent = state["step"], state["spent"]
        print("resumed at step", self.step, flush=True)

    def save(self) -> None:
        """Write a checkpoint; the old one stays until the new one is complete."""
        state = {
            "model": self.model.state_dict(),
            "adam": self.adam.state_dict(),
            "muon": self.muon.momentum,
            "step": self.step,
            "spent": self.spent + time.process_time(),
        }
        fresh = self.checkpoint.with_suffix(".tmp")
        torch.save(state, fresh)
        fresh.replace(self.checkpoint)

    def stage(self) -> tuple[int, float]:
        """The number of the stage, and the share of the full learning rate."""
        done, before = 0, 1.0
        for number, stage in enumerate(STAGES):
            if self.step < done + stage.steps:
                within = (self.step - done) / stage.steps
                return number, before + (stage.rate - before) * within
            done, before = done + stage.steps, stage.rate
        return len(STAGES), before

    def learn(self, batch: Batch, rate: float) -> tuple[float, float]:
        """One step -> the losses of the decoder and of CTC."""
        model = self.model
        with torch.autocast("cpu", torch.bfloat16):
            heard, mask = model.encoder(batch.mel, batch.place)
            logits = model.decoder(batch.tokens, heard, mask).float()
            scores = model.ctc(heard).float()
        loss = functional.cross_entropy(
            logits.flatten(0, 1), batch.targets.flatten(), ignore_index=-100
        )
        ctc = _ctc(scores, batch)
        (loss + 0.5 * ctc).backward()
        for group in self.adam.param_groups:
            group["lr"] = OTHERS_RATE * rate
        nn.utils.clip_grad_norm_(self.others, 1.0)  # Muon's steps do not depend on scale
        self.adam.step()
        self.muon.step(MATRICES_RATE * rate)
        model.zero_grad(set_to_none=True)
        self.step += 1
        return loss.item(), ctc.item()

    def run(self) -> None:
        """Train to the end."""
        corpus, held = Corpus(self.folder, "train"), Corpus(self.folder, "held")
        examples = Examples(corpus, SEED * 1_000_003 + self.step)
        begin, saved, recent = time.time(), time.time(), []
        number, rate = self.stage()
        while number < len(STAGES):
            batch = examples.batch(STAGES[number])
            recent.append(self.learn(batch, rate * min(1.0, (self.step + 1) / WARM_UP)))
            if self.step % LOG_EVERY == 0:
                decoder, ctc = np.mean(recent[-LOG_EVERY:], axis=0)
                print(
                    f"step {self.step} stage {number} loss {decoder:.3f} ctc {ctc:.3f}"
                    f" rate {rate:.3f} cpu {self.spent + time.process_time():.0f} s"
                    f" wall {time.time() - begin:.0f} s",
                    flush=True,
                )
            if time.time() - saved > SAVE_EVERY_S:
                self.save()
                saved = time.time()
            before, (number, rate) = number, self.stage()
            if number != before or self.step % JUDGE_EVERY == 0:
                print("  ", judged(self.model, held), flush=True)
        self.save()


@torch.no_grad()
def written(model: net.Recogniser, sound: np.ndarray, language: str, times: bool) -> list[str]:
    """What the model writes for samples in the whole window: the likeliest token each time."""
    window = np.zeros((1, net.FRAMES * FRAME), np.float32)
    window[0, 3200 : 3200 + len(sound)] = sound
    heard, _ = model.encoder(net.log_mel(torch.from_numpy(window)))
    prompt = [words.START, words.LANGUAGE[language], words.TRANSCRIBE]
    tokens = torch.tensor([[net.row(t) for t in prompt + ([] if times else [words.NO_TIMES])]])
    said = []
    for _ in range(16):
        row = int(model.decoder(tokens, heard, None)[0, -1].argmax())
        if row == net.row(words.END):
            break
        tokens = torch.cat([tokens, torch.tensor([[row]])], 1)
        if row < net.FIRST_TIME_ROW:
            said.append(words.VOCABULARY[row] if row < len(words.VOCABULARY) else "?")
    return said


def errors(wanted: list[str], said: list[str]) -> int:
    """Words to insert, delete or replace."""
    line = list(range(len(said) + 1))
    for i, one in enumerate(wanted, 1):
        above, line[0] = line[:], i
        for j, other in enumerate(said, 1):
            line[j] = min(above[j - 1] + (one != other), above[j] + 1, line[j - 1] + 1)
    return line[-1]


def judged(model: net.Recogniser, held: Corpus, each: int = 16) -> str:
    """Word error rates on unseen utterances of one, two and three words, with and without times."""
    begin, found = time.process_time(), []
    for times in (True, False):
        for length in (1, 2, 3):
            wrong = total = 0
            fitting = [i for i, n in enumerate(held.notes) if len(n[1]) == length][:each]
            for number in fitting:
                language, said = held.notes[number][:2]
                wrong += errors(said, written(model, held.sound(number), language, times))
                total += length
            found.append(f"{wrong / total:.3f}")
    spent = time.process_time() - begin
    return f"with times {' '.join(found[:3])} without {' '.join(found[3:])} ({spent:.0f} s)"


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    Trainer(args.folder).run()


if __name__ == "__main__":
    main()

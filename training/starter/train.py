"""Train the starter model from generated text.

usage: train.py WORK_DIR [--steps N]

WORK_DIR holds tokenizer.json and pool.json (see tokenizer.py).  A checkpoint is written every 250
steps; a run that was stopped goes on from the last one (it then sees other examples than a run that
was not stopped, drawn from the same mix).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from random import Random

import mix
import numpy as np
import tokenizer as tok
import torch
import words
from model import Model, Rows, Shape
from torch import Tensor, nn

SEED = 1
STEPS = 6000
PEAK = 3e-3
WARM_UP = 60
DECAY = 0.4  # the learning rate falls to zero over this last part of the run
SHORT = (18, 104)  # rows x length for chats of a few words
LONG = (11, 288)  # for tool chats and stories
FAR = [(2, 1024), (1, 2048)]  # long conversations take turns in place of LONG now and then
FAR_EVERY = 8
CHARS_PER_TOKEN = 2.3
SAVE_EVERY = 250
LOG_EVERY = 50

Encoded = tuple[list[int], list[float]]


class Examples:
    """Draws examples, encodes them and packs them into rows."""

    def __init__(self, folder: Path, first_step: int) -> None:
        self.random = Random(SEED * 1_000_003 + first_step)
        self.tokenizer, self.tokens, _ = tok.load(folder)
        words.use_pool(folder / "pool.json")
        self.short: list[Encoded] = []
        self.long: list[Encoded] = []

    def encode(self, examples: list[list[mix.Piece]]) -> list[Encoded]:
        """Encode piece by piece, so that every token gets the weight of its piece."""
        flat = [(i, text, weight) for i, e in enumerate(examples) for text, weight in e]
        encoded = self.tokenizer.encode_batch_fast([text for _, text, _ in flat])
        out: list[Encoded] = [([], []) for _ in examples]
        for (i, _, weight), e in zip(flat, encoded, strict=True):
            out[i][0].extend(e.ids)
            out[i][1].extend([weight] * len(e.ids))
        return out

    def refill(self, progress: float, count: int = 400) -> None:
        """Draw more examples and sort them by length; what does not fit at all is dropped."""
        for e in self.encode([mix.example(self.random, progress) for _ in range(count)]):
            if len(e[0]) <= SHORT[1]:
                self.short.append(e)
            elif len(e[0]) <= LONG[1]:
                self.long.append(e)

    def pack(self, buffer: list[Encoded], rows: int, length: int, progress: float) -> Rows:
        """Fill rows with examples from the buffer, and keep the buffer from growing old."""
        ids = np.zeros((5, rows, length), np.int64)
        ids[2] = -1
        weight = np.zeros((rows, length), np.float32)
        for row in range(rows):
            start = number = tries = 0
            while start < length and tries < 12:
                while len(buffer) < 60:
                    self.refill(progress)
                tokens, weights = buffer[-1]
                n = len(tokens) - 1
                if n > length - start:
                    j = self.random.randrange(len(buffer))
                    buffer[-1], buffer[j] = buffer[j], buffer[-1]
                    tries += 1
                    continue
                buffer.pop()
                _place(ids[:, row], weight[row], start, number, tokens, weights)
                start, number = start + n, number + 1
        del buffer[: max(0, len(buffer) - 1500)]
        return _rows(ids, weight)

    def far(self, rows: int, length: int) -> Rows:
        """Rows of one long conversation each."""
        ids = np.zeros((5, rows, length), np.int64)
        ids[2] = -1
        weight = np.zeros((rows, length), np.float32)
        chars = int(length * CHARS_PER_TOKEN)
        for row, (tokens, weights) in enumerate(
            self.encode([mix.long_example(self.random, chars) for _ in range(rows)])
        ):
            cut = length + 1
            _place(ids[:, row], weight[row], 0, 0, tokens[:cut], weights[:cut])
        return _rows(ids, weight)

    def batch(self, step: int, progress: float) -> list[Rows]:
        """The rows of one step."""
        out = [self.pack(self.short, *SHORT, progress)]
        if progress > 0.1 and step % FAR_EVERY == 0:
            out.append(self.far(*FAR[step // FAR_EVERY % len(FAR)]))
        else:
            out.append(self.pack(self.long, *LONG, progress))
        return out


def _place(
    ids: np.ndarray, weight: np.ndarray, start: int, number: int, tokens: list[int], w: list[float]
) -> None:
    """Write one example into a row: tokens, positions, chat number, targets, target weights."""
    end = start + len(tokens) - 1
    ids[0, start:end], ids[3, start:end] = tokens[:-1], tokens[1:]
    ids[1, start:end], ids[2, start:end] = np.arange(len(tokens) - 1), number
    weight[start:end] = w[1:]


def _rows(ids: np.ndarray, weight: np.ndarray) -> Rows:
    tokens, position, chat, target, _ = torch.from_numpy(ids)
    return Rows(tokens, position, chat, target, torch.from_numpy(weight))


class Muon:
    """Momentum whose step is made orthogonal; learns matrices in fewer steps than Adam."""

    def __init__(self, matrices: list[nn.Parameter]) -> None:
        self.groups: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for p in matrices:
            self.groups.setdefault(tuple(p.shape[-2:]), []).append(p)
        self.momentum = {
            k: torch.zeros(sum(p.shape[0] for p in v), *k) for k, v in self.groups.items()
        }

    @torch.no_grad()
    def step(self, rate: float, decay: float = 0.05) -> None:
        """Update every matrix; equal shapes are handled in one go."""
        for shape, params in self.groups.items():
            grad = torch.cat([p.grad for p in params])
            momentum = self.momentum[shape].lerp_(grad, 0.05)
            update = _orthogonal(grad.lerp(momentum, 0.95)) * (0.2 * max(shape) ** 0.5)
            start = 0
            for p in params:
                p.mul_(1 - rate * decay).sub_(update[start : start + p.shape[0]], alpha=rate)
                start += p.shape[0]


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


class Trainer:
    """The model, its optimizers and where it stands."""

    def __init__(self, folder: Path, steps: int) -> None:
        torch.manual_seed(SEED)
        self.folder, self.steps, self.step = folder, steps, 0
        vocabulary = len(tok.load(folder)[1])
        self.model = Model(Shape(vocabulary))
        self.vectors = [p for p in self.model.parameters() if p.dim() < 3]
        self.muon = Muon([p for p in self.model.parameters() if p.dim() == 3])
        self.adam = torch.optim.AdamW(self.vectors, lr=PEAK, betas=(0.9, 0.98), weight_decay=0.0)
        if self.checkpoint.exists():
            self.resume()

    @property
    def checkpoint(self) -> Path:
        """Where the state of the run is kept."""
        return self.folder / "checkpoint.pt"

    def resume(self) -> None:
        """Go on from the last checkpoint."""
        state = torch.load(self.checkpoint)
        self.model.load_state_dict(state["model"])
        self.adam.load_state_dict(state["adam"])
        self.muon.momentum = state["muon"]
        self.step = state["step"]
        print("resumed at step", self.step, flush=True)

    def save(self) -> None:
        """Write a checkpoint; the old one stays until the new one is complete."""
        state = {
            "model": self.model.state_dict(),
            "adam": self.adam.state_dict(),
            "muon": self.muon.momentum,
            "step": self.step,
            "shape": vars(self.model.shape),
        }
        fresh = self.checkpoint.with_suffix(".tmp")
        torch.save(state, fresh)
        fresh.replace(self.checkpoint)

    def rate(self) -> float:
        """Warm up, stay, fall to zero in a straight line."""
        left = (1 - self.step / self.steps) / DECAY
        return PEAK * min(1.0, (self.step + 1) / WARM_UP) * min(1.0, max(0.005, left))

    def learn(self, batch: list[Rows]) -> tuple[float, float]:
        """One step -> loss, share of answer tokens that were right."""
        with torch.autocast("cpu", torch.bfloat16):
            loss, right = self.model(batch)
        loss.backward()
        rate = self.rate()
        for group in self.adam.param_groups:
            group["lr"] = rate
        nn.utils.clip_grad_norm_(self.vectors, 1.0)  # Muon's steps do not depend on scale
        self.adam.step()
        self.muon.step(rate)
        self.model.zero_grad(set_to_none=True)
        self.step += 1
        answers = torch.cat([g.weight.view(-1) for g in batch]) >= mix.ANSWER
        return loss.item(), right[answers].float().mean().item()

    def run(self) -> None:
        """Train to the end."""
        examples = Examples(self.folder, self.step)
        begin, first, recent = time.time(), self.step, []
        while self.step < self.steps:
            recent.append(self.learn(examples.batch(self.step, self.step / self.steps)))
            if self.step % LOG_EVERY == 0:
                loss, right = np.mean(recent[-LOG_EVERY:], axis=0)
                pace = (time.time() - begin) / (self.step - first)
                print(
                    f"step {self.step} loss {loss:.4f} right {right:.4f} rate {self.rate():.5f}"
                    f" s/step {pace:.3f} s {time.time() - begin:.0f}",
                    flush=True,
                )
            if self.step % SAVE_EVERY == 0 or self.step == self.steps:
                self.save()


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    torch.set_num_threads(2)
    Trainer(args.folder, args.steps).run()


if __name__ == "__main__":
    main()

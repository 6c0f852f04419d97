"""One `generate` call of transformers: every token is chosen here and told as events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria

from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    FinishReason,
    TokenLogprob,
)
from localai.domain.parts import Text
from localai.worker.hf.choosing import Chooser, logprob_of
from localai.worker.hf.pieces import Pieces
from localai.worker.stop_guard import StopGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localai.worker.hf.grammars import Mask

_UNUSED_PART = Text(text="")


@dataclass(slots=True, kw_only=True)
class Choice:
    """One answer on its way."""

    index: int
    chooser: Chooser
    pieces: Pieces
    guard: StopGuard
    mask: Mask | None = None
    tokens: int = 0
    is_over: bool = False
    logprobs: list[TokenLogprob] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What does not change during a call. `tell` may be called from any thread."""

    ends: frozenset[int]
    most_tokens: int
    logprobs: int | None
    name: Callable[[int], tuple[str, bytes]]
    tell: Callable[[list[Event]], None]


class Teller(LogitsProcessor):  # type: ignore[misc]  # transformers has no types
    """Chooses the token of each row and says what it adds.

    `generate` is left with one token a row that is not minus infinity, so that its greedy search
    takes the one chosen here: seeds, logprobs and stops are then the same for every model class.
    """

    def __init__(self, run: Run, choices: Sequence[Choice]) -> None:
        self._run = run
        self._choices = choices
        self.is_cancelled = False

    @property
    def over(self) -> list[bool]:
        """Which rows have ended."""
        return [choice.is_over or self.is_cancelled for choice in self._choices]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 - transformers' signature
        """The scores of shape (rows, vocabulary) with one choice left in each row."""
        return self._choose(scores)

    def _choose(self, scores: torch.Tensor) -> torch.Tensor:
        chosen = torch.zeros(scores.shape[0], dtype=torch.long)
        events: list[Event] = []
        for row, choice in enumerate(self._choices):
            if choice.is_over or self.is_cancelled:
                continue
            logits = scores[row].detach().float().cpu()
            token_id = choice.chooser.choose(logits.clone())
            chosen[row] = token_id
            events += self._said(choice, token_id, logits)
        if events:
            self._run.tell(events)
        only = torch.full_like(scores, -float("inf"))
        only[torch.arange(scores.shape[0]), chosen.to(scores.device)] = 0.0
        return only

    def _said(self, choice: Choice, token_id: int, logits: torch.Tensor) -> list[Event]:
        run = self._run
        if token_id in run.ends:
            return self._end(choice, FinishReason.STOP)
        choice.tokens += 1
        if run.logprobs is not None:
            choice.logprobs.append(logprob_of(logits, token_id, run.logprobs, run.name))
        out: list[Event] = []
        if choice.tokens == 1:
            out.append(BlockStarted(choice.index, 0, BlockKind.TEXT))
        out += self._text(choice, choice.pieces.add(token_id))
        if choice.guard.found is not None:
            return out + self._end(choice, FinishReason.STOP_SEQUENCE)
        if choice.mask is not None and choice.mask.accept(token_id):
            return out + self._end(choice, FinishReason.STOP)
        if choice.tokens >= run.most_tokens:
            return out + self._end(choice, FinishReason.LENGTH)
        return out

    def _text(self, choice: Choice, text: str) -> list[Event]:
        if not text:
            return []
        logprobs, choice.logprobs = tuple(choice.logprobs), []
        delta = Delta(choice.index, 0, BlockKind.TEXT, text, b"", logprobs)
        return list(choice.guard.feed(delta))

    def _end(self, choice: Choice, reason: FinishReason) -> list[Event]:
        choice.is_over = True
        out: list[Event] = []
        if choice.guard.found is None:
            out += self._text(choice, choice.pieces.rest())
        if choice.guard.found is None:
            out += choice.guard.release()
        else:
            reason = FinishReason.STOP_SEQUENCE
        if choice.tokens:
            out.append(BlockEnded(choice.index, 0, _UNUSED_PART))
        return [*out, ChoiceEnded(choice.index, reason, choice.guard.found)]


class Ends(StoppingCriteria):  # type: ignore[misc]  # transformers has no types
    """Ends the rows that `teller` ended, and all of them when it was cancelled."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:  # noqa: ARG002 - transformers' signature
        """One truth value a row."""
        return torch.tensor(self._teller.over, device=input_ids.device)


def run_generate(
    model: Any, ids: Sequence[int], teller: Teller, *, rows: int, most: int, pad: int
) -> None:
    """Blocks until all rows have ended."""
    tensor = torch.tensor([list(ids)] * rows, device=model.device)
    plain = GenerationConfig(
        do_sample=False, max_new_tokens=most, use_cache=True, pad_token_id=pad,
        repetition_penalty=1.0, no_repeat_ngram_size=0, num_beams=1,
    )  # fmt: skip
    with torch.inference_mode():
        model.generate(
            input_ids=tensor,
            attention_mask=torch.ones_like(tensor),
            generation_config=plain,
            logits_processor=[teller],
            stopping_criteria=[Ends(teller)],
        )

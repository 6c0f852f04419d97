"""The choice of the next token from a model's logits, with the parameters of a request."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch

from localai.domain.errors import Unsupported
from localai.domain.events import TokenLogprob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localai.domain.generation import Sampling

_NO_FORM = ("mirostat", "dry_multiplier", "xtc_probability")  # samplers that only llama.cpp has
_MOSTLY_ENOUGH = (256, 4096)  # tokens that make up the share of top_p in most places of a text
_LOOK_BACK = 64  # tokens that repeat_penalty sees, as in llama.cpp


def refuse_unknown(sampling: Sampling) -> None:
    """Raise Unsupported for what is asked for and cannot be done here."""
    for name in _NO_FORM:
        if getattr(sampling, name):
            raise Unsupported(
                f"This engine has no {name}.",
                feature=name,
                param=name,
                hint="Leave it out, or run the model's GGUF with llama.cpp.",
            )


class Chooser:
    """Chooses the tokens of one answer.

    `mask` fills out what a grammar forbids, in place; None without a grammar. Order: bias,
    penalties, grammar, then top_k, typical_p, top_p, min_p, temperature, as llama.cpp does it.
    """

    def __init__(
        self,
        sampling: Sampling,
        *,
        seed: int | None,
        prompt: Sequence[int],
        forbidden: Sequence[int],
        mask: Callable[[torch.Tensor], None] | None,
    ) -> None:
        self._sampling = sampling
        self._temperature = 1.0 if sampling.temperature is None else sampling.temperature
        self._generator = torch.Generator()
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(seed)
        self._said: list[int] = []
        self._prompt = list(prompt)
        self._forbidden = list(forbidden)
        self._mask = mask

    def choose(self, logits: torch.Tensor) -> int:
        """One token id from logits of shape (vocabulary,), which are changed."""
        scores = logits.float().cpu()
        for token_id, bias in (self._sampling.logit_bias or {}).items():
            if 0 <= token_id < len(scores):
                scores[token_id] += bias
        self._penalize(scores)
        if self._forbidden:  # a tokenizer may know more tokens than its model
            scores[[token_id for token_id in self._forbidden if token_id < len(scores)]] = -math.inf
        if self._mask is not None:
            self._mask(scores)
        chosen = int(scores.argmax()) if self._temperature <= 0 else self._draw(scores)
        self._said.append(chosen)
        return chosen

    def _penalize(self, scores: torch.Tensor) -> None:
        sampling = self._sampling
        repeat = sampling.repeat_penalty or 1.0
        if repeat != 1.0:
            back = _LOOK_BACK if sampling.repeat_last_n is None else sampling.repeat_last_n
            seen = self._prompt + self._said
            recent = seen if back < 0 else seen[len(seen) - back :] if back else []
            if recent:
                ids = torch.tensor(sorted(set(recent)))
                values = scores[ids]
                scores[ids] = torch.where(values > 0, values / repeat, values * repeat)
        presence, frequency = sampling.presence_penalty or 0.0, sampling.frequency_penalty or 0.0
        if presence or frequency:
            for token_id, count in Counter(self._said).items():
                scores[token_id] -= presence + frequency * count

    def _draw(self, scores: torch.Tensor) -> int:
        """A token id by chance. Sorting a whole vocabulary takes longer than a GPU needs for a token."""
        sampling = self._sampling
        token_ids: torch.Tensor | None = None  # of the scores that are left; None while all are
        if sampling.top_k and 0 < sampling.top_k < len(scores):
            scores, token_ids = torch.topk(scores, sampling.top_k)
        if sampling.typical_p is not None and 0 < sampling.typical_p < 1:
            _keep_typical(scores, sampling.typical_p)
        if sampling.top_p is not None and sampling.top_p < 1:
            scores, places = _top(scores, sampling.top_p)
            token_ids = places if token_ids is None else token_ids[places]
        if sampling.min_p:
            scores = scores.masked_fill(scores < scores.max() + math.log(sampling.min_p), -math.inf)
        sums = (scores.double() / self._temperature).softmax(-1).cumsum(-1)
        drawn = torch.rand(1, generator=self._generator, dtype=sums.dtype) * sums[-1]
        place = int(torch.searchsorted(sums, drawn, right=True))  # never one of probability zero
        return place if token_ids is None else int(token_ids[place])


def _top(scores: torch.Tensor, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The most likely tokens that make up `share`: their scores and places, the likeliest first.

    Source: arXiv:1904.09751.
    """
    total = scores.logsumexp(-1)
    for few in (*_MOSTLY_ENOUGH, len(scores)):
        best, places = torch.topk(scores, min(few, len(scores)))
        sums = (best - total).exp().cumsum(-1)
        if sums[-1] >= share:
            break
    kept = sums.roll(1) < max(share, 1e-9)
    kept[0] = True
    return best[kept], places[kept]


def _keep_typical(scores: torch.Tensor, share: float) -> None:
    """Keep the tokens whose surprise is nearest to the expected one. Source: arXiv:2202.00666."""
    logs = scores.log_softmax(-1)
    entropy = -(logs.exp() * logs).nansum()
    order = (-logs - entropy).abs().sort().indices
    before = logs[order].exp().cumsum(-1).roll(1)
    before[0] = 0.0
    scores[order[before >= share]] = -math.inf


def logprob_of(
    logits: torch.Tensor, chosen: int, top: int, name: Callable[[int], tuple[str, bytes]]
) -> TokenLogprob:
    """The log probability of `chosen` before sampling, with the `top` most likely tokens."""
    logs = logits.float().log_softmax(-1)

    def entry(token_id: int, others: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
        text, data = name(token_id)
        return TokenLogprob(token_id, text, data, float(logs[token_id]), others)

    best: Any = torch.topk(logs, min(top, len(logs))).indices.tolist() if top else []
    return entry(chosen, tuple(entry(token_id) for token_id in best))

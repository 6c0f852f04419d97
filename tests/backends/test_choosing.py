"""The choice of tokens by the engines of the Hugging Face kind, held against its definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from localai.engines.manifest import Manifest
from tests.backends import inside_choosing as inside
from tests.engines.installed import results_of
from tests.live import PATIENCE_S

TIMES = 4000
FEW = [2.0, 1.5, 1.0, 0.5, 0.0, -1.0, -3.0, -9.0]
MANY = [8.0, *np.random.default_rng(1).standard_normal(2000).round(6).tolist()]
CASES: dict[str, tuple[list[float], dict[str, Any]]] = {
    "temperature": (FEW, {"temperature": 1.0}),
    "a low temperature": (FEW, {"temperature": 0.4}),
    "top_k": (FEW, {"top_k": 3}),
    "top_p": (FEW, {"top_p": 0.8}),
    "a tiny top_p": (FEW, {"top_p": 0.0}),
    "min_p": (FEW, {"min_p": 0.2}),
    "typical_p": (FEW, {"typical_p": 0.5}),
    "all at once": (FEW, {"top_k": 6, "top_p": 0.9, "min_p": 0.1, "temperature": 0.7}),
    "top_p of many that are alike": (MANY, {"top_p": 0.95}),
    "top_p of one that stands out": (MANY, {"top_p": 0.5}),
    "top_k of many": (MANY, {"top_k": 40, "top_p": 0.95}),
}

pytestmark = pytest.mark.timeout(10 * PATIENCE_S)  # the engine may take a minute to be imported


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, int]]:
    """How often each token was drawn, in each case."""
    asked = [
        {"logits": logits, "times": TIMES, "sampling": {"temperature": 1.0} | sampling}
        for logits, sampling in CASES.values()
    ]
    found = results_of(
        Manifest().find("transformers"),
        inside.__name__,
        {"draws": asked},
        tmp_path_factory.mktemp("draws"),
    )
    counts = [{int(token): count for token, count in one.items()} for one in found]
    return dict(zip(CASES, counts, strict=True))


def chances(logits: list[float], sampling: dict[str, Any]) -> np.ndarray:
    """The probability of each token, step by step over the whole vocabulary."""
    scores = np.array(logits)

    def shares() -> np.ndarray:
        weights = np.exp(scores - scores.max())
        return np.asarray(weights / weights.sum())

    if "top_k" in sampling:
        scores[np.argsort(-scores)[sampling["top_k"] :]] = -math.inf
    if "typical_p" in sampling:
        odds = shares()
        surprise = np.abs(-np.log(odds) - (odds * -np.log(odds)).sum())
        order = np.argsort(surprise)
        before = np.cumsum(odds[order]) - odds[order]
        scores[order[before >= sampling["typical_p"]]] = -math.inf
    if "top_p" in sampling:
        odds = shares()
        order = np.argsort(-scores)
        before = np.cumsum(odds[order]) - odds[order]
        scores[order[before >= max(sampling["top_p"], 1e-9)]] = -math.inf
    if "min_p" in sampling:
        odds = shares()
        scores[odds < sampling["min_p"] * odds.max()] = -math.inf
    scores = scores / sampling.get("temperature", 1.0)
    return shares()


@pytest.mark.parametrize("name", CASES)
def test_tokens_are_drawn_as_often_as_they_should(
    drawn: dict[str, dict[int, int]], name: str
) -> None:
    expected = chances(*CASES[name])
    counts = drawn[name]
    assert sum(counts.values()) == TIMES
    assert all(expected[token] > 0 for token in counts), "a token that was ruled out"
    for token in np.argsort(-expected)[:8]:
        chance = float(expected[token])
        spread = math.sqrt(TIMES * chance * (1 - chance))
        assert abs(counts.get(int(token), 0) - TIMES * chance) <= 5 * spread + 1

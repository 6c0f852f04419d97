"""Run by the engine's own Python: which tokens are drawn, and how often, from logits given as JSON."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from localai.domain.generation import Sampling


def drawn(logits: list[float], times: int, **sampling: Any) -> dict[int, int]:
    """How often each token was chosen."""
    import torch  # which the tests themselves do not have

    from localai.worker.hf.choosing import Chooser

    chooser = Chooser(Sampling(**sampling), seed=5, prompt=(), forbidden=(), mask=None)
    scores = torch.tensor(logits)
    return Counter(chooser.choose(scores.clone()) for _ in range(times))


if __name__ == "__main__":
    given = json.load(sys.stdin)
    found = [drawn(one["logits"], one["times"], **one["sampling"]) for one in given["draws"]]
    Path(given["out"]).write_text(json.dumps(found))

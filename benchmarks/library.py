"""An engine's library, called directly in one process: `PYTHON -m benchmarks.library KIND MODEL`.

It is run by the engine's own Python. Texts come as one line of JSON on stdin, `[texts, batch size]`; the
seconds that the library took for them go to stdout, a line each. KIND is vectors, pairs or rerankers.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[[list[str], int], Any]


def vectors(model: str) -> Work:
    from sentence_transformers import SentenceTransformer

    loaded = SentenceTransformer(model, device="cpu", local_files_only=True)
    return lambda texts, size: loaded.encode(texts, batch_size=size, show_progress_bar=False)


def pairs(model: str) -> Work:
    from sentence_transformers import CrossEncoder

    loaded = CrossEncoder(model, device="cpu", local_files_only=True)
    return lambda texts, size: loaded.rank(
        texts[0], texts[1:], batch_size=size, show_progress_bar=False
    )


def rerankers(model: str) -> Work:
    from rerankers import Reranker

    loaded = Reranker(model, model_type="cross-encoder", device="cpu", dtype="float32", verbose=0)
    return lambda texts, size: loaded.rank(
        texts[0], texts[1:], doc_ids=list(range(len(texts) - 1)), batch_size=size
    )


def make_ranker(source: str, folder: str) -> None:
    """A cross-encoder of the size of the model in `source`, with a head of random weights."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=1)
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(folder)


def main() -> None:
    kind, model, *more = sys.argv[1:]
    if kind == "make-ranker":
        make_ranker(model, *more)
        return
    work = {"vectors": vectors, "pairs": pairs, "rerankers": rerankers}[kind](str(Path(model)))
    print("ready", flush=True)
    for line in sys.stdin:
        texts, size = json.loads(line)
        began = time.perf_counter()
        work(texts, size)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()

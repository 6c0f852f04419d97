"""Run by the engine's own Python: what the library gives for the same inputs, and what our backend gives.

It reads where the models are as JSON on stdin, and writes all results as JSON: importing the library
takes seconds, so there is one such process for all tests. The T5 is made here as well, by
the library's own classes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from localai.backends.rerankers import Backend
from localai.domain.errors import LocalAIError
from localai.domain.vectors import RerankRequest
from localai.wire.messages import LoadRequest

LONG = "the cat sat on the mat " * 200
DOCUMENTS = ["paris is the capital", "the cat sat", "dog", "france " * 40, "the mat of the cat"]
QUERY = "capital of france"


async def load(path: str, *options: str, **settings: Any) -> Backend:
    return await Backend.load(
        LoadRequest(model="m", model_path=path, options=list(options), settings=settings)
    )


async def tried(work: Any) -> Any:
    """The result, or the error as kind and message."""
    try:
        return await work
    except LocalAIError as error:
        return {"kind": error.kind, "message": error.sentence, "fields": error.fields}


async def scores(backend: Backend, documents: list[str], query: str = QUERY) -> Any:
    found = await backend.rerank(RerankRequest(query=query, documents=tuple(documents)))
    return {"scores": list(found.scores), "tokens": found.prompt_tokens}


def library(path: str, kind: str) -> dict[str, Any]:
    from rerankers import Reranker

    offline = {"local_files_only": True}
    ranker = Reranker(
        path, model_type=kind, device="cpu", dtype="float32", verbose=0,
        model_kwargs=offline, tokenizer_kwargs=offline,
    )  # fmt: skip
    rows = ranker.rank(QUERY, DOCUMENTS, doc_ids=list(range(len(DOCUMENTS)))).results
    return {
        "order": [row.doc_id for row in rows],
        "scores": [float(row.score) for row in sorted(rows, key=lambda row: row.doc_id)],
    }


def make_t5(folder: Path, like: str) -> str:
    """A T5 with random weights that answers true or false."""
    import torch
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(like)
    tokenizer.add_tokens(["▁true", "▁false"])
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        decoder_start_token_id=0, pad_token_id=0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


async def ranking(path: str, kind: str) -> dict[str, Any]:
    backend = await load(path)
    found = {
        "plain": await scores(backend, DOCUMENTS),
        "together": await asyncio.gather(*(scores(backend, [text]) for text in DOCUMENTS)),
        "queries": await asyncio.gather(
            *(scores(backend, DOCUMENTS, query) for query in (QUERY, "the cat") * 4)
        ),
        "cut": await tried(scores(backend, [LONG, "cat"])),
        "facts": backend.facts.context_size,
        "device": backend.facts.device,
        "library": library(path, kind),
    }
    await backend.close()
    strict = await load(path, "truncate:false", f"type:{kind}", "batch_tokens:1", threads=1)
    found["one by one"] = await scores(strict, DOCUMENTS)
    found["too long"] = await tried(scores(strict, ["cat", LONG]))
    await strict.close()
    half = await load(path, f16=True)
    found["half"] = await scores(half, DOCUMENTS)
    await half.close()
    return found


async def main(models: dict[str, Any]) -> dict[str, Any]:
    here, ranker = Path(models["folder"]), models["cross-encoder"]
    found: dict[str, Any] = {
        "cross-encoder": await ranking(ranker, "cross-encoder"),
        "t5": await ranking(make_t5(here / "t5", ranker), "t5"),
    }
    found["broken"] = {name: await tried(load(path)) for name, path in models["broken"].items()}
    for name, options, settings in (
        ("type", (), {"type": "rankgpt"}),
        ("colbert", (), {"type": "colbert"}),
        ("unknown", ("truncat:true",), {}),
        ("cuda", (), {"main_gpu": "cuda.99"}),
    ):
        found["broken"][name] = await tried(load(ranker, *options, **settings))
    return found


if __name__ == "__main__":
    given = json.load(sys.stdin)
    Path(given["out"]).write_text(json.dumps(asyncio.run(main(given))))

"""Run by the engine's own Python: what the library gives for the same inputs, and what our backend gives.

It reads where the models are as JSON on stdin, and prints all results as JSON: importing the library
takes seconds, so there is one such process for all tests.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from array import array
from pathlib import Path
from typing import Any

from localai.backends.sentencetransformers import Backend
from localai.domain.errors import LocalAIError
from localai.domain.vectors import EmbedRequest, RerankRequest
from localai.wire.messages import LoadRequest

TEXTS = ["the cat sat on the mat", "paris", "the capital of france is paris " * 12, "a dog"]
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


async def vectors(backend: Backend, *inputs: Any, **fields: Any) -> Any:
    found = await backend.embed(EmbedRequest(inputs=inputs, **fields))
    return {"vectors": [list(array("f", vector)) for vector in found.vectors], "tokens": found.prompt_tokens}  # fmt: skip


async def scores(backend: Backend, documents: list[str], query: str = QUERY) -> Any:
    found = await backend.rerank(RerankRequest(query=query, documents=tuple(documents)))
    return {"scores": list(found.scores), "tokens": found.prompt_tokens}


def library(path: str) -> dict[str, Any]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(path, device="cpu", local_files_only=True)

    def encode(texts: list[str], **fields: Any) -> Any:
        return model.encode(texts, show_progress_bar=False, **fields).tolist()

    return {
        "plain": encode(TEXTS, normalize_embeddings=True),
        "cut": encode([LONG], normalize_embeddings=True),
        "query": encode(TEXTS, prompt_name="query", normalize_embeddings=True)
        if model.prompts.get("query")
        else None,
        "short": encode(TEXTS, truncate_dim=16, normalize_embeddings=True),
        "tokens": sum(len(ids) for ids in model.tokenizer(TEXTS)["input_ids"]),
    }


def library_ranks(path: str) -> dict[str, Any]:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(path, device="cpu", local_files_only=True)
    rows = model.rank(QUERY, DOCUMENTS, show_progress_bar=False)
    return {
        "order": [row["corpus_id"] for row in rows],
        "scores": [float(row["score"]) for row in sorted(rows, key=lambda row: row["corpus_id"])],
    }


async def embedding(path: str) -> dict[str, Any]:
    backend = await load(path)
    tokenizer = backend._loaded.model.tokenizer
    ids = tuple(tokenizer(TEXTS[0])["input_ids"])
    found = {
        "plain": await vectors(backend, *TEXTS),
        "together": (
            await asyncio.gather(*(vectors(backend, text) for text in TEXTS * 8)),
            await vectors(backend, *TEXTS * 8),
        ),
        "ids": await vectors(backend, ids, TEXTS[0]),
        "too long": await tried(vectors(backend, "a", LONG)),
        "cut": await vectors(backend, LONG, truncate=True),
        "very long": await vectors(backend, LONG * 400, truncate=True),
        "white space": await vectors(backend, TEXTS[0], " " * 100_000 + TEXTS[0], truncate=True),
        "query": await tried(vectors(backend, *TEXTS, prompt_name="query")),
        "no such prompt": await tried(vectors(backend, "a", prompt_name="poem")),
        "rank": await tried(scores(backend, ["a"])),
        "facts": backend.facts.context_size,
        "device": backend.facts.device,
    }
    await backend.close()
    return found


async def with_options(path: str) -> dict[str, Any]:
    found = {}
    for name, options, settings in (
        ("short", ["truncate_dim:16"], {}),
        ("long vectors", ["normalize:false"], {}),
        ("query", ["prompt_name:query"], {}),
        ("prompt", ["prompt:the dog is "], {}),
        ("cut", ["truncate:true"], {}),
        ("small batches", ["batch_tokens:1"], {"threads": 1}),
        ("half", [], {"f16": True}),
        ("context", [], {"context_size": 32}),
    ):
        backend = await load(path, *options, **settings)
        found[name] = await tried(vectors(backend, *TEXTS))
        found[f"{name}: long"] = await tried(vectors(backend, LONG))
        await backend.close()
    for name, options, settings in (
        ("no such prompt", ["prompt_name:poem"], {}),
        ("too many positions", ["max_seq_length:4096"], {}),
        ("type", [], {"type": "Llama"}),
        ("dtype", [], {"dtype": "int3"}),
        ("unknown", ["truncat:true"], {}),
        ("cuda", [], {"main_gpu": "cuda.99"}),
    ):
        found[name] = await tried(load(path, *options, **settings))
    longer = await load(path, "max_seq_length:40")
    found["facts"] = longer.facts.context_size
    return found


async def ranking(path: str) -> dict[str, Any]:
    backend = await load(path)
    found = {
        "plain": await scores(backend, DOCUMENTS),
        "together": await asyncio.gather(*(scores(backend, [text]) for text in DOCUMENTS)),
        "cut": await scores(backend, [LONG, "cat"]),
        "embed": await tried(vectors(backend, "a")),
    }
    strict = await load(path, "truncate:false")
    found["too long"] = await tried(scores(strict, ["cat", LONG]))
    return found


async def onnx(models: dict[str, str]) -> dict[str, Any]:
    backend = await load(models["alone"])
    found: dict[str, Any] = {
        "alone": await vectors(backend, *TEXTS),
        "together": [
            row
            for one in await asyncio.gather(*(vectors(backend, text) for text in TEXTS))
            for row in one["vectors"]
        ],
        "device": backend.facts.device,
    }
    await backend.close()
    for name, options in (("named", ["file_name:onnx/small.onnx"]), ("weights", [])):
        found[name] = await vectors(await load(models["both"], *options), *TEXTS)
    if "minilm" in models:
        found["minilm"] = await vectors(await load(models["minilm"]), *TEXTS)
    for name, model, options, settings in (
        ("not there", "both", ["runtime:onnx"], {}),
        ("of another name", "both", ["file_name:onnx/large.onnx"], {}),
        ("out of the folder", "both", ["file_name:../model.onnx"], {}),
        ("no encoder", "other", ["runtime:onnx"], {}),
        ("no runtime", "both", ["runtime:vulkan"], {}),
        ("on a card", "alone", [], {"main_gpu": "cuda"}),
    ):
        found[name] = await tried(load(models[model], *options, **settings))
    return found


def in_its_own_form(models: dict[str, str], folder: Path) -> str:
    """A model as OpenVINO's users publish it: its own form, and no other."""
    import openvino

    shutil.copytree(models["alone"], folder, ignore=shutil.ignore_patterns("*.onnx"))
    graph = openvino.Core().read_model(f"{models['alone']}/model.onnx")
    openvino.save_model(graph, folder / "openvino" / "openvino_model.xml", compress_to_fp16=False)
    return str(folder)


def torn(model: str) -> str:
    copy = Path(shutil.copytree(model, f"{model} torn"))
    (copy / "openvino" / "openvino_model.xml").write_text("<net")
    return str(copy)


async def openvino(models: dict[str, str], minilm: str, ranker: str) -> dict[str, Any]:
    own = in_its_own_form(models, Path(models["alone"]).with_name("own"))
    exact, found = "dtype:float32", {}
    for name, path, options in (
        ("its own", own, [exact]),
        ("of ONNX", models["both"], [exact, "runtime:openvino", "file_name:onnx/small.onnx"]),
        ("of weights", models["both"], [exact, "runtime:openvino"]),
        ("minilm", minilm, [exact, "runtime:openvino"]),
    ):
        if not path:
            continue
        backend = await load(path, *options)
        alone = await asyncio.gather(*(vectors(backend, text) for text in TEXTS))
        found[name] = await vectors(backend, *TEXTS) | {
            "together": [row for one in alone for row in one["vectors"]],
            "device": backend.facts.device,
        }
        await backend.close()
    ranking = await load(ranker, exact, "runtime:openvino")
    found["ranker"] = await scores(ranking, DOCUMENTS)
    await ranking.close()
    for name, path, options, settings in (
        ("torn", torn(own), [], {}),
        ("of another name", own, ["file_name:openvino/small.xml"], {}),
        ("of another kind", own, ["file_name:openvino/openvino_model.bin"], {}),
        ("for another", own, ["runtime:onnx", "file_name:openvino/openvino_model.xml"], {}),
        ("on a card", own, [], {"main_gpu": "cuda"}),
    ):
        found[name] = await tried(load(path, *options, **settings))
    return found


async def broken(models: dict[str, str]) -> dict[str, Any]:
    return {name: await tried(load(path)) for name, path in models.items()}


async def main(models: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("tiny", "minilm"):
        if name in models:
            found[name] = await embedding(models[name])
            found[f"{name} of the library"] = library(models[name])
    found["options"] = await with_options(models["tiny"])
    found["ranker"] = await ranking(models["ranker"])
    found["ranker of the library"] = library_ranks(models["ranker"])
    found["broken"] = await broken(models["broken"])
    found["onnx"] = await onnx(models["onnx"])
    found["openvino"] = await openvino(models["onnx"], models.get("minilm", ""), models["ranker"])
    return found


if __name__ == "__main__":
    given = json.load(sys.stdin)
    Path(given["out"]).write_text(json.dumps(asyncio.run(main(given))))

"""Run by the engine's own Python: what PyTorch makes of the same models, and what our backend does.

It reads where the models are as JSON on stdin, and writes all results as JSON: importing the library
takes seconds, so there is one such process for all tests.
"""

from __future__ import annotations

import asyncio
import json
import sys
from array import array
from pathlib import Path
from typing import Any

from localai.backends.openvino import Backend
from localai.domain.errors import LocalAIError
from localai.domain.events import Delta, Finished
from localai.domain.generation import Chat, GenerationRequest, Sampling
from localai.domain.parts import Message, Role, Text
from localai.domain.vectors import EmbedRequest
from localai.wire.messages import LoadRequest

TEXTS = ("the cat sat on the mat", "paris", "the capital of france is paris " * 12, "a dog")
DEVICES = ("CPU", "AUTO", "MULTI", "HETERO", "MULTI:CPU", "HETERO:CPU", "GPU", "NPU", "AUTO:-CPU")


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


async def said(backend: Backend, text: str, **fields: Any) -> Any:
    message = Message(role=Role.USER, parts=(Text(text=text),))
    request = GenerationRequest(
        model="m",
        prompt=Chat(messages=(message,)),
        sampling=Sampling(temperature=0.0),
        **{"max_tokens": 24, **fields},
    )
    texts: dict[int, str] = {}
    count = 0
    async for batch in backend.generate(request):
        for event in batch:
            if isinstance(event, Delta):
                texts[event.choice] = texts.get(event.choice, "") + event.text
            if isinstance(event, Finished):
                count = event.usage.completion_tokens
    return {"texts": texts, "tokens": count}


def library_vectors(path: str) -> Any:
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)
    found = []
    for text in TEXTS:
        with torch.inference_mode():
            states = model(
                **tokenizer(text, return_tensors="pt", truncation=True)
            ).last_hidden_state
        found.append(torch.nn.functional.normalize(states[0].mean(0), dim=0).tolist())
    return found


async def embedding(path: str) -> dict[str, Any]:
    exact = await load(path, "precision:f32", "keep_export:true", embeddings=True, threads=2)
    found = {
        "exact": await vectors(exact, *TEXTS),
        "together": await asyncio.gather(*(vectors(exact, text) for text in TEXTS * 8)),
        "too long": await tried(vectors(exact, "a", "the cat " * 400)),
        "cut": await vectors(exact, "the cat " * 400, truncate=True),
        "generate": await tried(said(exact, "hello")),
        "device": exact.facts.device,
        "context": exact.facts.context_size,
    }
    await exact.close()
    usual = await load(path, type="OVModelForFeatureExtraction", f16=True)  # from what was kept
    found["usual"] = await vectors(usual, *TEXTS)
    found["warnings"] = usual.facts.warnings
    await usual.close()
    again = await load(path, quantization="xpu_8bit", embeddings=True)
    found["late"] = again.facts.warnings
    await again.close()
    return found


async def writing(path: str, other: str) -> dict[str, Any]:
    backend = await load(path, "keep_export:true", type="OVModelForCausalLM", context_size=512)
    found = {
        "plain": await said(backend, "hello"),
        "choices": await said(backend, "hello", choices=3),
        "together": await asyncio.gather(*(said(backend, "hello") for _ in range(4))),
        "embed": await tried(vectors(backend, "a")),
        "context": backend.facts.context_size,
        "template": backend.facts.has_chat_template,
    }
    await backend.close()
    for device in DEVICES:
        found[device] = await tried(_on(path, device))
    for name in ("xpu_4bit", "bnb_8bit"):
        smaller = await load(other, quantization=name)
        found[name] = {"text": await said(smaller, "hello"), "warnings": smaller.facts.warnings}
        await smaller.close()
    return found


async def _on(path: str, device: str) -> Any:
    backend = await load(path, main_gpu=device)
    found = {"device": backend.facts.device, "text": await said(backend, "hello")}
    await backend.close()
    return found


async def main(models: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "embedder": await embedding(models["embedder"]),
        "embedder of the library": library_vectors(models["embedder"]),
        "writer": await writing(models["writer"], models["other"]),
        "broken": {name: await tried(load(path)) for name, path in models["broken"].items()},
    }
    for name, settings in (
        ("type", {"type": "AutoModel"}),
        ("quantization", {"quantization": "q4"}),
    ):
        found["broken"][name] = await tried(load(models["writer"], **settings))
    return found


if __name__ == "__main__":
    given = json.load(sys.stdin)
    Path(given["out"]).write_text(json.dumps(asyncio.run(main(given))))

"""Whole answers of llama.cpp's backend, without a process around it."""

from __future__ import annotations

from pathlib import Path

from localai.domain.generation import GenerationRequest
from localai.domain.stream_rules import Answer, Fold, StreamRules
from localai.wire.messages import LoadRequest


async def answers(model: Path, *requests: GenerationRequest) -> list[Answer]:
    """What the model at `model` answers to each of `requests`, one after the other."""
    from localai.backends.llama_cpp import Backend

    settings = {"context_size": 2048, "threads": 1, "parallel": 2}
    backend = await Backend.load(LoadRequest(model="m", model_path=str(model), settings=settings))
    found = []
    try:
        for request in requests:
            rules, folding = StreamRules(request.choices), Fold()
            async for batch in backend.generate(request):
                for event in batch:
                    folding.feed(rules.feed(event))
            rules.close()
            found.append(folding.answer)
    finally:
        await backend.close()
    return found

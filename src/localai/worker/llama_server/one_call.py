"""Answers of at most one call.

llama.cpp's grammar of calls lets them be repeated, also when a request wants one at a time. So the
engine's work ends here, when it begins another.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from localai.domain.batches import Batches
from localai.domain.events import BlockKind, BlockStarted, ChoiceEnded, Event, FinishReason
from localai.domain.generation import GenerationRequest, ToolMode
from localai.worker.llama_server import chunks


def wants_one_call(request: GenerationRequest) -> bool:
    """Whether there may be a call, and no second one."""
    policy = request.tool_policy
    return bool(request.tools) and policy.mode is not ToolMode.NONE and not policy.parallel


async def until_second_call(
    answer: Batches[Event], translator: chunks.Translator
) -> AsyncGenerator[Sequence[Event], None]:
    """One choice's events up to the second call, which ends it."""
    called = False
    async with aclosing(answer) as batches:
        async for batch in batches:
            out: list[Event] = []
            for event in batch:
                if isinstance(event, BlockStarted) and event.kind is BlockKind.TOOL_CALL:
                    if called:
                        translator.completion_tokens = translator.generated
                        yield [*out, ChoiceEnded(event.choice, FinishReason.TOOL_CALLS)]
                        return
                    called = True
                out.append(event)
            yield out

"""Generating text: from a request and its model to a legal event stream."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from localai.catalog.defaults import with_defaults
from localai.domain.batches import Batches, batches_of, taken
from localai.domain.errors import (
    CoolingDown,
    InvalidRequest,
    LocalAIError,
    ModelFileInvalid,
    SpecInvalid,
    StartFailed,
)
from localai.domain.events import (
    BlockEnded,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Failed,
    Finished,
    Started,
    Timings,
    Usage,
)
from localai.domain.generation import CONTEXT_OPTION
from localai.domain.stream_rules import StreamRules
from localai.domain.tasks import Task
from localai.inference.edits import edited

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from localai.catalog.spec import ModelSpec
    from localai.domain.batches import Take
    from localai.domain.generation import GenerationRequest
    from localai.inference.library import Library
    from localai.supervisor.pool import Pool

_BUFFERED_BATCHES = 64
_UNFIT = (SpecInvalid, ModelFileInvalid, StartFailed, CoolingDown)


def generate(
    request: GenerationRequest, spec: ModelSpec, *, library: Library, pool: Pool
) -> Batches[Event]:
    """Answer `request` with `spec` as a legal stream, in batches of events that came together.

    Never raises a domain error: the stream ends with Failed instead. Ending it early cancels.
    """

    async def deliver(take: Take[Event]) -> None:
        rules = StreamRules(request.choices)
        feed = rules.feed
        try:
            complete = await prepared(request, spec, library=library, pool=pool)
            answer = pool.run(complete, with_defaults(request, complete))
            if complete.edits is not None:
                answer = edited(answer, complete.edits, origin=complete.origin)
            await answer.into(lambda batch: take([feed(event) for event in batch]))
            rules.close()
        except LocalAIError as error:
            if not rules.done:
                await taken(take, [Failed(_blamed(error, request))])

    return Batches(deliver)


def _blamed(error: LocalAIError, request: GenerationRequest) -> LocalAIError:
    """The error, which is the caller's when it comes from an engine that the request chose."""
    if not request.backend or not isinstance(error, _UNFIT):
        return error
    message = f"backend is {request.backend[:40]!r}, which cannot run this model: {error.message}"
    return InvalidRequest(message, param="backend", hint=error.hint)


async def prepared(
    request: GenerationRequest, spec: ModelSpec, *, library: Library, pool: Pool
) -> ModelSpec:
    """`spec` as `request` wants it: with its engine, and with a context of at least its size.

    A larger context stays as long as the model is loaded. Raises ModelFileInvalid,
    BackendNotInstalled, Unsupported for one that writes nothing.
    """
    if not pool.is_in_use(spec.name):
        library.forget_context(spec.name)
    asked = int(request.engine_options.get(CONTEXT_OPTION, 0))
    complete = await library.prepare(spec, backend=request.backend, context_size=asked)
    library.require(complete, Task.GENERATE)
    return complete


def generate_all(
    requests: Sequence[GenerationRequest], spec: ModelSpec, *, library: Library, pool: Pool
) -> Batches[Event]:
    """Answer several prompts of one call together, as one legal stream.

    The choices of prompt p are numbered from p*n on; usage adds up. The first failure ends all.
    """
    if len(requests) == 1:
        return generate(requests[0], spec, library=library, pool=pool)
    return batches_of(_generate_several(requests, spec, library=library, pool=pool))


async def _generate_several(
    requests: Sequence[GenerationRequest], spec: ModelSpec, *, library: Library, pool: Pool
) -> AsyncGenerator[Sequence[Event], None]:
    arrived: asyncio.Queue[tuple[int, Sequence[Event]]] = asyncio.Queue(_BUFFERED_BATCHES)

    async def collect(prompt: int, request: GenerationRequest) -> None:
        answer = generate(request, spec, library=library, pool=pool)
        await answer.into(lambda batch: arrived.put((prompt, batch)))

    tasks = [
        asyncio.create_task(collect(prompt, request)) for prompt, request in enumerate(requests)
    ]
    try:
        finished: list[Finished] = []
        while len(finished) < len(requests):
            prompt, batch = await arrived.get()
            moved = [_moved(event, prompt, prompt * requests[prompt].choices) for event in batch]
            finished += [event for event in moved if isinstance(event, Finished)]
            rest = [event for event in moved if not isinstance(event, Finished)]
            if rest:
                yield rest
            if any(isinstance(event, Failed) for event in rest):
                return
        yield [_sum(finished)]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _moved(event: Event, prompt: int, first_choice: int) -> Event:
    """The event of one prompt, as one of the whole call's."""
    if isinstance(event, Started):
        return dataclasses.replace(event, prompt=prompt)
    if isinstance(event, BlockStarted | Delta | BlockEnded | ChoiceEnded):
        return dataclasses.replace(event, choice=event.choice + first_choice)
    return event


def _sum(finished: Sequence[Finished]) -> Finished:
    usages = [event.usage for event in finished]
    times = [event.timings for event in finished]
    usage = Usage(
        sum(usage.prompt_tokens for usage in usages),
        sum(usage.completion_tokens for usage in usages),
        sum(usage.cached_tokens for usage in usages),
    )
    return Finished(
        usage,
        Timings(sum(t.prompt_ms or 0.0 for t in times), sum(t.generation_ms or 0.0 for t in times)),
    )

"""Answers in a form, from a model that may also call tools.

llama.cpp's grammar of a form leaves no room for a call: given tools and a JSON Schema, a model could
only ever answer. So an answer begins free. A call that comes first goes on as it is. Anything else
is dropped at its first word, and the same prompt, which the engine still has in its cache, is
answered anew in the form.

What a model thinks before that is passed on, and it thinks once more before it answers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from localai.domain.batches import Batches
from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    FinishReason,
)
from localai.domain.generation import GenerationRequest, PlainText, ToolMode
from localai.worker.llama_server import chunks

Events = AsyncGenerator[Sequence[Event], None]
Stream = Callable[[GenerationRequest, chunks.Translator], Batches[Event]]
Reader = Callable[[Event], list[Event]]


def may_call_or_answer(request: GenerationRequest) -> bool:
    """Whether tools may be called, and what is no call has a form."""
    may_call = bool(request.tools) and request.tool_policy.mode is ToolMode.AUTO
    return may_call and not isinstance(request.output, PlainText) and request.max_tokens != 0


async def call_or_answer(
    stream: Stream,
    request: GenerationRequest,
    translator: chunks.Translator,
    read: Reader,
    read_form: Reader,
) -> Events:
    """One choice: calls, or an answer in the form.

    `read` finds what stands in the free beginning, `read_form` what stands in the answer.
    Raises what `stream` raises.
    """
    free = stream(dataclasses.replace(request, output=PlainText()), translator)
    beginning = _Beginning()
    async with aclosing(free) as batches:
        async for batch in batches:
            kept = beginning.feed([made for event in batch for made in read(event)])
            if beginning.is_no_call:
                translator.begin_again()
            if kept:
                yield kept
            if beginning.is_no_call:
                break
    if not beginning.is_no_call:
        return
    async with aclosing(stream(request, translator)) as batches:
        async for batch in batches:
            yield [made for event in batch for made in read_form(event)]


class _Beginning:
    """Passes on thoughts and calls, until it is clear that no call comes."""

    def __init__(self) -> None:
        self.is_no_call = False
        self._called = False
        self._is_text = False

    def feed(self, events: Sequence[Event]) -> Sequence[Event]:
        """The events to pass on; none after the one that shows that no call comes."""
        if self._called:
            return events
        kept: list[Event] = []
        for event in events:
            if self._called:
                kept.append(event)
                continue
            match event:
                case BlockStarted(kind=kind):
                    self._called = kind is BlockKind.TOOL_CALL
                    self._is_text = kind is BlockKind.TEXT
                case Delta(kind=BlockKind.TEXT, text=text):
                    self.is_no_call = bool(text.strip())
                case ChoiceEnded(reason=reason):
                    self.is_no_call = reason is not FinishReason.LENGTH
                case _:
                    pass
            if self.is_no_call:
                break
            if not (self._is_text and isinstance(event, BlockStarted | Delta | BlockEnded)):
                kept.append(event)
        return kept

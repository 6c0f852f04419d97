"""Echo: answers with the words it was asked. No engine, no dependency, always the same.

It is the reference for a backend's shape and the double that tests of the supervisor use: the
settings below make it slow, make it hang or make it die on purpose.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Self

import msgspec

from localai.domain.errors import ContextTooLong, SpecInvalid, StartFailed
from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Finished,
    FinishReason,
    Started,
    Usage,
)
from localai.domain.generation import Chat, Completion, GenerationRequest
from localai.domain.parts import Text
from localai.wire.messages import LoadRequest, ModelFacts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

_BLOCK = 0


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of an echo model, all for tests.

    `delay_s` is the pause before each word, `load_s` the time loading takes, `repeat` how often
    the prompt is said. `crash_after`, `freeze_after` count words until the process kills or stops itself, and
    `hang_after` until the answer just stalls. `fail_load` is the message loading fails with.
    """

    delay_s: float = 0.0
    load_s: float = 0.0
    repeat: int = 1
    slots: int = 4
    context_size: int = 4096
    crash_after: int = -1
    freeze_after: int = -1
    hang_after: int = -1
    fail_load: str = ""


class Backend:
    """Says the prompt's words again, one event each; a token is a word."""

    def __init__(self, options: Options) -> None:
        self._options = options

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Read the settings; there is nothing else to load."""
        known = set(Options.__struct_fields__)
        try:
            settings = {key: value for key, value in request.settings.items() if key in known}
            for option in request.options:
                key, _, value = option.partition(":")
                settings[key] = value
            options = msgspec.convert(settings, Options, strict=False)
        except msgspec.ValidationError as error:
            message = f"The echo backend cannot use its settings: {error}."
            raise SpecInvalid(message) from error
        await asyncio.sleep(options.load_s)
        if options.fail_load:
            print(options.fail_load, flush=True)  # noqa: T201 - what an engine would print
            raise StartFailed(options.fail_load)
        return cls(options)

    @property
    def facts(self) -> ModelFacts:
        """The settings, as facts."""
        return ModelFacts(
            context_size=self._options.context_size,
            slots=self._options.slots,
            device="CPU, because echo computes nothing",
            has_chat_template=True,
        )

    async def close(self) -> None:
        """Nothing to free."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Sequence[Event], None]:
        """Say the words; stop at `max_tokens` or a stop sequence."""
        prompt = _words(request)
        prompt_tokens = len(prompt)
        if prompt_tokens > self._options.context_size:
            raise ContextTooLong(limit=self._options.context_size, requested=prompt_tokens)
        yield [Started(prompt_tokens)]
        spoken = 0
        for choice in range(request.choices):
            yield [BlockStarted(choice, _BLOCK, BlockKind.TEXT)]
            reason, sequence = FinishReason.STOP, None
            for count, word in enumerate(prompt * self._options.repeat):
                if request.max_tokens is not None and count >= request.max_tokens:
                    reason = FinishReason.LENGTH
                    break
                sequence = next((stop for stop in request.stop if stop in word), None)
                if sequence is not None:
                    reason = FinishReason.STOP_SEQUENCE
                    break
                await self._misbehave(count)
                spoken += 1
                yield [Delta(choice, _BLOCK, BlockKind.TEXT, word if count == 0 else f" {word}")]
            yield [BlockEnded(choice, _BLOCK, Text(text="")), ChoiceEnded(choice, reason, sequence)]
        yield [Finished(Usage(prompt_tokens, spoken))]

    async def _misbehave(self, count: int) -> None:
        """Be as slow or as broken as the settings say."""
        options = self._options
        if count == options.crash_after:
            os.kill(os.getpid(), signal.SIGKILL)
        if count == options.freeze_after:
            os.kill(os.getpid(), signal.SIGSTOP)
        if count == options.hang_after:
            await asyncio.Event().wait()
        if options.delay_s:
            await asyncio.sleep(options.delay_s)


def _words(request: GenerationRequest) -> list[str]:
    match request.prompt:
        case Chat(messages=messages):
            return messages[-1].text.split()
        case Completion(text=str(text)):
            return text.split()
        case Completion(token_ids=tuple(token_ids)):
            return [str(token_id) for token_id in token_ids]
        case _:
            return []

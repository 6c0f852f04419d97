"""What a model file wants to have changed in an answer, done to the stream of its events.

The text of an answer is changed, never its thinking, its calls or the prompt that a completion
repeats. Each text is changed for itself, in the rare answer that has several, with calls between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from localai.catalog.edits import OutputEdits
from localai.domain.batches import Batches, Take, taken
from localai.domain.errors import SpecInvalid
from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    TokenLogprob,
)
from localai.domain.parts import Text
from localai.inference.text_rules import Rule, ended, fed, rules
from localai.regexp.stream import TooSlow

_UNUSED_PART = Text(text="")


def edited(batches: Batches[Event], edits: OutputEdits, *, origin: str) -> Batches[Event]:
    """The events of an answer, with its text changed; `origin` is the `file:line` of the rules.

    Raises SpecInvalid when a pattern takes too long.
    """

    async def deliver(take: Take[Event]) -> None:
        editor = _Editor(edits)

        async def edit(batch: Sequence[Event]) -> None:
            out: list[Event] = []
            try:
                for event in batch:
                    for made in editor.feed(event):
                        if made is None:
                            await asyncio.sleep(0)
                        else:
                            out.append(made)
            except TooSlow:
                raise _too_slow(origin) from None
            if out:
                await taken(take, out)

        await batches.into(edit)

    return Batches(deliver)


def _too_slow(origin: str) -> SpecInvalid:
    problem = "a pattern of `cutstrings` or `extract_regex` takes too long on this answer"
    where = f"{origin}: " if origin else ""
    return SpecInvalid(
        f"The answer could not be edited: {where}{problem}.",
        problems=(f"{where}{problem}",),
        hint="Make its matches shorter: write `[^x]*` where `.*` would run to the end of the text.",
    )


@dataclass(slots=True)
class _Choice:
    """One choice: its text under way, and its own numbering of blocks."""

    kind: BlockKind = BlockKind.TEXT
    chained: tuple[Rule, ...] = ()
    logprobs: list[TokenLogprob] = field(default_factory=list)
    block: int = -1
    is_open: bool = False  # a block of text
    is_prefixed: bool = False
    has_called: bool = False


class _Editor:
    """Changes events one by one; None among them is a place for a pause."""

    def __init__(self, edits: OutputEdits) -> None:
        self._edits = edits
        self._choices: dict[int, _Choice] = {}

    def feed(self, event: Event) -> Iterator[Event | None]:
        """The events to pass on for `event`. Raises TooSlow."""
        if not isinstance(event, BlockStarted | Delta | BlockEnded | ChoiceEnded):
            yield event
            return
        choice = self._choices.setdefault(event.choice, _Choice())
        if isinstance(event, BlockStarted):
            choice.kind = event.kind
            if event.kind is BlockKind.TEXT:
                choice.chained = rules(self._edits)
        if isinstance(event, ChoiceEnded):
            if not choice.is_prefixed and not choice.has_called:
                yield from self._put(event.choice, choice, "")
                yield from self._close(event.choice, choice)
            yield event
        elif choice.kind is BlockKind.TEXT:
            yield from self._text(event, choice)
        elif choice.kind is not BlockKind.REASONING or not self._edits.drops_reasoning:
            if isinstance(event, BlockStarted):
                choice.block += 1
                choice.has_called |= event.kind is BlockKind.TOOL_CALL
            yield replace(event, block=choice.block)

    def _text(
        self, event: BlockStarted | Delta | BlockEnded, choice: _Choice
    ) -> Iterator[Event | None]:
        texts: Iterator[str | None] = iter(())
        if isinstance(event, Delta):
            choice.logprobs += event.logprobs
            texts = fed(choice.chained, event.text)
        elif isinstance(event, BlockEnded):
            texts = ended(choice.chained)
        for text in texts:
            if text is None:
                yield None
            elif text:
                yield from self._put(event.choice, choice, text)
        if isinstance(event, BlockEnded):
            yield from self._close(event.choice, choice)

    def _put(self, index: int, choice: _Choice, text: str) -> Iterator[Event]:
        """Send text on, the first of a choice with the prefix before it."""
        if not choice.is_prefixed:
            choice.is_prefixed = True
            text = self._edits.reply_prefix + text
        if not text:
            return
        if not choice.is_open:
            choice.is_open = True
            choice.block += 1
            yield BlockStarted(index, choice.block, BlockKind.TEXT)
        logprobs, choice.logprobs = tuple(choice.logprobs), []
        yield Delta(index, choice.block, BlockKind.TEXT, text, b"", logprobs)

    def _close(self, index: int, choice: _Choice) -> Iterator[Event]:
        """End the text; the probabilities of what was cut at its end still belong to it."""
        if not choice.is_open:
            return
        choice.is_open = False
        if choice.logprobs:
            logprobs, choice.logprobs = tuple(choice.logprobs), []
            yield Delta(index, choice.block, BlockKind.TEXT, "", b"", logprobs)
        yield BlockEnded(index, choice.block, _UNUSED_PART)

"""Thinking apart from the answer, for models whose engine does not know how they mark it.

    <think>
    The user greets me.
    </think>

    Hello!

Thinking begins with a tag at the start of a text, or the prompt ended in that tag already. It ends
with the tag's counterpart; without one, all of the text is thinking. The tags that a model file
names may stand anywhere in a text; the known ones do not, so that an answer may speak of them.
Source: the templates of the models' own cards; LocalAI's documentation of `reasoning:`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    Delta,
    Event,
    TokenLogprob,
)
from localai.domain.parts import Text

_UNUSED_PART = Text(text="")
_BRACKETED = re.compile(r"([<\[])([^/<>\[\]]+)([>\]])")


@dataclass(frozen=True, slots=True)
class TagPair:
    """What stands before and after a piece of thinking."""

    start: str
    end: str


KNOWN_TAGS: Final = (
    TagPair("<think>", "</think>"),
    TagPair("<thinking>", "</thinking>"),
    TagPair("<seed:think>", "</seed:think>"),
    TagPair("<|START_THINKING|>", "<|END_THINKING|>"),
    TagPair("<|inner_prefix|>", "<|inner_suffix|>"),
    TagPair("<|channel>thought", "<channel|>"),
    TagPair("[THINK]", "[/THINK]"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingTags:
    """How a model marks what it thinks.

    `own` are the pairs of its model file, `openings` further starts that its prompts may end in.
    `may_be_open` False means that a prompt never ends in a start, however it looks.
    """

    own: tuple[TagPair, ...] = ()
    openings: tuple[TagPair, ...] = ()
    may_be_open: bool = True
    pairs: tuple[TagPair, ...] = field(init=False)  # all of them, the model's own first
    first_letters: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        pairs = (*self.own, *self.openings, *KNOWN_TAGS)
        object.__setattr__(self, "pairs", pairs)
        object.__setattr__(self, "first_letters", frozenset(pair.start[:1] for pair in pairs))

    @property
    def words(self) -> tuple[str, ...]:
        """Every tag."""
        return tuple(dict.fromkeys(tag for pair in self.pairs for tag in (pair.start, pair.end)))

    def opened_by(self, prompt: str) -> TagPair | None:
        """The tags of the thinking that the end of `prompt` begins; None if it begins none."""
        if not self.may_be_open:
            return None
        end = prompt.rstrip()
        return next((pair for pair in self.pairs if end.endswith(pair.start.rstrip())), None)


def tags_of_model(settings: Mapping[str, Any]) -> tuple[ThinkingTags, list[str]]:
    """The tags that a model file's `reasoning:` describes, and what is wrong with it."""
    own = tuple(TagPair(start, end) for start, end in settings.get("reasoning_tags") or ())
    openings, warnings = [], []
    for start in settings.get("reasoning_start_tokens") or ():
        known = next((pair for pair in (*own, *KNOWN_TAGS) if pair.start == start), None)
        end = known.end if known else counterpart(start)
        if end is not None:
            openings.append(TagPair(start, end))
            continue
        warnings.append(
            f"reasoning.thinking_start_tokens: {start!r} has no effect: nothing says what ends such "
            "thinking. Add a pair for it to `reasoning.tag_pairs`."
        )
    is_open = not settings.get("reasoning_never_prefilled")
    return ThinkingTags(own=own, openings=tuple(openings), may_be_open=is_open), warnings


def counterpart(start: str) -> str | None:
    """The usual end of a start tag: `</x>` of `<x>`, `[/X]` of `[X]`; None for other forms."""
    found = _BRACKETED.fullmatch(start)
    return f"{found[1]}/{found[2]}{found[3]}" if found else None


class _Held:
    """Text that may still be part of a tag, with the probabilities of its tokens."""

    __slots__ = ("_pieces", "text")

    def __init__(self) -> None:
        self.text = ""
        self._pieces: list[tuple[str, tuple[TokenLogprob, ...]]] = []

    def add(self, text: str, logprobs: tuple[TokenLogprob, ...]) -> None:
        self.text += text
        self._pieces.append((text, logprobs))

    def take(self, length: int) -> tuple[str, tuple[TokenLogprob, ...]]:
        """The first `length` characters; a token across their end belongs to them."""
        taken, self.text = self.text[:length], self.text[length:]
        logprobs: list[TokenLogprob] = []
        while self._pieces and (length or not self._pieces[0][0]):
            text, its = self._pieces.pop(0)
            logprobs += its
            if len(text) > length:
                self._pieces.insert(0, (text[length:], ()))
                break
            length -= len(text)
        return taken, tuple(logprobs)

    def drop(self, length: int) -> None:
        """Forget the first `length` characters; a token across their end stays."""
        self.text = self.text[length:]
        while self._pieces and length:
            text, its = self._pieces.pop(0)
            if len(text) > length:
                self._pieces.insert(0, (text[length:], its))
                break
            length -= len(text)


@dataclass(slots=True)
class _Choice:
    """One choice: what is open in it, and its own numbering of blocks."""

    inside: TagPair | None = None
    has_begun: bool = False  # the text under way has shown that it begins with no tag
    has_text: bool = False  # some of the text under way was no thinking
    is_trimmed: bool = False  # white space that comes now goes
    held: _Held = field(default_factory=_Held)
    open: BlockKind | None = None
    block: int = -1
    shift: int = 0  # from the engine's numbers of blocks to ours


class ThinkingReader:
    """Turns tagged thinking in the text of a stream into blocks of its own.

    `opened` are the tags of the thinking that the prompt has begun.
    """

    def __init__(self, tags: ThinkingTags, *, opened: TagPair | None = None) -> None:
        self._pairs = tags.pairs
        self._first_letters = tags.first_letters
        self._own = tags.own
        self._opened = opened
        self._choices: dict[int, _Choice] = {}

    def feed(self, event: Event) -> list[Event]:
        """The events to pass on for `event`."""
        match event:
            case Delta():
                return self._delta(event)
            case BlockStarted(kind=BlockKind.TEXT):
                choice = self._choice(event.choice)
                choice.has_begun = choice.has_text = False
                choice.is_trimmed = choice.inside is not None
                return []  # its first piece opens it
            case BlockStarted():
                choice = self._choice(event.choice)
                if event.kind is BlockKind.REASONING:
                    choice.inside = None  # the engine finds the thinking itself
                choice.block, choice.open = event.block + choice.shift, event.kind
                return [replace(event, block=choice.block)]
            case BlockEnded():
                choice = self._choice(event.choice)
                out = self._flush(event.choice, choice) + self._close(event.choice, choice)
                choice.inside = None
                choice.shift = choice.block - event.block
                return out
            case _:
                return [event]

    def _delta(self, event: Delta) -> list[Event]:
        choice = self._choice(event.choice)
        is_text = event.kind is BlockKind.TEXT
        if is_text and (self._own or not choice.has_begun):
            if self._begins_an_answer(choice, event.text):  # as nearly all of them do
                choice.has_begun = True
                return self._say(event.choice, choice, BlockKind.TEXT, event.text, event.logprobs)
            choice.held.add(event.text, event.logprobs)
            return self._advance(event.choice, choice)
        return [event] if choice.block == event.block else [replace(event, block=choice.block)]

    def _begins_an_answer(self, choice: _Choice, text: str) -> bool:
        """Whether the first piece of a text shows that no tag is to be looked for."""
        if self._own or choice.inside is not None or choice.is_trimmed or choice.held.text:
            return False
        letter = text.lstrip()[:1]
        return bool(letter) and letter not in self._first_letters

    def _advance(self, index: int, choice: _Choice) -> list[Event]:
        """Pass on what is certain to be thinking, or to be none."""
        out: list[Event] = []
        before: tuple[object, ...] = ()
        while before != (now := (len(choice.held.text), choice.inside, choice.has_begun)):
            before = now
            if choice.inside is not None:
                out += self._within(index, choice, choice.inside)
            elif choice.has_begun:
                out += self._answer(index, choice)
            else:
                self._look_for_start(choice)
        return out

    def _look_for_start(self, choice: _Choice) -> None:
        """Decide whether the text begins with a tag, as soon as it can be known."""
        text = choice.held.text.lstrip()
        blank = len(choice.held.text) - len(text)
        pair = next((pair for pair in self._pairs if text.startswith(pair.start)), None)
        if pair is not None:
            choice.held.drop(blank + len(pair.start))
            choice.inside, choice.is_trimmed = pair, True
        elif not any(pair.start.startswith(text) for pair in self._pairs):
            choice.has_begun = True
            if choice.is_trimmed:
                choice.held.drop(blank)

    def _within(self, index: int, choice: _Choice, pair: TagPair) -> list[Event]:
        """Pass on thinking up to its end tag, without the white space around it."""
        held = choice.held
        if choice.is_trimmed:
            held.drop(len(held.text) - len(held.text.lstrip()))
            if held.text.startswith(pair.start):  # the prompt has said it, the model says it again
                held.drop(len(pair.start))
                return []
            if held.text and pair.start.startswith(held.text):
                return []
        end = held.text.find(pair.end)
        sure = end if end >= 0 else len(held.text) - _overlap(held.text, (pair.end,))
        thought = len(held.text[:sure].rstrip())
        out = self._put(index, choice, BlockKind.REASONING, thought)
        if end >= 0:
            held.drop(end - thought + len(pair.end))
            choice.inside = None
            choice.has_begun, choice.is_trimmed = choice.has_text, not choice.has_text
            out += self._close(index, choice)
        return out

    def _answer(self, index: int, choice: _Choice) -> list[Event]:
        """Pass on text; only the model file's own tags may begin in it."""
        text = choice.held.text
        places = [(place, pair) for pair in self._own if (place := text.find(pair.start)) >= 0]
        if not places:
            sure = len(text) - _overlap(text, tuple(pair.start for pair in self._own))
            return self._put(index, choice, BlockKind.TEXT, sure)
        place, pair = min(places, key=lambda found: found[0])
        out = self._put(index, choice, BlockKind.TEXT, place)
        choice.held.drop(len(pair.start))
        choice.inside, choice.is_trimmed = pair, True
        return out + self._close(index, choice)

    def _flush(self, index: int, choice: _Choice) -> list[Event]:
        """The end of a text: what was held back for a tag is none."""
        held = choice.held
        if choice.inside is not None:
            out = self._put(index, choice, BlockKind.REASONING, len(held.text.rstrip()))
            held.drop(len(held.text))
            return out
        if choice.is_trimmed and not choice.has_begun:
            held.drop(len(held.text) - len(held.text.lstrip()))
        return self._put(index, choice, BlockKind.TEXT, len(held.text))

    def _put(self, index: int, choice: _Choice, kind: BlockKind, length: int) -> list[Event]:
        text, logprobs = choice.held.take(length)
        if not text and not logprobs:
            return []
        return self._say(index, choice, kind, text, logprobs)

    def _say(
        self,
        index: int,
        choice: _Choice,
        kind: BlockKind,
        text: str,
        logprobs: tuple[TokenLogprob, ...],
    ) -> list[Event]:
        choice.is_trimmed = choice.is_trimmed and not text
        choice.has_text = choice.has_text or (kind is BlockKind.TEXT and bool(text))
        out: list[Event] = []
        if choice.open is not kind:
            out = self._close(index, choice)
            choice.block += 1
            choice.open = kind
            out.append(BlockStarted(index, choice.block, kind))
        out.append(Delta(index, choice.block, kind, text, b"", logprobs))
        return out

    def _close(self, index: int, choice: _Choice) -> list[Event]:
        if choice.open is None:
            return []
        choice.open = None
        return [BlockEnded(index, choice.block, _UNUSED_PART)]

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(inside=self._opened)
        return choice


def _overlap(text: str, tags: Sequence[str]) -> int:
    """The length of the longest end of `text` that begins one of `tags`, but is not all of it."""
    longest = min(len(text), max((len(tag) - 1 for tag in tags), default=0))
    for length in range(longest, 0, -1):
        if any(tag.startswith(text[-length:]) for tag in tags):
            return length
    return 0

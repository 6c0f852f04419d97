"""Random legal answers, and the same answers as streams of events: what workers may send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Finished,
    FinishReason,
    Progress,
    Started,
    Timings,
    TokenLogprob,
    Usage,
)
from localai.domain.parts import Text

UNKNOWN = Text(text="")  # a worker does not fill in the part: StreamRules does

# What readers of lines, of JSON and of UTF-16 stumble over.
STUMBLING = (
    *("\0", "\r", "\n\n", "\r\n\r\n", "\x0b\x0c\x1c\x1d\x1e", "\x85", "\u2028", "\u2029"),
    *("\ufeff", "\ud7ff\ue000", "\uffff", "\U00010000", "\U0010ffff", "e\u0301", "\u202e"),
    *(
        "🙂",
        "👩‍👩‍👧‍👦",
        "🇩🇪",
        "\\u0000",
        '"}\n',
        "data: [DONE]\n\n",
        "event: error\n",
        ": ping",
        "<|im_end|>",
    ),
)
texts = st.text(max_size=8) | st.sampled_from(STUMBLING)
counts = st.integers(0, 10**6)
usages = st.builds(Usage, counts, counts, counts, st.none() | counts)
timings = st.builds(Timings, st.none() | st.floats(0, 1e9), st.none() | st.floats(0, 1e9))
reasons = st.sampled_from([reason for reason in FinishReason if reason != "tool_calls"])


@dataclass(frozen=True)
class Block:
    """One block as a test wants it: what the pieces join to is what must come out."""

    kind: BlockKind
    pieces: tuple[str, ...]
    name: str = ""

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True)
class Choice:
    """One choice as a test wants it."""

    blocks: tuple[Block, ...]
    reason: FinishReason

    def text(self, kind: BlockKind) -> str:
        return "".join(block.text for block in self.blocks if block.kind is kind)

    @property
    def calls(self) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if block.kind is BlockKind.TOOL_CALL)


@dataclass(frozen=True)
class Wanted:
    """A whole answer as a test wants it, and one of the streams that spell it."""

    choices: tuple[Choice, ...]
    usage: Usage
    timings: Timings
    events: tuple[Event, ...]


ALL_KINDS = (BlockKind.TEXT, BlockKind.REASONING, BlockKind.TOOL_CALL)


def blocks(kinds: Sequence[BlockKind]) -> st.SearchStrategy[Block]:
    pieces = st.lists(texts, max_size=4).map(tuple)
    names = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
    return st.builds(Block, st.sampled_from(kinds), pieces, names)


def choices(kinds: Sequence[BlockKind]) -> st.SearchStrategy[Choice]:
    return st.builds(Choice, st.lists(blocks(kinds), max_size=4).map(tuple), reasons)


@st.composite
def answers(
    draw: st.DrawFn,
    kinds: Sequence[BlockKind] = ALL_KINDS,
    n_choices: int | None = None,
    prompts: int = 1,
) -> Wanted:
    """Draw an answer of `n_choices` choices, with their events mixed at random."""
    count = n_choices or draw(st.integers(1, 3))
    wanted = tuple(draw(choices(kinds)) for _ in range(count))
    waiting = [list(_events(index, choice)) for index, choice in enumerate(wanted)]
    mixed: list[Event] = []
    random = draw(st.randoms(use_true_random=False))
    while any(waiting):
        pick = random.choice([events for events in waiting if events])
        taken = random.randint(1, len(pick))
        mixed += pick[:taken]
        del pick[:taken]
    progress = [Progress("prompt", done, 9) for done in range(draw(st.integers(0, 2)))]
    started = [Started(prompt_tokens=3, prompt=prompt) for prompt in range(prompts)]
    end = Finished(draw(usages), draw(timings))
    return Wanted(wanted, end.usage, end.timings, (*progress, *started, *mixed, end))


def _events(index: int, choice: Choice) -> Iterator[Event]:
    for number, block in enumerate(choice.blocks):
        is_call = block.kind is BlockKind.TOOL_CALL
        call_id, name = (f"id_{index}_{number}", block.name) if is_call else (None, None)
        yield BlockStarted(index, number, block.kind, call_id, name)
        for piece in block.pieces:
            yield Delta(index, number, block.kind, piece)
        yield BlockEnded(index, number, UNKNOWN)
    yield ChoiceEnded(index, choice.reason)


def tokens(text: str, *, cut: int = 1, top: int = 0) -> tuple[TokenLogprob, ...]:
    """Give `text` as tokens of `cut` bytes each, so that characters fall apart."""
    data = text.encode()
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    return tuple(
        TokenLogprob(
            token_id=number,
            text=piece.decode(errors="replace"),
            data=piece,
            logprob=-0.5 - number,
            top=tuple(
                TokenLogprob(1000 + rank, f"t{rank}", f"t{rank}".encode(), -1.0 - rank)
                for rank in range(top)
            ),
        )
        for number, piece in enumerate(pieces)
    )

"""What every backend with a task is put through: a good call, a long one, and bad ones."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Mapping
from typing import Any, ClassVar

from localai.domain.errors import LocalAIError
from localai.domain.events import Delta, Event, Failed, Finished
from localai.domain.generation import Completion, GenerationRequest
from localai.domain.stream_rules import StreamRules, fold
from localai.domain.tasks import Task
from localai.domain.vectors import (
    DetokenizeRequest,
    Embeddings,
    EmbedRequest,
    PlainAnswer,
    Ranking,
    RerankRequest,
    TokenCount,
    TokenizeRequest,
    Tokens,
)
from tests.backends.lone import Lone, chat, complete

_POLL_S = 0.005
LONG_TEXT = "the cat sat on the mat of paris " * 12  # within what the models of these tests hold
LONG = {"max_tokens": 1500, "ignore_eos": True}


class Exercise(ABC):
    """One task. `bad` are requests that are answered or refused, and never break anything."""

    bad: ClassVar[Mapping[str, Any]] = {}
    is_long = True  # whether a call can be made to last

    @abstractmethod
    async def ask(self, lone: Lone) -> Any:
        """A short call, checked: a text, or numbers, which are the same each time."""

    @abstractmethod
    async def begin(self, lone: Lone) -> asyncio.Task[Any]:
        """A call that goes on for a while and is under way."""

    @abstractmethod
    async def refused(self, lone: Lone, request: Any) -> LocalAIError | None:
        """The error that `request` gets, None for an answer."""


class Generate(Exercise):
    """Text."""

    bad: ClassVar[Mapping[str, Any]] = {
        "too long": complete("x " * 30_000, max_tokens=1),
        "no token": complete((999_999_999,), max_tokens=1),
        "a suffix": GenerationRequest(
            model="m", prompt=Completion(text="a", suffix="b"), max_tokens=1
        ),
        "an empty chat": chat("", max_tokens=1),
        "nothing": complete("", max_tokens=1),
    }

    async def ask(self, lone: Lone) -> str:
        answer = fold_of(await lone.events(complete("the same as ever", max_tokens=8)))
        assert answer.error is None
        return "".join(part.text for part in answer.choices[0].parts)

    async def begin(self, lone: Lone) -> asyncio.Task[list[Event]]:
        begun = asyncio.Event()
        events: list[Event] = []

        async def read() -> list[Event]:
            async for batch in lone.client.generate(complete("on and on", **LONG)):
                events.extend(batch)
                if any(isinstance(event, Delta) for event in batch):
                    begun.set()
            return events

        task = asyncio.create_task(read())
        waiting = asyncio.create_task(begun.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        assert not task.done(), events[-3:]
        return task

    async def refused(self, lone: Lone, request: Any) -> LocalAIError | None:
        last = (await lone.events(request))[-1]
        assert isinstance(last, Finished | Failed)
        return last.error if isinstance(last, Failed) else None


class OneShot(Exercise):
    """A task with one result."""

    task: Task
    request: Any
    long: Any = None

    @abstractmethod
    def read(self, result: Any) -> list[float] | str:
        """Check a result; what of it must be the same each time."""

    async def ask(self, lone: Lone) -> list[float] | str:
        return self.read(await lone.client.call(self.task, self.request))

    async def begin(self, lone: Lone) -> asyncio.Task[Any]:
        others = (await lone.client.health(timeout_s=10)).running
        task = asyncio.create_task(lone.client.call(self.task, self.long))
        while not task.done() and (await lone.client.health(timeout_s=10)).running == others:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(_POLL_S)
        assert not task.done(), "the long call is too short for this engine"
        return task

    async def refused(self, lone: Lone, request: Any) -> LocalAIError | None:
        try:
            await lone.client.call(self.task, request)
        except LocalAIError as error:
            return error
        return None


class Embed(OneShot):
    """Vectors."""

    task = Task.EMBED
    request = EmbedRequest(inputs=("the cat", "paris is the capital of france", "the cat"))
    long = EmbedRequest(inputs=(LONG_TEXT,) * 600)
    bad: ClassVar[Mapping[str, Any]] = {
        "too long": EmbedRequest(inputs=("cat " * 30_000,)),
        "one of two too long": EmbedRequest(inputs=("the cat", "cat " * 30_000)),
        "no token": EmbedRequest(inputs=((999_999_999,),)),
        "an empty text": EmbedRequest(inputs=("",)),
        "no tokens": EmbedRequest(inputs=((),)),
        "nothing": EmbedRequest(inputs=()),
        "odd characters": EmbedRequest(inputs=("\x00 \ufffd \U0001f600",)),
    }

    def read(self, result: Embeddings) -> list[float]:
        vectors = [array("f", vector) for vector in result.vectors]
        assert len(vectors) == len(self.request.inputs)
        assert len({len(vector) for vector in vectors}) == 1
        assert result.prompt_tokens >= len(vectors)
        for vector in vectors:
            assert math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-3)
        assert max(abs(a - b) for a, b in zip(vectors[0], vectors[2], strict=True)) < 1e-3
        assert max(abs(a - b) for a, b in zip(vectors[0], vectors[1], strict=True)) > 1e-3
        return [number for vector in vectors for number in vector]


class Rerank(OneShot):
    """Scores."""

    task = Task.RERANK
    request = RerankRequest(
        query="capital of france", documents=("paris is the capital", "the cat sat", "the dog")
    )
    long = RerankRequest(query="the cat", documents=(LONG_TEXT,) * 600)
    bad: ClassVar[Mapping[str, Any]] = {
        "too long": RerankRequest(query="cat", documents=("cat " * 30_000,)),
        "a query too long": RerankRequest(query="cat " * 30_000, documents=("cat",)),
        "an empty document": RerankRequest(query="cat", documents=("", "cat")),
        "an empty query": RerankRequest(query="", documents=("cat",)),
        "no documents": RerankRequest(query="cat", documents=()),
    }

    def read(self, result: Ranking) -> list[float]:
        assert len(result.scores) == len(self.request.documents)
        assert len(set(result.scores)) == len(result.scores)
        assert all(math.isfinite(score) for score in result.scores)
        assert result.prompt_tokens > 0
        return list(result.scores)


class Count(OneShot):
    """The size of a prompt."""

    task = Task.COUNT
    request = chat("one two three")
    is_long = False
    bad: ClassVar[Mapping[str, Any]] = {"an empty chat": chat("")}

    def read(self, result: TokenCount) -> list[float]:
        assert result.prompt_tokens >= 3
        return [result.prompt_tokens]


class Tokenize(OneShot):
    """Token ids."""

    task = Task.TOKENIZE
    request = TokenizeRequest(text="Hello there")
    is_long = False
    bad: ClassVar[Mapping[str, Any]] = {
        "nothing": TokenizeRequest(text=""),
        "odd characters": TokenizeRequest(text="\x00\ufffd"),
    }

    def read(self, result: Tokens) -> list[float]:
        assert result.token_ids
        return list(result.token_ids)


class Detokenize(OneShot):
    """Text of token ids."""

    task = Task.DETOKENIZE
    request = DetokenizeRequest(token_ids=(72, 101))
    is_long = False
    bad: ClassVar[Mapping[str, Any]] = {
        "nothing": DetokenizeRequest(token_ids=()),
        "no token": DetokenizeRequest(token_ids=(999_999_999,)),
    }

    def read(self, result: PlainAnswer) -> str:
        assert result.text
        return result.text


EXERCISES: Mapping[Task, Exercise] = {
    Task.GENERATE: Generate(),
    Task.COUNT: Count(),
    Task.EMBED: Embed(),
    Task.RERANK: Rerank(),
    Task.TOKENIZE: Tokenize(),
    Task.DETOKENIZE: Detokenize(),
}


def fold_of(events: list[Event]) -> Any:
    """The whole answer of a legal stream."""
    rules = StreamRules()
    fed = [rules.feed(event) for event in events]
    rules.close()
    return fold(fed)

"""Any text comes out of every official client as the model said it, however its bytes are cut.

The frames are those of the HTTP door, and arrive in pieces that end anywhere: inside characters,
inside of what separates events.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import anthropic
import httpx
import httpx2
import ollama
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localai.dialects.anthropic import MessagesEndpoint
from localai.dialects.contract import Call, Origin
from localai.dialects.ollama import ChatEndpoint as OllamaChatEndpoint
from localai.dialects.ollama import GenerateEndpoint as OllamaGenerateEndpoint
from localai.dialects.openai import ChatEndpoint, CompletionEndpoint
from localai.dialects.openresponses import ResponsesEndpoint
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
from localai.domain.stream_rules import StreamRules, fold
from localai.http.framing import NDJSON, SSE
from tests.domain.streams import UNKNOWN, texts

ORIGIN = Origin(answer_id="1", created_unix_s=1700000000)
ENDPOINTS: dict[str, Any] = {
    "/v1/chat/completions": ChatEndpoint(),
    "/v1/completions": CompletionEndpoint(),
    "/v1/responses": ResponsesEndpoint(),
    "/v1/messages": MessagesEndpoint(),
    "/api/chat": OllamaChatEndpoint(),
    "/api/generate": OllamaGenerateEndpoint(),
}
HI: Any = [{"role": "user", "content": "Hi"}]

pieces = st.lists(texts.filter(bool), max_size=4).map(tuple)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=5)


@dataclass(frozen=True)
class Told:
    """What a model thinks and says, in pieces, and what it calls a tool with."""

    thought: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    called: tuple[str, ...] = ()

    def events(self) -> Iterator[Event]:
        """The stream of it."""
        yield Started(3)
        blocks = ((BlockKind.REASONING, self.thought), (BlockKind.TEXT, self.said))
        arguments = json.dumps({"x": "".join(self.called)}, ensure_ascii=False)
        halves = (arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :])
        calls = ((BlockKind.TOOL_CALL, halves),) if self.called else ()
        for number, (kind, parts) in enumerate((*blocks, *calls)):
            named = ("call_1", "f") if kind is BlockKind.TOOL_CALL else (None, None)
            yield BlockStarted(0, number, kind, *named)
            yield from (Delta(0, number, kind, part) for part in parts)
            yield BlockEnded(0, number, UNKNOWN)
        yield ChoiceEnded(0, FinishReason.STOP)
        yield Finished(Usage(3, 4))


class Heard(NamedTuple):
    """What a client made of it."""

    thought: str
    said: str
    called: Any


def wanted(told: Told) -> Heard:
    called = {"x": "".join(told.called)} if told.called else None
    return Heard("".join(told.thought), "".join(told.said), called)


class Door:
    """Answers the requests of all clients with the same events, in pieces of the given sizes."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.sizes: Sequence[int] = (1,)

    def body(self, path: str, request: bytes) -> tuple[bytes, str]:
        """The answer to a request, and its media type."""
        call: Call = ENDPOINTS[path].decode(request, ORIGIN)
        rules = StreamRules()
        checked = [rules.feed(event) for event in self.events]
        if not call.streams:
            return call.whole_encoder("llama").encode(fold(checked)), "application/json"
        framing = NDJSON if path.startswith("/api/") else SSE
        encoder = call.stream_encoder("llama")
        body = b"".join(framing.join(encoder.feed(event)) for event in checked)
        return framing.keep_alive + body, framing.content_type.decode()

    def cut(self, body: bytes) -> Iterator[bytes]:
        """The pieces."""
        at = 0
        for size in itertools.cycle(self.sizes):
            if at >= len(body):
                return
            yield body[at : at + size]
            at += size

    def answer(self, request: Any) -> Any:
        """For a client that waits."""
        library = httpx if isinstance(request, httpx.Request) else httpx2
        body, kind = self.body(request.url.path, request.content)
        return library.Response(200, content=self.cut(body), headers={"content-type": kind})

    async def answer_async(self, request: Any) -> Any:
        """For a client that does not."""
        library = httpx if isinstance(request, httpx.Request) else httpx2
        body, kind = self.body(request.url.path, request.content)

        async def pieces_of() -> AsyncIterator[bytes]:
            for piece in self.cut(body):
                yield piece

        return library.Response(200, content=pieces_of(), headers={"content-type": kind})


DOOR = Door()
_ONE: Any = httpx2.Client(transport=httpx2.MockTransport(DOOR.answer))
OPENAI = openai.OpenAI(api_key="none", base_url="http://localhost/v1", http_client=_ONE)
ANTHROPIC = anthropic.Anthropic(api_key="none", base_url="http://localhost", http_client=_ONE)
OLLAMA = ollama.Client("http://localhost", transport=httpx.MockTransport(DOOR.answer))


def of_chat(chunks: Iterable[Any]) -> Heard:
    thought = said = arguments = ""
    for chunk in chunks:
        for choice in chunk.choices:
            said += choice.delta.content or ""
            thought += getattr(choice.delta, "reasoning_content", None) or ""
            for call in choice.delta.tool_calls or ():
                arguments += call.function.arguments or ""
    return Heard(thought, said, json.loads(arguments) if arguments else None)


def of_response(response: Any) -> Heard:
    thought = said = ""
    called = None
    for item in response.output:
        match item.type:
            case "reasoning":
                thought += "".join(part.text for part in item.content)
            case "message":
                said += "".join(part.text for part in item.content)
            case "function_call":
                called = json.loads(item.arguments)
    return Heard(thought, said, called)


def of_message(message: Any) -> Heard:
    thought = said = ""
    called = None
    for block in message.content:
        match block.type:
            case "thinking":
                thought += block.thinking
            case "text":
                said += block.text
            case "tool_use":
                called = block.input
    return Heard(thought, said, called)


def of_lines(lines: Iterable[Any]) -> Heard:
    thought = said = ""
    called = None
    for line in lines:
        thought += line.message.thinking or ""
        said += line.message.content or ""
        for call in line.message.tool_calls or ():
            called = dict(call.function.arguments)
    return Heard(thought, said, called)


def chat_stream() -> Heard:
    return of_chat(OPENAI.chat.completions.create(model="m", messages=HI, stream=True))


def chat_whole() -> Heard:
    message: Any = OPENAI.chat.completions.create(model="m", messages=HI).choices[0].message
    calls = message.tool_calls
    called = json.loads(calls[0].function.arguments) if calls else None
    return Heard(getattr(message, "reasoning_content", ""), message.content or "", called)


def response_stream() -> Heard:
    with OPENAI.responses.stream(model="m", input="Hi") as stream:
        return of_response(stream.get_final_response())


def response_whole() -> Heard:
    return of_response(OPENAI.responses.create(model="m", input="Hi"))


def message_stream() -> Heard:
    with ANTHROPIC.messages.stream(model="m", max_tokens=9, messages=HI) as stream:
        return of_message(stream.get_final_message())


def message_whole() -> Heard:
    return of_message(ANTHROPIC.messages.create(model="m", max_tokens=9, messages=HI))


def ollama_stream() -> Heard:
    return of_lines(OLLAMA.chat("m", HI, stream=True))


def ollama_whole() -> Heard:
    return of_lines([OLLAMA.chat("m", HI)])


@pytest.mark.parametrize(
    "ask",
    [
        *(chat_stream, chat_whole, response_stream, response_whole),
        *(message_stream, message_whole, ollama_stream, ollama_whole),
    ],
)
@settings(max_examples=30)
@given(st.builds(Told, pieces, pieces, pieces), cuts)
def test_a_conversation(ask: Any, told: Told, sizes: list[int]) -> None:
    DOOR.events, DOOR.sizes = list(told.events()), sizes
    assert ask() == wanted(told)


@settings(max_examples=30)
@given(st.builds(Told, said=pieces), cuts)
def test_a_text_that_goes_on(told: Told, sizes: list[int]) -> None:
    DOOR.events, DOOR.sizes = list(told.events()), sizes
    said = "".join(told.said)
    assert OPENAI.completions.create(model="m", prompt="x").choices[0].text == said
    chunks = OPENAI.completions.create(model="m", prompt="x", stream=True)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == said
    assert OLLAMA.generate("m", "x").response == said
    lines = OLLAMA.generate("m", "x", stream=True)
    assert "".join(line.response for line in lines) == said


@settings(max_examples=10)
@given(st.builds(Told, pieces, pieces, pieces), cuts)
def test_clients_that_do_not_wait(told: Told, sizes: list[int]) -> None:
    DOOR.events, DOOR.sizes = list(told.events()), sizes

    async def ask() -> list[Heard]:
        transport: Any = httpx2.MockTransport(DOOR.answer_async)
        async with httpx2.AsyncClient(transport=transport) as http:
            ours = openai.AsyncOpenAI(
                api_key="none", base_url="http://localhost/v1", http_client=http
            )
            theirs = anthropic.AsyncAnthropic(
                api_key="none", base_url="http://localhost", http_client=http
            )
            stream = await ours.chat.completions.create(model="m", messages=HI, stream=True)
            heard = [of_chat([chunk async for chunk in stream])]
            async with ours.responses.stream(model="m", input="Hi") as events:
                heard.append(of_response(await events.get_final_response()))
            async with theirs.messages.stream(model="m", max_tokens=9, messages=HI) as said:
                heard.append(of_message(await said.get_final_message()))
        lines = ollama.AsyncClient(
            "http://localhost", transport=httpx.MockTransport(DOOR.answer_async)
        )
        heard.append(of_lines([line async for line in await lines.chat("m", HI, stream=True)]))
        return heard

    assert asyncio.run(ask()) == [wanted(told)] * 4

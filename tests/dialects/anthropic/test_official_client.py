"""Anthropic's own client is the judge: it sends our requests and puts our answers together.

Its HTTP transport is replaced by a function, so nothing leaves the process.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.pagination import SyncPage
from anthropic.types import Message, MessageTokensCount, ModelInfo
from anthropic.types.shared import ErrorResponse
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from localai.dialects.anthropic import (
    CountTokensEndpoint,
    MessagesEndpoint,
    ModelCard,
    encode_model,
    encode_models,
    error_reply,
)
from localai.dialects.contract import Call, Origin
from localai.domain import errors
from localai.domain.errors import LocalAIError
from localai.domain.events import BlockKind, Event, Failed, Finished, FinishReason, Started
from localai.domain.generation import Chat, GenerationRequest, JsonSchema
from localai.domain.parts import Part, Reasoning, Text, ToolCall
from localai.domain.stream_rules import StreamRules, fold
from localai.domain.vectors import TokenCount
from localai.http.framing import sse
from tests.domain import streams
from tests.domain.streams import ALL_KINDS, Block, Wanted

ENDPOINT = MessagesEndpoint()
ORIGIN = Origin(answer_id="1", created_unix_s=1700000000)
REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.STOP_SEQUENCE: "end_turn",  # the request has none of its own
    FinishReason.LENGTH: "max_tokens",
    FinishReason.FILTERED: "refusal",
}
HI = [{"role": "user", "content": "Hi"}]
ASKED: dict[str, Any] = {"model": "llama", "max_tokens": 100, "messages": HI}

patiently = settings(deadline=None)  # the client imports much of itself when it is first used

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
arguments = st.dictionaries(st.text(max_size=3), values, max_size=3)


@st.composite
def answers(draw: st.DrawFn, kinds: Sequence[BlockKind] = ALL_KINDS) -> Wanted:
    """Draw an answer of one choice whose calls have JSON objects as arguments."""
    choice = draw(streams.choices(kinds))
    choice = replace(choice, blocks=tuple(_with_json(draw, block) for block in choice.blocks))
    usage, times = draw(streams.usages), draw(streams.timings)
    started = Started(usage.prompt_tokens, usage.cached_tokens)
    events = (started, *streams._events(0, choice), Finished(usage, times))
    return Wanted((choice,), usage, times, events)


def _with_json(draw: st.DrawFn, block: Block) -> Block:
    if block.kind is not BlockKind.TOOL_CALL:
        return block
    text = json.dumps(draw(arguments), ensure_ascii=draw(st.booleans()))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    bounds = zip([0, *cuts], [*cuts, len(text)], strict=True)
    return replace(block, pieces=tuple(text[start:end] for start, end in bounds))


def answer(call: Call, events: Iterable[Event]) -> httpx2.Response:
    """Give what an HTTP door gives: a stream as server-sent events, or one body."""
    rules = StreamRules()
    checked = [rules.feed(event) for event in events]
    if not call.streams:
        whole = call.whole_encoder("llama").encode(fold(checked))
        return httpx2.Response(200, content=whole, headers={"content-type": "application/json"})
    encoder = call.stream_encoder("llama")
    content = sse([frame for event in checked for frame in encoder.feed(event)])
    return httpx2.Response(200, content=content, headers={"content-type": "text/event-stream"})


def answering(events: Iterable[Event]) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda request: answer(ENDPOINT.decode(request.content, ORIGIN), events)


def connected(handle: Callable[[httpx2.Request], httpx2.Response]) -> anthropic.Anthropic:
    http_client = httpx2.Client(transport=httpx2.MockTransport(handle))
    return anthropic.Anthropic(
        api_key="none", base_url="http://localhost", http_client=http_client, max_retries=2
    )


def client(wanted: Wanted) -> anthropic.Anthropic:
    return connected(answering(wanted.events))


def check(message: Message, wanted: Wanted) -> None:
    """Compare a message that the client put together with what was wanted."""
    (choice,) = wanted.choices
    assert (message.id, message.type, message.role) == ("msg_1", "message", "assistant")
    assert len(message.content) == len(choice.blocks)
    for spelled, block in zip(message.content, choice.blocks, strict=True):
        match spelled.type:
            case "text":
                assert (block.kind, spelled.text) == (BlockKind.TEXT, block.text)
            case "thinking":
                assert (block.kind, spelled.thinking) == (BlockKind.REASONING, block.text)
            case "tool_use":
                assert (block.kind, spelled.name) == (BlockKind.TOOL_CALL, block.name)
                assert spelled.input == json.loads(block.text)
            case other:
                pytest.fail(other)
    ids = [block.id for block in message.content if block.type == "tool_use"]
    assert len(set(ids)) == len(ids)
    called = choice.calls and choice.reason in {FinishReason.STOP, FinishReason.STOP_SEQUENCE}
    assert message.stop_reason == ("tool_use" if called else REASONS[choice.reason])
    assert message.stop_sequence is None
    usage, counted = message.usage, wanted.usage
    assert usage.input_tokens == max(0, counted.prompt_tokens - counted.cached_tokens)
    assert usage.cache_read_input_tokens == counted.cached_tokens
    assert usage.cache_creation_input_tokens == 0
    assert usage.output_tokens == counted.completion_tokens
    assert usage.service_tier == "standard"
    details = usage.output_tokens_details
    assert (details.thinking_tokens if details else None) == counted.reasoning_tokens


def strictly(value: Any) -> None:
    """Hold a value against the client's own types, which it does not do by itself."""
    type(value).model_validate(value.model_dump(exclude_unset=True, warnings=False), strict=True)


@patiently
@given(answers())
def test_a_whole_message(wanted: Wanted) -> None:
    message = client(wanted).messages.create(**ASKED)
    strictly(message)
    check(message, wanted)


@patiently
@given(answers())
def test_a_stream_is_put_together_and_is_the_whole_message(wanted: Wanted) -> None:
    ours = client(wanted)
    said = ""
    with ours.messages.stream(**ASKED) as stream:
        for event in stream:
            if event.type == "text":
                said += event.text
                assert event.snapshot
            if event.type == "content_block_stop":
                assert event.content_block == stream.current_message_snapshot.content[event.index]
        final = stream.get_final_message()
    check(final, wanted)
    assert said == wanted.choices[0].text(BlockKind.TEXT)
    whole = ours.messages.create(**ASKED)
    assert json.loads(final.model_dump_json()) == json.loads(whole.model_dump_json()) | {
        "content": json.loads(final.model_dump_json())["content"]
    }
    ours_of_block = {"type", "text", "thinking", "signature", "id", "name", "input"}
    assert [block.model_dump(include=ours_of_block) for block in final.content] == [
        block.model_dump(include=ours_of_block) for block in whole.content
    ]


@patiently
@given(answers())
def test_every_event_is_what_the_clients_types_say(wanted: Wanted) -> None:
    events = list(client(wanted).messages.create(**ASKED, stream=True))
    for event in events:
        strictly(event)
    grammar = [event.type for event in events if event.type != "content_block_delta"]
    blocks = ["content_block_start", "content_block_stop"] * len(wanted.choices[0].blocks)
    assert grammar == ["message_start", *blocks, "message_delta", "message_stop"]
    open_index = -1
    for event in events:
        if event.type == "content_block_start":
            open_index += 1
        if event.type.startswith("content_block"):
            assert event.index == open_index
    usage = events[0].message.usage
    assert (usage.output_tokens, events[0].message.content) == (0, [])
    assert usage.input_tokens == events[-2].usage.input_tokens


@settings(max_examples=20, deadline=None)
@given(answers())
def test_the_asynchronous_client_agrees(wanted: Wanted) -> None:
    async def ask() -> Message:
        transport = httpx2.MockTransport(answering(wanted.events))
        async with (
            httpx2.AsyncClient(transport=transport) as http_client,
            anthropic.AsyncAnthropic(
                api_key="none", base_url="http://localhost", http_client=http_client
            ) as ours,
            ours.messages.stream(**ASKED) as stream,
        ):
            return await stream.get_final_message()

    check(asyncio.run(ask()), wanted)


@patiently
@given(answers(), st.integers(0, 100))
def test_a_failure_in_the_middle_is_raised(wanted: Wanted, cut: int) -> None:
    cut = 1 + cut % (len(wanted.events) - 1)
    events = [*wanted.events[:cut], Failed(errors.EngineFailed("The engine stopped."))]
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(connected(answering(events)).messages.create(**ASKED, stream=True))
    assert (caught.value.type, caught.value.api_message) == ("api_error", "The engine stopped.")


@patiently
@given(answers())
def test_an_answer_goes_back_as_history(wanted: Wanted) -> None:
    message = client(wanted).messages.create(**ASKED)
    turns = [*HI, message.to_param(), {"role": "user", "content": "Go on."}]
    request = sent(lambda ours: ours.messages.create(**ASKED | {"messages": turns}))
    assert isinstance(request.prompt, Chat)
    parts = request.prompt.messages[1].parts
    assert [_plain(part) for part in parts] == [
        (block.kind, json.loads(block.text) if block.kind is BlockKind.TOOL_CALL else block.text)
        for block in wanted.choices[0].blocks
        if block.text or block.kind is not BlockKind.REASONING
    ]


def _plain(part: Part) -> tuple[BlockKind, Any]:
    match part:
        case Text():
            return BlockKind.TEXT, part.text
        case Reasoning():
            return BlockKind.REASONING, part.text
        case ToolCall():
            return BlockKind.TOOL_CALL, json.loads(part.arguments)
        case _:
            raise AssertionError(part)


def sent(ask: Callable[[anthropic.Anthropic], Any]) -> GenerationRequest:
    """Give what a call of the client asks for."""
    requests: list[GenerationRequest] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/v1/messages"
        call = ENDPOINT.decode(request.content, ORIGIN)
        requests.extend(call.requests)
        return answer(call, [Started(1), Finished(streams.Usage(1, 0))])

    ask(connected(handle))
    (request,) = requests
    return request


class City(BaseModel):
    name: str


def test_the_client_asks_for_structured_output() -> None:
    request = sent(lambda ours: ours.messages.parse(**ASKED, output_format=City))
    assert isinstance(request.output, JsonSchema)
    schema = json.loads(request.output.schema)
    assert schema["properties"]["name"]["type"] == "string"


def test_the_client_counts_tokens() -> None:
    endpoint = CountTokensEndpoint()

    def handle(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/v1/messages/count_tokens"
        call = endpoint.decode(request.content, ORIGIN)
        assert isinstance(call.request.prompt, Chat)
        result = TokenCount(prompt_tokens=len(call.request.prompt.messages))
        return httpx2.Response(200, content=call.encode(result, "llama"))

    count = connected(handle).messages.count_tokens(model="llama", messages=HI, system="Be short.")
    assert count == MessageTokensCount(input_tokens=2)


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b/c"]])
def test_models_are_listed(names: list[str]) -> None:
    cards = [ModelCard(model_id=name, created_unix_s=1700000000) for name in names]
    page = SyncPage[ModelInfo].model_validate_json(encode_models(cards), strict=True)
    assert [model.id for model in page.data] == names
    assert not page.has_next_page()
    for card, model in zip(cards, page.data, strict=True):
        assert ModelInfo.model_validate_json(encode_model(card), strict=True) == model
        assert model.created_at.timestamp() == 1700000000


RAISED: list[tuple[LocalAIError, type[anthropic.APIStatusError], int]] = [
    (errors.InvalidRequest("max_tokens is 0."), anthropic.BadRequestError, 1),
    (errors.ContextTooLong(limit=1, requested=2), anthropic.BadRequestError, 1),
    (errors.NotAuthorized(), anthropic.AuthenticationError, 1),
    (errors.ModelDisabled("llama"), anthropic.PermissionDeniedError, 1),
    (errors.ModelNotFound("lama"), anthropic.NotFoundError, 1),
    (errors.BodyTooLarge(limit_bytes=5), anthropic.ContentTooLargeError, 1),
    (errors.BodyIncomplete(timeout_s=5), anthropic.RequestTimeoutError, 3),
    (errors.QueueFull("llama", limit=1, retry_after_s=0.01), anthropic.RateLimitError, 3),
    (errors.CoolingDown("llama", retry_after_s=1, reason="x."), anthropic.OverloadedError, 3),
    (errors.ShuttingDown(), anthropic.OverloadedError, 3),
    (
        errors.OutOfMemory("It does not fit.", needed_bytes=2, free_bytes=1),
        anthropic.OverloadedError,
        1,
    ),
    (errors.TimedOut("Loading", timeout_s=5), anthropic.GatewayTimeoutError, 3),
    (errors.EngineFailed("It broke."), anthropic.InternalServerError, 3),
    (errors.StartFailed("It did not start."), anthropic.InternalServerError, 1),
    (errors.BackendNotInstalled("No engine."), anthropic.InternalServerError, 1),
]


@pytest.mark.parametrize(
    ("error", "raised", "tries"), RAISED, ids=[error.kind for error, *_ in RAISED]
)
def test_errors_are_the_clients_own(
    error: LocalAIError, raised: type[anthropic.APIStatusError], tries: int
) -> None:
    reply = error_reply(error)
    tried = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        tried.append(request)
        headers = {**reply.headers, "Retry-After-Ms": "1"}
        return httpx2.Response(reply.status, content=reply.body, headers=headers)

    with pytest.raises(raised) as caught:
        connected(handle).messages.create(**ASKED)
    body = json.loads(reply.body)
    assert caught.value.type == body["error"]["type"]
    assert caught.value.api_message == body["error"]["message"]
    assert len(tried) == tries
    if reply.status != 413:  # the client's types have no word for it
        TypeAdapter(ErrorResponse).validate_python(body, strict=True)

"""OpenAI's own client is the judge: it sends our requests and puts our answers together.

Its HTTP transport is replaced by a function, so nothing leaves the process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from openai.types import Completion, CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from localai.dialects.contract import Call, Endpoint, Origin
from localai.dialects.openai import (
    ChatEndpoint,
    CompletionEndpoint,
    ModelCard,
    encode_model,
    encode_models,
    error_reply,
)
from localai.domain import errors
from localai.domain.errors import LocalAIError
from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    Usage,
)
from localai.domain.stream_rules import StreamRules, fold
from tests.domain.streams import UNKNOWN, Choice, Wanted, answers, tokens

ENDPOINTS: dict[str, Endpoint] = {
    "/v1/chat/completions": ChatEndpoint(),
    "/v1/completions": CompletionEndpoint(),
}
REASONS = {
    FinishReason.STOP: "stop",
    FinishReason.STOP_SEQUENCE: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.FILTERED: "content_filter",
}
HI = [{"role": "user", "content": "Hi"}]
TEXT = (BlockKind.TEXT,)


def answer(call: Call, events: Iterable[Event]) -> httpx2.Response:
    """Give what an HTTP door gives: a stream as server-sent events, or one body."""
    rules = StreamRules()
    checked = [rules.feed(event) for event in events]
    if not call.streams:
        whole = call.whole_encoder("llama").encode(fold(checked))
        return httpx2.Response(200, content=whole, headers={"content-type": "application/json"})
    encoder = call.stream_encoder("llama")
    frames = [frame.data for event in checked for frame in encoder.feed(event)]
    content = b"".join(b"data: " + data + b"\n\n" for data in frames)
    return httpx2.Response(200, content=content, headers={"content-type": "text/event-stream"})


def client(events: Iterable[Event], *, with_timings: bool = False) -> openai.OpenAI:
    """Give a client whose every request is answered by `events`."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        origin = Origin(answer_id="1", created_unix_s=1700000000, with_timings=with_timings)
        return answer(ENDPOINTS[request.url.path].decode(request.content, origin), events)

    return connected(handle)


def connected(handle: Callable[[httpx2.Request], httpx2.Response]) -> openai.OpenAI:
    transport = httpx2.MockTransport(handle)
    return openai.OpenAI(
        api_key="none",
        base_url="http://localhost/v1",
        http_client=httpx2.Client(transport=transport),
        max_retries=2,
    )


def chunks(wanted: Wanted, **fields: Any) -> list[ChatCompletionChunk]:
    options = {"n": len(wanted.choices), "stream_options": {"include_usage": True}} | fields
    stream = client(wanted.events).chat.completions.create(
        model="llama", messages=HI, stream=True, **options
    )
    return list(stream)


def reason(choice: Choice) -> str:
    called = choice.calls and choice.reason is FinishReason.STOP
    return "tool_calls" if called else REASONS[choice.reason]


def pieces(seen: list[ChatCompletionChunk], index: int) -> Iterator[Any]:
    for chunk in seen:
        for choice in chunk.choices:
            if choice.index == index:
                yield choice


@given(answers())
def test_a_chat_stream_is_put_together(wanted: Wanted) -> None:
    seen = chunks(wanted)
    for index, choice in enumerate(wanted.choices):
        mine = list(pieces(seen, index))
        assert [piece.delta.role for piece in mine if piece.delta.role] == ["assistant"]
        text = "".join(piece.delta.content or "" for piece in mine)
        assert text == choice.text(BlockKind.TEXT)
        for name in ("reasoning_content", "reasoning"):
            thought = "".join(getattr(piece.delta, name, None) or "" for piece in mine)
            assert thought == choice.text(BlockKind.REASONING)
        assert [piece.finish_reason for piece in mine if piece.finish_reason] == [reason(choice)]
        assert mine[-1].finish_reason is not None
    check_usage(seen[-1].usage, wanted)
    assert all(chunk.usage is None for chunk in seen[:-1])
    assert len({chunk.id for chunk in seen}) == 1


@given(answers())
def test_tool_calls_of_a_stream_are_put_together(wanted: Wanted) -> None:
    seen = chunks(wanted)
    for index, choice in enumerate(wanted.choices):
        calls: dict[int, list[str]] = {}
        for piece in pieces(seen, index):
            for call in piece.delta.tool_calls or ():
                if call.id is not None:
                    assert call.index not in calls
                    calls[call.index] = [call.function.name, ""]
                calls[call.index][1] += call.function.arguments
        assert list(calls) == list(range(len(choice.calls)))
        assert list(calls.values()) == [[call.name, call.text] for call in choice.calls]


@given(answers())
def test_every_chunk_is_what_the_clients_types_say(wanted: Wanted) -> None:
    for chunk in chunks(wanted):
        ChatCompletionChunk.model_validate(chunk.model_dump(exclude_unset=True), strict=True)


@settings(max_examples=30)
@given(answers(n_choices=1))
def test_the_clients_own_fold_agrees(wanted: Wanted) -> None:
    # It takes any other end for an error.
    assume(reason(wanted.choices[0]) in {"stop", "tool_calls"})
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    with client(wanted.events).chat.completions.stream(
        model="llama", messages=HI, tools=tools
    ) as stream:
        final = stream.get_final_completion()
    choice = wanted.choices[0]
    assert (final.choices[0].message.content or "") == choice.text(BlockKind.TEXT)
    assert final.choices[0].finish_reason == reason(choice)
    calls = final.choices[0].message.tool_calls or []
    assert [call.function.arguments for call in calls] == [call.text for call in choice.calls]


@given(answers())
def test_a_whole_chat(wanted: Wanted) -> None:
    whole = client(wanted.events).chat.completions.create(
        model="llama", messages=HI, n=len(wanted.choices)
    )
    ChatCompletion.model_validate(whole.model_dump(exclude_unset=True), strict=True)
    assert [choice.index for choice in whole.choices] == list(range(len(wanted.choices)))
    for spelled, choice in zip(whole.choices, wanted.choices, strict=True):
        text = choice.text(BlockKind.TEXT)
        assert spelled.message.content == (text if text or not choice.calls else None)
        assert spelled.finish_reason == reason(choice)
        thought = getattr(spelled.message, "reasoning_content", "")
        assert thought == choice.text(BlockKind.REASONING)
        calls = [
            (call.function.name, call.function.arguments)
            for call in spelled.message.tool_calls or ()
        ]
        assert calls == [(call.name, call.text) for call in choice.calls]
    check_usage(whole.usage, wanted)


@given(answers(kinds=(BlockKind.TOOL_CALL,), n_choices=1))
def test_the_older_form_of_calls(wanted: Wanted) -> None:
    functions = [{"name": "f"}]
    whole = client(wanted.events).chat.completions.create(
        model="llama", messages=HI, functions=functions
    )
    seen = chunks(wanted, functions=functions)
    deltas = [choice.delta.function_call for choice in pieces(seen, 0)]
    name = "".join(delta.name or "" for delta in deltas if delta)
    arguments = "".join(delta.arguments or "" for delta in deltas if delta)
    call = whole.choices[0].message.function_call
    if not wanted.choices[0].calls:
        assert (call, name) == (None, "")
        return
    first = wanted.choices[0].calls[0]
    assert (name, arguments) == (first.name, first.text) == (call.name, call.arguments)
    assert whole.choices[0].message.tool_calls is None
    assert whole.choices[0].finish_reason in {"function_call", "length", "content_filter", "stop"}
    assert whole.choices[0].finish_reason != "tool_calls"


def check_usage(usage: CompletionUsage | None, wanted: Wanted) -> None:
    assert usage is not None
    assert usage.prompt_tokens == wanted.usage.prompt_tokens
    assert usage.completion_tokens == wanted.usage.completion_tokens
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == wanted.usage.cached_tokens
    details = usage.completion_tokens_details
    assert (details.reasoning_tokens if details else None) == wanted.usage.reasoning_tokens


@given(answers(kinds=TEXT, n_choices=4, prompts=2), st.booleans())
def test_completions_of_two_prompts(wanted: Wanted, echo: bool) -> None:  # noqa: FBT001
    fields: dict[str, Any] = {"model": "llama", "prompt": ["ab", "ß\n"], "n": 2, "echo": echo}
    ours = client(wanted.events)
    whole = ours.completions.create(**fields)
    Completion.model_validate(whole.model_dump(exclude_unset=True), strict=True)
    texts, ends = ["", "", "", ""], [""] * 4
    for chunk in ours.completions.create(**fields, stream=True):
        for piece in chunk.choices:
            texts[piece.index] += piece.text
            ends[piece.index] += piece.finish_reason or ""
    echoes = ["ab", "ab", "ß\n", "ß\n"] if echo else ["", "", "", ""]
    said = [choice.text(BlockKind.TEXT) for choice in wanted.choices]
    assert texts == [before + text for before, text in zip(echoes, said, strict=True)]
    assert texts == [choice.text for choice in whole.choices]
    assert ends == [choice.finish_reason for choice in whole.choices]
    check_usage(whole.usage, wanted)


def text_with_logprobs(text: str, cut: int) -> list[Event]:
    """Give one choice, a token at a time; a piece of a character waits for the rest of it."""
    deltas, waiting = [], b""
    for token in tokens(text, cut=cut, top=2):
        waiting += token.data
        whole = waiting.decode(errors="ignore")
        waiting = waiting[len(whole.encode()) :]
        deltas.append(Delta(0, 0, BlockKind.TEXT, whole, logprobs=(token,)))
    return [BlockStarted(0, 0, BlockKind.TEXT), *deltas, BlockEnded(0, 0, UNKNOWN)]


@given(st.text(min_size=1, max_size=12), st.text(max_size=6), st.integers(1, 3), st.booleans())
def test_completion_logprobs_point_into_the_text(
    text: str,
    prompt: str,
    cut: int,
    echo: bool,  # noqa: FBT001
) -> None:
    events = [
        Started(1, prompt_logprobs=tokens(prompt) if echo else ()),
        *text_with_logprobs(text, cut),
        ChoiceEnded(0, FinishReason.STOP),
        Finished(Usage(1, 1)),
    ]
    fields: dict[str, Any] = {"model": "llama", "prompt": prompt, "echo": echo, "logprobs": 2}
    choice = client(events).completions.create(**fields).choices[0]
    seen: dict[str, list[Any]] = {}
    for chunk in client(events).completions.create(**fields, stream=True):
        logprobs = chunk.choices[0].logprobs
        for name, values in (logprobs.model_dump() if logprobs else {}).items():
            seen.setdefault(name, []).extend(values)
    assert choice.logprobs is not None
    assert choice.logprobs.model_dump() == seen
    assert choice.text == (prompt if echo else "") + text
    offsets, names = choice.logprobs.text_offset or [], choice.logprobs.tokens or []
    assert offsets == sorted(offsets)
    for offset, name in zip(offsets, names, strict=True):
        if not name.startswith("bytes:"):
            assert choice.text[offset:].startswith(name)
    assert all(len(top) == 3 for top in (choice.logprobs.top_logprobs or [])[len(tokens(prompt)) :])


@given(st.text(min_size=1, max_size=12), st.integers(1, 3))
def test_chat_logprobs_hold_every_byte(text: str, cut: int) -> None:
    end = [ChoiceEnded(0, FinishReason.STOP), Finished(Usage(1, 1))]
    events = [Started(1), *text_with_logprobs(text, cut), *end]
    fields: dict[str, Any] = {"model": "llama", "messages": HI, "logprobs": True}
    whole = client(events).chat.completions.create(**fields, top_logprobs=2)
    ChatCompletion.model_validate(whole.model_dump(exclude_unset=True), strict=True)
    stream = client(events).chat.completions.create(**fields, top_logprobs=2, stream=True)
    streamed = [
        token
        for chunk in stream
        for token in (chunk.choices[0].logprobs.content if chunk.choices[0].logprobs else ())
    ]
    content = whole.choices[0].logprobs.content
    assert [token.model_dump() for token in content] == [token.model_dump() for token in streamed]
    assert bytes(byte for token in content for byte in token.bytes).decode() == text
    assert [len(token.top_logprobs) for token in content] == [2] * len(content)


@given(answers(), st.integers(0, 100))
def test_a_failure_in_the_middle_is_raised(wanted: Wanted, cut: int) -> None:
    started = next(place for place, event in enumerate(wanted.events) if type(event) is Started)
    cut = max(started + 1, cut % len(wanted.events))
    events = [*wanted.events[:cut], Failed(errors.EngineFailed("The engine stopped."))]
    made, n = client(events), len(wanted.choices)
    streams = [
        made.chat.completions.create(model="llama", messages=HI, n=n, stream=True),
        made.completions.create(model="llama", prompt="Hi", n=n, stream=True),
    ]
    for stream in streams:
        with pytest.raises(openai.APIError) as caught:
            list(stream)
        assert caught.value.message == "The engine stopped."
        assert caught.value.code == "engine_failed"


RAISED: list[tuple[LocalAIError, type[openai.APIStatusError], int]] = [
    (errors.InvalidRequest("n is 0.", param="n"), openai.BadRequestError, 1),
    (errors.ContextTooLong(limit=1, requested=2), openai.BadRequestError, 1),
    (errors.NotAuthorized(), openai.AuthenticationError, 1),
    (errors.ModelDisabled("llama"), openai.PermissionDeniedError, 1),
    (errors.ModelNotFound("lama"), openai.NotFoundError, 1),
    (errors.QueueFull("llama", limit=1, retry_after_s=0.01), openai.RateLimitError, 3),
    (errors.EngineFailed("It broke."), openai.InternalServerError, 3),
    (errors.StartFailed("It did not start."), openai.InternalServerError, 1),
    (errors.BackendNotInstalled("No engine."), openai.InternalServerError, 1),
]


@pytest.mark.parametrize(
    ("error", "raised", "tries"), RAISED, ids=[error.kind for error, *_ in RAISED]
)
def test_errors_are_the_clients_own(
    error: LocalAIError, raised: type[openai.APIStatusError], tries: int
) -> None:
    reply = error_reply(error)
    tried = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        tried.append(request)
        at_once = {"Retry-After-Ms": "1"} if "Retry-After" not in reply.headers else {}
        headers = {**reply.headers, **at_once, "Retry-After": "0.01"}
        return httpx2.Response(reply.status, content=reply.body, headers=headers)

    with pytest.raises(raised) as caught:
        connected(handle).chat.completions.create(model="llama", messages=HI)
    body = json.loads(reply.body)["error"]
    assert caught.value.body == body
    assert error.message in caught.value.message
    assert (caught.value.code, caught.value.param) == (body["code"], body["param"])
    assert len(tried) == tries


def test_models_are_listed() -> None:
    cards = [ModelCard(model_id="a", created_unix_s=5), ModelCard(model_id="b", created_unix_s=6)]

    def handle(request: httpx2.Request) -> httpx2.Response:
        one = request.url.path == "/v1/models/a"
        return httpx2.Response(200, content=encode_model(cards[0]) if one else encode_models(cards))

    ours = connected(handle)
    assert [(model.id, model.created, model.owned_by) for model in ours.models.list()] == [
        ("a", 5, "local-ai"),
        ("b", 6, "local-ai"),
    ]
    assert ours.models.retrieve("a").object == "model"

"""OpenAI's own client is the judge: it sends our requests and puts our answers together.

Its HTTP transport is replaced by a function, so nothing leaves the process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import httpx2
import openai
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.conversations import Conversation, ConversationDeletedResource
from openai.types.conversations.message import Message
from openai.types.responses import (
    Response,
    ResponseInputMessageItem,
    ResponseItemList,
    ResponseStreamEvent,
)

from localai.dialects.contract import Frame, Origin
from localai.dialects.openresponses import (
    ResponsesEndpoint,
    ResponsesSpelling,
    decode_conversation,
    encode_conversation,
    encode_deleted_conversation,
    encode_deleted_response,
    encode_items,
    error_reply,
)
from localai.domain import errors
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
    TokenLogprob,
    Usage,
)
from localai.domain.parts import Reasoning
from localai.domain.stream_rules import StreamRules, fold
from tests.dialects.openresponses.golden import decode
from tests.domain.streams import UNKNOWN, Block, Wanted, answers, tokens

ENDPOINT = ResponsesEndpoint(clock=lambda: 1700000009.5)
EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ResponseStreamEvent)
KINDS = {"message": "text", "reasoning": "reasoning", "function_call": "tool_call"}
REASONS = {FinishReason.LENGTH: "max_output_tokens", FinishReason.FILTERED: "content_filter"}
ASKED = st.sampled_from([{}, {"summary": "auto"}, {"generate_summary": "detailed"}])
HI: dict[str, Any] = {"model": "llama", "input": "Hi"}
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}


def answer(body: bytes, events: Iterable[Event]) -> httpx2.Response:
    """Give what an HTTP door gives: a stream as server-sent events, or one body."""
    call = ENDPOINT.decode(body, Origin(answer_id="1", created_unix_s=1700000000))
    rules = StreamRules()
    checked = [rules.feed(event) for event in events]
    if not call.streams:
        whole = call.whole_encoder("llama").encode(fold(checked))
        return httpx2.Response(200, content=whole, headers={"content-type": "application/json"})
    encoder = call.stream_encoder("llama")
    return served([frame for event in checked for frame in encoder.feed(event)])


def served(frames: Iterable[Frame]) -> httpx2.Response:
    content = b"".join(
        (f"event: {event}\n".encode() if event else b"") + b"data: " + data + b"\n\n"
        for data, event in frames
    )
    return httpx2.Response(200, content=content, headers={"content-type": "text/event-stream"})


Handler = Callable[[httpx2.Request], httpx2.Response]
_handler: list[Handler] = []


def _handled(request: httpx2.Request) -> httpx2.Response:
    return _handler[-1](request)


_client = openai.OpenAI(
    api_key="none",
    base_url="http://localhost/v1",
    http_client=httpx2.Client(transport=httpx2.MockTransport(_handled)),
    max_retries=0,
)


def connected(handle: Handler) -> openai.OpenAI:
    """Give the one client, answered by `handle` from now on: making one takes long."""
    _handler[:] = [handle]
    return _client


def client(events: Iterable[Event]) -> openai.OpenAI:
    return connected(lambda request: answer(request.content, events))


def blocks_of(response: Any) -> list[tuple[str, str]]:
    """Give kind and text of every item of an answer."""
    found = []
    for item in response.output:
        if item.type == "function_call":
            text = item.arguments
        else:
            is_summed_up = item.type == "reasoning" and response.reasoning.summary
            (part,) = item.summary if is_summed_up else item.content
            text = part.text
        found.append((KINDS[item.type], text))
    return found


def wanted_blocks(blocks: Iterable[Block]) -> list[tuple[str, str]]:
    return [(str(block.kind), block.text) for block in blocks]


def check_end(response: Any, wanted: Wanted) -> None:
    (choice,) = wanted.choices
    cut = REASONS.get(choice.reason)
    assert response.status == ("incomplete" if cut else "completed")
    assert (response.incomplete_details.reason if cut else None) == cut
    statuses = [item.status for item in response.output]
    last = ["incomplete" if cut else "completed"] if statuses else []
    assert statuses == ["completed"] * (len(statuses) - 1) + last
    usage, got = wanted.usage, response.usage
    assert (got.input_tokens, got.output_tokens) == (usage.prompt_tokens, usage.completion_tokens)
    assert got.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert got.input_tokens_details.cached_tokens == usage.cached_tokens
    assert got.output_tokens_details.reasoning_tokens == (usage.reasoning_tokens or 0)


@settings(deadline=None)
@given(answers(n_choices=1), ASKED)
def test_a_whole_answer(wanted: Wanted, reasoning: Any) -> None:
    (choice,) = wanted.choices
    asked = HI | {"tools": [WEATHER], "reasoning": reasoning}
    response = client(wanted.events).responses.create(**asked)
    Response.model_validate(response.model_dump(exclude_unset=True, by_alias=True), strict=True)
    assert blocks_of(response) == wanted_blocks(choice.blocks)
    assert response.output_text == choice.text(BlockKind.TEXT)
    check_end(response, wanted)


@settings(deadline=None)
@given(answers(n_choices=1), ASKED)
def test_every_event_is_what_the_client_expects(wanted: Wanted, reasoning: Any) -> None:
    asked = HI | {"stream": True, "include": ["message.output_text.logprobs"]}
    body = json.dumps(asked | {"reasoning": reasoning}).encode()
    frames = answer(body, wanted.events).content.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    for number, frame in enumerate(frames[:-2]):
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == number
        checked = EVENT.validate_python(event, strict=True)
        assert checked.type == event["type"]


@settings(deadline=None)
@given(answers(n_choices=1), ASKED)
def test_a_stream_is_put_together(wanted: Wanted, reasoning: Any) -> None:
    (choice,) = wanted.choices
    with client(wanted.events).responses.stream(**HI, reasoning=reasoning) as stream:
        seen = list(stream)
    assert [event.type for event in seen[:2]] == ["response.created", "response.in_progress"]
    last: Any = seen[-1]
    assert blocks_of(last.response) == wanted_blocks(choice.blocks)
    check_end(last.response, wanted)
    if choice.reason not in REASONS:
        assert blocks_of(stream.get_final_response()) == wanted_blocks(choice.blocks)


@settings(deadline=None)
@given(answers(n_choices=1), ASKED)
def test_what_streams_is_what_comes_whole(wanted: Wanted, reasoning: Any) -> None:
    made = client(wanted.events)
    asked = HI | {"store": False, "reasoning": reasoning}
    whole = made.responses.create(**asked)
    seen = list(made.responses.create(**asked, stream=True))
    assert seen[-1].response.model_dump() == whole.model_dump()  # type: ignore[union-attr]
    said: dict[int, str] = {}
    for event in seen:
        if event.type.endswith(".delta"):
            place, piece = event.output_index, event.delta  # type: ignore[union-attr]
            said[place] = said.get(place, "") + piece
    texts = [text for _, text in blocks_of(whole)]
    assert [said.get(place, "") for place in range(len(texts))] == texts


@settings(deadline=None)
@given(st.text(min_size=1, max_size=9), st.integers(1, 3))
def test_logprobs_hold_every_byte(text: str, cut: int) -> None:
    deltas, waiting = [], b""
    for token in tokens(text, cut=cut, top=2):
        waiting += token.data
        whole = waiting.decode(errors="ignore")
        waiting = waiting[len(whole.encode()) :]
        deltas.append(Delta(0, 0, BlockKind.TEXT, whole, logprobs=(token,)))
    events = [
        Started(1),
        BlockStarted(0, 0, BlockKind.TEXT),
        *deltas,
        BlockEnded(0, 0, UNKNOWN),
        ChoiceEnded(0, FinishReason.STOP),
        Finished(Usage(1, 1)),
    ]
    fields = HI | {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    response: Any = client(events).responses.create(**fields)
    Response.model_validate(response.model_dump(exclude_unset=True), strict=True)
    logprobs = response.output[0].content[0].logprobs
    assert bytes(byte for token in logprobs for byte in token.bytes).decode() == text
    seen = [
        one.token
        for event in client(events).responses.create(**fields, stream=True)
        if event.type == "response.output_text.delta"
        for one in event.logprobs
    ]
    assert seen == [token.token for token in logprobs]


@settings(deadline=None)
@given(st.text(min_size=1, max_size=6), st.text(max_size=6), st.integers(1, 3))
def test_the_logprobs_of_a_text_are_not_those_of_the_reasoning(
    text: str, thought: str, cut: int
) -> None:
    thought += text  # a model often says at last what it thought
    made = tokens(text, cut=cut)
    mark = TokenLogprob(9, "</think>", b"</think>", -0.1)
    events = [
        Started(1),
        BlockStarted(0, 0, BlockKind.REASONING),
        Delta(0, 0, BlockKind.REASONING, thought, logprobs=(*tokens(thought, cut=cut), mark)),
        BlockEnded(0, 0, UNKNOWN),
        BlockStarted(0, 1, BlockKind.TEXT),
        Delta(0, 1, BlockKind.TEXT, text, logprobs=made),
        BlockEnded(0, 1, UNKNOWN),
        ChoiceEnded(0, FinishReason.STOP),
        Finished(Usage(1, 1)),
    ]
    fields = HI | {"include": ["message.output_text.logprobs"]}
    whole: Any = client(events).responses.create(**fields)
    *_, last = client(events).responses.create(**fields, stream=True)
    assert [one.token for one in whole.output[1].content[0].logprobs] == [one.text for one in made]
    assert last.response.output == whole.output  # type: ignore[union-attr]


class Person(pydantic.BaseModel):
    name: str
    age: int


def text_events(text: str) -> list[Event]:
    return [
        Started(1),
        BlockStarted(0, 0, BlockKind.TEXT),
        Delta(0, 0, BlockKind.TEXT, text),
        BlockEnded(0, 0, UNKNOWN),
        ChoiceEnded(0, FinishReason.STOP),
        Finished(Usage(1, 1)),
    ]


def test_a_schema_is_parsed() -> None:
    made = client(text_events('{"name": "Ada", "age": 36}'))
    response = made.responses.parse(**HI, text_format=Person)
    assert response.output_parsed == Person(name="Ada", age=36)
    with made.responses.stream(**HI, text_format=Person) as stream:
        assert stream.get_final_response().output_parsed == Person(name="Ada", age=36)


@pytest.mark.parametrize("summary", [None, "auto"])
def test_the_output_can_be_sent_back(summary: Any) -> None:
    events = [
        Started(1),
        BlockStarted(0, 0, BlockKind.REASONING),
        Delta(0, 0, BlockKind.REASONING, "Hm."),
        BlockEnded(0, 0, UNKNOWN),
        BlockStarted(0, 1, BlockKind.TOOL_CALL, "c1", "weather"),
        Delta(0, 1, BlockKind.TOOL_CALL, "{}"),
        BlockEnded(0, 1, UNKNOWN),
        ChoiceEnded(0, FinishReason.STOP),
        Finished(Usage(1, 1)),
    ]
    asked = HI | {"tools": [WEATHER], "reasoning": {"summary": summary}}
    output = client(events).responses.create(**asked).output
    said = [item.model_dump(mode="json", by_alias=True) for item in output]
    result = {"type": "function_call_output", "call_id": "c1", "output": "Rain"}
    call = decode({"input": [{"role": "user", "content": "Hi"}, *said, result]})
    messages = call.requests[0].prompt.messages  # type: ignore[union-attr]
    assert [message.role for message in messages] == ["user", "assistant", "tool"]
    assert messages[1].parts[0] == Reasoning(text="Hm.")


@settings(deadline=None)
@given(answers(n_choices=1), st.integers(0, 100))
def test_a_failure_in_the_middle_is_raised_and_shown(wanted: Wanted, cut: int) -> None:
    events = [*wanted.events[: cut % len(wanted.events)], Failed(errors.EngineFailed("It broke."))]
    with pytest.raises(openai.APIError, match="It broke") as caught:
        list(client(events).responses.create(**HI, stream=True))
    assert (caught.value.code, caught.value.type) == ("engine_failed", "server_error")
    body = json.dumps(HI | {"stream": True}).encode()
    *_, said, shown, done, _ = answer(body, events).content.decode().split("\n\n")
    error, failed = (
        EVENT.validate_json(frame.partition("\ndata: ")[2], strict=True) for frame in (said, shown)
    )
    assert (error.type, error.code, error.message) == ("error", "engine_failed", "It broke.")
    assert (failed.type, failed.response.status) == ("response.failed", "failed")
    assert failed.response.error.message == "It broke."
    assert done == "data: [DONE]"


RAISED: list[tuple[errors.LocalAIError, type[openai.APIStatusError]]] = [
    (errors.InvalidRequest("n is 0.", param="n"), openai.BadRequestError),
    (errors.ModelNotFound("lama"), openai.NotFoundError),
    (errors.NotAuthorized(), openai.AuthenticationError),
    (errors.QueueFull("llama", limit=1, retry_after_s=0.01), openai.RateLimitError),
    (errors.EngineFailed("It broke."), openai.InternalServerError),
]


@pytest.mark.parametrize(("error", "raised"), RAISED, ids=[error.kind for error, _ in RAISED])
def test_errors_are_the_clients_own(
    error: errors.LocalAIError, raised: type[openai.APIStatusError]
) -> None:
    reply = error_reply(error)
    made = connected(lambda _: httpx2.Response(reply.status, content=reply.body))
    with pytest.raises(raised) as caught:
        made.responses.create(**HI)
    body = json.loads(reply.body)["error"]
    assert (caught.value.code, caught.value.param) == (body["code"], body["param"])


def test_a_queued_response_and_its_events() -> None:
    call = decode(HI | {"background": True, "stream": True})
    response = json.loads(call.queued("llama"))
    assert Response.model_validate(response, strict=True).status == "queued"
    events = [json.loads(frame.data) for frame in call.stream_encoder("llama").queued()]
    assert [event["type"] for event in events] == ["response.created", "response.queued"]
    for event in events:
        assert EVENT.validate_python(event, strict=True).response.status == "queued"


def test_a_response_that_is_cancelled() -> None:
    encoder = decode(HI | {"background": True, "stream": True}).stream_encoder("llama")
    rules = StreamRules()
    for event in [*text_events("Done.")[:4], BlockStarted(0, 1, BlockKind.TEXT)]:
        encoder.feed(rules.feed(event))
    shown, done = encoder.stop(None)
    assert EVENT.validate_json(shown.data, strict=True).type == "response.incomplete"
    response = Response.model_validate_json(encoder.response, strict=True)
    assert (response.status, response.output_text, done.data) == ("cancelled", "Done.", b"[DONE]")


def test_a_response_that_was_cut_off() -> None:
    queued = decode(HI | {"background": True}).queued("llama")
    error = errors.EngineFailed("The server stopped.")
    failed, (said, shown, done) = ResponsesSpelling().cut_off(queued, 7, error)
    response = Response.model_validate_json(failed, strict=True)
    assert (response.status, response.error.message) == ("failed", error.message)  # type: ignore[union-attr]
    assert EVENT.validate_json(said.data, strict=True).sequence_number == 7
    assert EVENT.validate_json(shown.data, strict=True).response == response
    assert done.data == b"[DONE]"


def test_items_are_listed() -> None:
    said = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}
    told = {"type": "function_call_output", "call_id": "c", "output": "Rain"}
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]}
    roles = [{"role": role, "content": "Hi"} for role in ("user", "system", "assistant")]
    items = decode({"input": [*roles, thought, said, told]}).input_items
    page = json.loads(encode_items(items, has_more=False))
    listed = ResponseItemList.model_validate(page, strict=True)
    assert isinstance(listed.data[0], ResponseInputMessageItem)
    assert [item.id for item in listed.data] == [item_id for item_id, _ in items]
    assert (listed.first_id, listed.last_id) == (items[0][0], items[-1][0])
    for item in page["data"][:3]:
        Message.model_validate(item, strict=True)
    assert ResponseItemList.model_validate_json(encode_items((), has_more=False)).data == []


def test_conversations_are_spelled() -> None:
    body = json.dumps({"metadata": {"a": "b"}, "items": [{"role": "user", "content": "Hi"}]})
    metadata, items = decode_conversation(body.encode(), "9")
    assert [item_id for item_id, _ in items] == ["msg_9_in0"]
    shown = encode_conversation("conv_1", 5, metadata)
    assert Conversation.model_validate_json(shown, strict=True).metadata == {"a": "b"}
    gone = ConversationDeletedResource.model_validate_json(
        encode_deleted_conversation("conv_1"), strict=True
    )
    assert gone.deleted
    assert json.loads(encode_deleted_response("resp_1"))["deleted"] is True
    assert decode_conversation(b"", "9") == ({}, ())

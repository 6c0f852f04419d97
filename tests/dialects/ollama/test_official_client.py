"""Ollama's own client is the judge: it sends our requests and reads our answers.

Its HTTP transport is replaced by a function, so nothing leaves the process.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.dialects.contract import Origin
from localai.dialects.ollama import (
    ChatEndpoint,
    EmbedCall,
    EmbedEndpoint,
    GenerateEndpoint,
    GenerationCall,
    LoadedModelCard,
    ModelDetailsCard,
    ModelFactsCard,
    decode_show,
    encode_ps,
    encode_show,
    encode_tags,
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
    Usage,
)
from localai.domain.parts import Media, Reasoning, Text, ToolCall, ToolResult
from localai.domain.stream_rules import StreamRules, fold
from localai.domain.vectors import Embeddings, EmbedRequest
from tests.domain.streams import UNKNOWN, Wanted, answers, tokens

ENDPOINTS = {"/api/chat": ChatEndpoint(), "/api/generate": GenerateEndpoint()}
REASONS = {
    FinishReason.STOP: "stop",
    FinishReason.STOP_SEQUENCE: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.FILTERED: "content_filter",
}
HI = [{"role": "user", "content": "Hi"}]
ORIGIN = Origin(answer_id="1", created_unix_s=1700000000)
TALK = (BlockKind.TEXT, BlockKind.REASONING)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
arguments = st.dictionaries(st.text(max_size=5), json_values, max_size=4)


def connected(handle: Callable[[httpx.Request], httpx.Response]) -> ollama.Client:
    return ollama.Client(host="http://localhost", transport=httpx.MockTransport(handle))


def client(events: Iterable[Event], calls: list[GenerationCall] | None = None) -> ollama.Client:
    """Give a client whose every request is answered by `events`, as an HTTP door would."""

    def handle(request: httpx.Request) -> httpx.Response:
        call = ENDPOINTS[request.url.path].decode(request.content, ORIGIN)
        if calls is not None:
            calls.append(call)
        if call.is_load_only:
            return httpx.Response(200, content=call.loaded("llama"))
        rules = StreamRules()
        checked = [rules.feed(event) for event in events]
        if not call.streams:
            return httpx.Response(200, content=call.whole_encoder("llama").encode(fold(checked)))
        encoder = call.stream_encoder("llama")
        lines = [frame.data + b"\n" for event in checked for frame in encoder.feed(event)]
        return httpx.Response(200, content=b"".join(lines))

    return connected(handle)


def sent(**fields: Any) -> GenerationCall:
    """Give the call that the client's chat sends."""
    calls: list[GenerationCall] = []
    client((Started(1), ChoiceEnded(0, FinishReason.STOP), Finished(Usage(1, 0))), calls).chat(
        model="llama", **fields
    )
    return calls[0]


def read(text: str) -> Any:
    """Say what a call's arguments must come out as."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"_raw": text} if text.strip() else {}


def check_end(last: Any, wanted: Wanted) -> None:
    assert last.done is True
    assert last.done_reason == REASONS[wanted.choices[0].reason]
    assert last.prompt_eval_count == wanted.usage.prompt_tokens
    assert last.eval_count == wanted.usage.completion_tokens
    times = wanted.timings
    durations = (last.load_duration, last.prompt_eval_duration, last.eval_duration)
    for spelled, ms in zip(
        durations, (times.load_ms, times.prompt_ms, times.generation_ms), strict=True
    ):
        assert spelled == (None if ms is None else round(ms * 1e6))
    known = [spelled for spelled in durations if spelled is not None]
    assert last.total_duration == (sum(known) if known else None)


@given(answers(n_choices=1))
def test_a_chat_stream_is_put_together(wanted: Wanted) -> None:
    lines = list(client(wanted.events).chat(model="llama", messages=HI, stream=True))
    choice = wanted.choices[0]
    assert "".join(line.message.content for line in lines) == choice.text(BlockKind.TEXT)
    thinking = "".join(line.message.thinking or "" for line in lines)
    assert thinking == choice.text(BlockKind.REASONING)
    calls = [call.function for line in lines for call in line.message.tool_calls or ()]
    assert [call.name for call in calls] == [call.name for call in choice.calls]
    assert [call.arguments for call in calls] == [read(call.text) for call in choice.calls]
    assert {line.message.role for line in lines} == {"assistant"}
    assert {line.done for line in lines[:-1]} <= {False}
    check_end(lines[-1], wanted)


@given(answers(n_choices=1))
def test_a_whole_chat_says_the_same(wanted: Wanted) -> None:
    whole = client(wanted.events).chat(model="llama", messages=HI)
    choice = wanted.choices[0]
    assert whole.message.content == choice.text(BlockKind.TEXT)
    assert (whole.message.thinking or "") == choice.text(BlockKind.REASONING)
    calls = [
        (call.function.name, call.function.arguments) for call in whole.message.tool_calls or ()
    ]
    assert calls == [(call.name, read(call.text)) for call in choice.calls]
    check_end(whole, wanted)


@given(answers(kinds=TALK, n_choices=1), st.booleans())
def test_a_generated_text_is_put_together(wanted: Wanted, raw: bool) -> None:  # noqa: FBT001
    ours, choice = client(wanted.events), wanted.choices[0]
    lines = list(ours.generate(model="llama", prompt="Hi", stream=True, raw=raw))
    assert "".join(line.response for line in lines) == choice.text(BlockKind.TEXT)
    thinking = "".join(line.thinking or "" for line in lines)
    assert thinking == choice.text(BlockKind.REASONING)
    check_end(lines[-1], wanted)
    whole = ours.generate(model="llama", prompt="Hi", raw=raw)
    assert whole.response == choice.text(BlockKind.TEXT)
    assert (whole.thinking or "") == thinking
    check_end(whole, wanted)


@given(arguments, st.sampled_from([None, 1]), st.booleans())
def test_arguments_come_back_equal(
    written: dict[str, Any],
    indent: int | None,
    ascii_only: bool,  # noqa: FBT001
) -> None:
    text = json.dumps(written, indent=indent, ensure_ascii=ascii_only)
    events = [
        Started(1),
        BlockStarted(0, 0, BlockKind.TOOL_CALL, "id_1", "f"),
        Delta(0, 0, BlockKind.TOOL_CALL, text),
        BlockEnded(0, 0, UNKNOWN),
        ChoiceEnded(0, FinishReason.STOP),
        Finished(Usage(1, 1)),
    ]
    ours = client(events)
    first, last = ours.chat(model="llama", messages=HI, stream=True)
    assert first.message.tool_calls[0].function.arguments == written
    assert last.done_reason == "stop"
    whole = ours.chat(model="llama", messages=HI)
    assert whole.message.tool_calls[0].function.arguments == written
    # The client sends its own copy of the message back, with the tool's answer.
    result = {"role": "tool", "tool_name": "f", "content": "42"}
    (request,) = sent(messages=[*HI, whole.message, result]).requests
    _, asked, answered = request.prompt.messages
    (call,), (told,) = asked.parts, answered.parts
    assert isinstance(call, ToolCall)
    assert (call.name, json.loads(call.arguments)) == ("f", written)
    assert told == ToolResult(call_id=call.call_id, text="42")
    assert answered.name == "f"


@given(st.text(min_size=1, max_size=12), st.integers(1, 3))
def test_logprobs_hold_every_byte(text: str, cut: int) -> None:
    deltas = [
        Delta(0, 0, BlockKind.TEXT, token.data.decode(errors="ignore"), logprobs=(token,))
        for token in tokens(text, cut=cut, top=2)
    ]
    events = [
        Started(1), BlockStarted(0, 0, BlockKind.TEXT), *deltas, BlockEnded(0, 0, UNKNOWN),
        ChoiceEnded(0, FinishReason.STOP), Finished(Usage(1, 1)),
    ]  # fmt: skip
    ours = client(events)
    whole = ours.chat(model="llama", messages=HI, logprobs=True, top_logprobs=2)
    stream = ours.chat(model="llama", messages=HI, logprobs=True, top_logprobs=2, stream=True)
    streamed = [token for line in stream for token in line.logprobs or ()]
    assert list(whole.logprobs) == streamed
    assert [token.token for token in streamed] == [token.text for token in tokens(text, cut=cut)]
    assert [len(token.top_logprobs) for token in streamed] == [2] * len(streamed)


def test_what_the_client_sends_is_understood() -> None:
    def weather(city: str, days: int = 1) -> str:
        """Tell the weather.

        Args:
            city: where
            days: how many

        Returns:
            the weather
        """
        return f"{city} {days}"

    call = sent(
        messages=[
            ollama.Message(role="system", content="Be brief."),
            ollama.Message(
                role="user", content="Hi", images=[ollama.Image(value=b"\xff\xd8\xff\xe0")]
            ),
            ollama.Message(role="assistant", content="Hello", thinking="A greeting."),
        ],
        tools=[weather],
        options=ollama.Options(temperature=0, num_ctx=2048, stop=["END"], tfs_z=1, num_gpu=1),
        format={"type": "object"},
        think="low",
        keep_alive="10m",
    )
    (request,) = call.requests
    system, user, assistant = request.prompt.messages
    assert system.parts == (Text(text="Be brief."),)
    assert isinstance(user.parts[0], Media)
    assert user.parts[0].media_type == "image/jpeg"
    assert assistant.parts == (Reasoning(text="A greeting."), Text(text="Hello"))
    assert request.tools[0].name == "weather"
    assert json.loads(request.tools[0].parameters)["properties"].keys() == {"city", "days"}
    assert (request.sampling.temperature, request.stop) == (0, ("END",))
    assert request.engine_options == {"num_ctx": "2048"}
    assert (request.reasoning_effort, call.keep_alive_s) == ("low", 600)
    assert not call.streams


@pytest.mark.parametrize(("keep_alive", "reason"), [(None, "load"), (0, "unload")])
@pytest.mark.parametrize("stream", [False, True])
def test_calls_that_only_load(keep_alive: int | None, reason: str, stream: bool) -> None:  # noqa: FBT001
    ours, fields = client(()), {"keep_alive": keep_alive, "stream": stream}
    for answer in (
        ours.generate(model="llama", **fields),
        ours.chat(model="llama", messages=[], **fields),
    ):
        (only,) = answer if stream else [answer]
        assert (only.done, only.done_reason) == (True, reason)


@given(answers(n_choices=1), st.integers(0, 100))
def test_a_failure_in_the_middle_is_raised(wanted: Wanted, cut: int) -> None:
    started = next(place for place, event in enumerate(wanted.events) if type(event) is Started)
    cut = max(started + 1, cut % len(wanted.events))
    ours = client([*wanted.events[:cut], Failed(errors.EngineFailed("The engine stopped."))])
    for stream in (
        ours.chat(model="llama", messages=HI, stream=True),
        ours.generate(model="llama", prompt="Hi", stream=True),
    ):
        with pytest.raises(ollama.ResponseError) as caught:
            list(stream)
        assert caught.value.error == "The engine stopped."


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_the_clients_error(stream: bool) -> None:  # noqa: FBT001
    reply = error_reply(errors.ModelNotFound("lama"))
    ours = connected(lambda _: httpx.Response(reply.status, content=reply.body))
    with pytest.raises(ollama.ResponseError) as caught:
        list(ours.chat(model="lama", messages=HI, stream=stream))
    assert caught.value.status_code == 404
    assert caught.value.error == errors.ModelNotFound("lama").sentence


FACTS = ModelFactsCard(
    name="llama",
    size_bytes=4_000_000_000,
    modified_unix_s=1700000000.25,
    digest="ab" * 32,
    family="llama",
    parameter_size="8.0B",
    quantization="Q4_K_M",
)


def test_models_are_listed_shown_and_seen_in_memory() -> None:
    shown = ModelDetailsCard(
        facts=FACTS, template="{{ .Prompt }}", architecture="llama", context_length=8192
    )
    loaded = LoadedModelCard(facts=FACTS, size_bytes=5, size_vram_bytes=4, context_length=4096)

    def handle(request: httpx.Request) -> httpx.Response:
        match request.url.path:
            case "/api/tags":
                return httpx.Response(200, content=encode_tags([FACTS]))
            case "/api/ps":
                return httpx.Response(200, content=encode_ps([loaded]))
            case "/api/show":
                assert decode_show(request.content).model == "llama"
                return httpx.Response(200, content=encode_show(shown))
        return httpx.Response(404)

    ours = connected(handle)
    (model,) = ours.list().models
    assert (model.model, model.size, model.digest) == ("llama:latest", 4_000_000_000, "ab" * 32)
    assert model.modified_at.timestamp() == 1700000000.25
    assert model.details.quantization_level == "Q4_K_M"
    show = ours.show("llama")
    assert show.modelinfo == {"general.architecture": "llama", "llama.context_length": 8192}
    assert (show.template, show.capabilities) == ("{{ .Prompt }}", ["completion"])
    (running,) = ours.ps().models
    assert (running.name, running.size, running.size_vram) == ("llama:latest", 5, 4)
    assert (running.context_length, running.expires_at.year) == (4096, 9999)


def test_texts_are_embedded() -> None:
    endpoints = {"/api/embed": EmbedEndpoint(), "/api/embeddings": EmbedEndpoint(is_older=True)}
    seen: list[EmbedCall] = []

    def handle(request: httpx.Request) -> httpx.Response:
        call = endpoints[request.url.path].decode(request.content, ORIGIN)
        seen.append(call)
        if call.is_load_only:
            return httpx.Response(200, content=call.loaded("llama"))
        vectors = [array("f", [len(text), 3.0, 0.5]).tobytes() for text in call.request.inputs]
        result = Embeddings(vectors=tuple(vectors), prompt_tokens=7)
        return httpx.Response(200, content=call.encode(result, "llama"))

    ours = connected(handle)
    many = ours.embed(model="llama", input=["abcd", "b" * 3000], truncate=False, dimensions=2)
    assert many.embeddings[0] == [0.8, 0.6]
    assert many.prompt_eval_count == 7
    assert ours.embed(model="llama", input="ab", dimensions=9).embeddings == [[2.0, 3.0, 0.5]]
    assert ours.embed(model="llama", input=[], keep_alive="1m").embeddings == []
    assert ours.embeddings(model="llama", prompt="abcd").embedding == [4.0, 3.0, 0.5]
    assert ours.embeddings(model="llama").embedding == []
    assert [len(call.request.inputs) for call in seen] == [2, 1, 0, 1, 0]
    assert seen[1].request == EmbedRequest(inputs=("ab",), truncate=True)
    assert seen[2].keep_alive_s == 60


def test_an_empty_text_among_others_is_refused() -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        EmbedEndpoint().decode(b'{"input": ["a", ""]}', ORIGIN)
    assert caught.value.fields["param"] == "input[1]"

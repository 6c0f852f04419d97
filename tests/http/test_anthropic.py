"""The Messages API from end to end: the official client against real models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import anthropic
import pytest

from tests.gguf_maker import HERMES, make_scripted
from tests.live import LiveServer

WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
CALL = ["<tool_call>\n", '{"name": "', "get_weather", '", "arguments": {"', 'city": "', "Rome"]
CALL += ['"}}\n', "</tool_call>"]
ASK = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("anthropic") / "models"
    folder.mkdir()
    make_scripted(folder / "talker.gguf", ["One", " two", " three"])
    make_scripted(folder / "caller.gguf", CALL, template=HERMES)
    with LiveServer(folder) as running:
        yield running


@pytest.fixture
def client(server: LiveServer) -> Iterator[anthropic.Anthropic]:
    with server.anthropic() as made:
        yield made


@pytest.mark.covers("`/v1/messages/count_tokens`, and counts of the cache in `usage`", "anthropic")
def test_an_answer_and_its_count(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(model="talker", max_tokens=50, messages=ASK)
    assert [block.text for block in answer.content if block.type == "text"] == ["One two three"]
    assert (answer.stop_reason, answer.role, answer.model) == ("end_turn", "assistant", "talker")
    counted = client.messages.count_tokens(model="talker", messages=ASK)
    usage = answer.usage
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == counted.input_tokens
    again = client.messages.create(model="talker", max_tokens=50, messages=ASK)
    assert again.usage.cache_read_input_tokens
    assert again.id != answer.id


@pytest.mark.covers("`stop_reason`, with the `stop_sequence` that came", "anthropic")
def test_limits_and_stops_are_told_apart(client: anthropic.Anthropic) -> None:
    short = client.messages.create(model="talker", max_tokens=1, messages=ASK)
    assert short.stop_reason == "max_tokens"
    assert short.usage.output_tokens == 1
    cut = client.messages.create(
        model="talker", max_tokens=50, messages=ASK, stop_sequences=["thr"]
    )
    assert (cut.stop_reason, cut.stop_sequence) == ("stop_sequence", "thr")
    assert [block.text for block in cut.content if block.type == "text"] == ["One two "]


def test_a_stream_adds_up(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="talker", max_tokens=50, messages=ASK) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert pieces == ["One", " two", " three"]
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 4


@pytest.mark.parametrize("streams", [False, True])
def test_a_tool_loop(client: anthropic.Anthropic, *, streams: bool) -> None:
    asked = {"max_tokens": 200, "tools": [WEATHER], "messages": ASK}
    if streams:
        with client.messages.stream(model="caller", **asked) as stream:
            answer = stream.get_final_message()
    else:
        answer = client.messages.create(model="caller", **asked)
    (call,) = [block for block in answer.content if block.type == "tool_use"]
    assert (call.name, call.input, answer.stop_reason) == (
        "get_weather",
        {"city": "Rome"},
        "tool_use",
    )
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    history = [
        *ASK,
        {"role": "assistant", "content": [block.to_dict() for block in answer.content]},
        {"role": "user", "content": [result]},
    ]
    followed = client.messages.create(
        model="talker", max_tokens=50, tools=[WEATHER], messages=history
    )
    assert followed.stop_reason == "end_turn"


def test_a_call_that_is_required_comes(client: anthropic.Anthropic) -> None:
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"}):
        answer = client.messages.create(
            model="talker", max_tokens=400, messages=ASK, tools=[WEATHER], tool_choice=choice
        )
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert calls
        assert all(call.name == "get_weather" for call in calls)


def test_errors_are_anthropics(client: anthropic.Anthropic, server: LiveServer) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(model="nobody", max_tokens=5, messages=ASK)
    assert "nobody" in missing.value.message
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model="talker", max_tokens=0, messages=ASK)
    body = server.post("/messages", {"model": "talker", "messages": []}).json
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"


@pytest.mark.covers("Models in its form", "anthropic")
def test_models_are_listed_in_its_form(server: LiveServer) -> None:
    base = f"http://127.0.0.1:{server.port}"
    strict = {"max_retries": 0, "_strict_response_validation": True}
    with anthropic.Anthropic(base_url=base, api_key="none", **strict) as client:
        listed = list(client.models.list())
        assert [model.id for model in listed] == ["caller", "talker"]
        assert listed[0].created_at.timestamp() > 0
        assert client.models.retrieve("talker") == listed[1]
        with pytest.raises(anthropic.NotFoundError) as missing:
            client.models.retrieve("walker")
        assert missing.value.type == "not_found_error"
    assert server.get("/v1/models").json["object"] == "list"


@pytest.mark.covers("Keys in `x-api-key`", "anthropic")
def test_a_missing_key_is_told_in_its_own_form(tmp_path: Path) -> None:
    make_scripted(tmp_path / "talker.gguf", ["One"])
    with LiveServer(tmp_path, "--api-keys", "secret") as running:
        reply = running.post("/v1/messages", {})
        assert reply.status == 401
        assert json.loads(reply.body)["error"]["type"] == "authentication_error"
        with running.anthropic("secret") as client:
            answer = client.messages.create(model="talker", max_tokens=5, messages=ASK)
        assert answer.content

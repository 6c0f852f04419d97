"""The Responses API from end to end: the official client against real models, across restarts."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.gguf_maker import HERMES, make_scripted
from tests.live import LiveServer, echo_yaml, wait_until

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
CALL = ["<tool_call>\n", '{"name": "', "get_weather", '", "arguments": {"', 'city": "', "Rome"]
CALL += ['"}}\n', "</tool_call>"]


def _fill(folder: Path) -> Path:
    folder.mkdir()
    make_scripted(folder / "talker.gguf", ["One", " two", " three"])
    make_scripted(folder / "caller.gguf", CALL, template=HERMES)
    (folder / "echo.yaml").write_text(echo_yaml("echo"))
    (folder / "slow.yaml").write_text(echo_yaml("slow", delay_s=0.2, repeat=200))
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    base = tmp_path_factory.mktemp("responses")
    data = str(base / "data")
    with LiveServer(_fill(base / "models"), "--data-path", data) as running:
        yield running


@pytest.fixture
def client(server: LiveServer) -> Iterator[openai.OpenAI]:
    with server.openai() as made:
        yield made


def test_input_is_counted_as_it_would_be_read(client: openai.OpenAI) -> None:
    first = client.responses.create(model="talker", input="hello", instructions="Be short.")
    told = {"model": "talker", "instructions": "Be short."}
    counted = client.responses.input_tokens.count(**told, input="hello")
    assert first.usage is not None
    assert counted.input_tokens == first.usage.input_tokens
    assert counted.object == "response.input_tokens"
    more = {"tools": [WEATHER], "previous_response_id": first.id}
    then = client.responses.create(**told, **more, input="And?")
    assert then.usage is not None
    counted = client.responses.input_tokens.count(**told, **more, input="And?")
    assert counted.input_tokens == then.usage.input_tokens > first.usage.input_tokens
    with pytest.raises(openai.NotFoundError):
        client.responses.input_tokens.count(**told, previous_response_id="resp_none")
    with pytest.raises(openai.BadRequestError):
        client.responses.input_tokens.count(model="talker")


@pytest.mark.covers("Every field that the specification requires", "openresponses")
@pytest.mark.covers("`input_items`", "openresponses")
def test_an_answer_has_what_the_specification_wants(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="talker", input="hello", metadata={"a": "b"})
    assert (answer.output_text, answer.status) == ("One two three", "completed")
    assert answer.usage is not None
    assert answer.usage.output_tokens == 4
    assert answer.usage.total_tokens == answer.usage.input_tokens + 4
    assert answer.metadata == {"a": "b"}
    again = client.responses.retrieve(answer.id)
    assert again.output_text == answer.output_text
    items = client.responses.input_items.list(answer.id)
    assert [item.type for item in items.data] == ["message"]


@pytest.mark.covers("`status: incomplete`, with its reason", "openresponses")
def test_a_length_is_told(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="talker", input="hello", max_output_tokens=1)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


@pytest.mark.covers("A `sequence_number` in every event", "openresponses")
def test_a_stream_is_numbered_and_adds_up(client: openai.OpenAI) -> None:
    with client.responses.stream(model="talker", input="hello") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert final.output_text == "One two three"


@pytest.mark.covers("`previous_response_id`, over any number of turns", "openresponses")
@pytest.mark.covers("Texts and items as input", "openresponses")
def test_turns_are_remembered_over_any_number_of_hops(client: openai.OpenAI) -> None:
    turn = client.responses.create(model="talker", input="first words")
    sizes = []
    for text in ("second words", "third words", "fourth words"):
        turn = client.responses.create(model="talker", input=text, previous_response_id=turn.id)
        assert turn.usage is not None
        sizes.append(turn.usage.input_tokens)
    steps = [later - earlier for earlier, later in pairwise(sizes)]
    assert all(step > 10 for step in steps), sizes


@pytest.mark.parametrize("streams", [False, True])
def test_a_tool_loop(client: openai.OpenAI, *, streams: bool) -> None:
    asked: Any = {"model": "caller", "input": "hello", "tools": [WEATHER]}
    if streams:
        with client.responses.stream(**asked) as stream:
            answer = stream.get_final_response()
    else:
        answer = client.responses.create(**asked)
    (call,) = [item for item in answer.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Rome"})
    followed = client.responses.create(
        model="talker",
        previous_response_id=answer.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}],
        tools=[WEATHER],
    )
    assert followed.output_text == "One two three"


def test_an_answer_obeys_a_schema(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"enum": ["x"]}},
        "required": ["a"],
        "additionalProperties": False,
    }
    form: Any = {"type": "json_schema", "name": "n", "schema": schema}
    answer = client.responses.create(model="talker", input="hello", text={"format": form})
    assert json.loads(answer.output_text) == {"a": "x"}


@pytest.mark.covers("`background`: polled and deleted", "openresponses")
def test_a_background_answer_is_polled_resumed_and_deleted(client: openai.OpenAI) -> None:
    queued = client.responses.create(model="echo", input="a b c", background=True)
    assert queued.status in ("queued", "in_progress")
    done = wait_until(
        lambda: (got := client.responses.retrieve(queued.id)).status == "completed" and got,
        "the background answer",
    )
    assert done.output_text == "a b c"
    client.responses.delete(queued.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(queued.id)


@pytest.mark.covers("`background`: a stream that is resumed with `starting_after`", "openresponses")
def test_a_background_stream_is_resumed_from_any_event(client: openai.OpenAI) -> None:
    stream = client.responses.create(model="echo", input="a b c", background=True, stream=True)
    events = list(stream)
    response_id = events[0].response.id
    assert [event.sequence_number for event in events] == list(range(len(events)))
    for after in (None, 0, 3):
        more: Any = {} if after is None else {"starting_after": after}
        resumed = list(client.responses.retrieve(response_id, stream=True, **more))
        first = 0 if after is None else after + 1
        assert [event.sequence_number for event in resumed] == list(range(first, len(events)))


@pytest.mark.covers("`background`: cancelled", "openresponses")
def test_a_background_answer_is_cancelled(client: openai.OpenAI, server: LiveServer) -> None:
    queued = client.responses.create(model="slow", input="a b c", background=True)
    wait_until(lambda: server.running("slow") == 1, "the start")
    assert client.responses.cancel(queued.id).status == "cancelled"
    wait_until(lambda: server.running("slow") == 0, "the end")
    assert client.responses.cancel(queued.id).status == "cancelled"


@pytest.mark.covers("Conversations", "openresponses")
def test_a_conversation_keeps_its_items(client: openai.OpenAI) -> None:
    talk = client.conversations.create(metadata={"k": "v"})
    client.responses.create(model="talker", input="first", conversation=talk.id)
    client.responses.create(model="talker", input="second", conversation=talk.id)
    items = client.conversations.items.list(talk.id, order="asc").data
    roles = [item.role for item in items if item.type == "message"]
    assert roles == ["user", "assistant", "user", "assistant"]
    client.conversations.delete(talk.id)
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(talk.id)


def test_errors_are_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="talker", input="a", previous_response_id="resp_none")
    with pytest.raises(openai.BadRequestError) as wrong:
        client.responses.create(model="talker", input="a", background=True, store=False)
    assert wrong.value.param == "background"


@pytest.mark.covers(
    "What is stored survives a kill; what was running has failed, and says so", "openresponses"
)
def test_what_is_stored_survives_a_kill(tmp_path: Path) -> None:
    folder, data = _fill(tmp_path / "models"), str(tmp_path / "data")
    with LiveServer(folder, "--data-path", data) as first, first.openai() as client:
        kept = client.responses.create(model="talker", input="hello")
        running = client.responses.create(model="slow", input="a b c", background=True)
        wait_until(lambda: first.running("slow") == 1, "the start")
        first.stop(signal.SIGKILL)
    with LiveServer(folder, "--data-path", data) as second, second.openai() as client:
        assert client.responses.retrieve(kept.id).output_text == "One two three"
        followed = client.responses.create(
            model="talker", input="go on", previous_response_id=kept.id
        )
        assert followed.output_text == "One two three"
        failed = client.responses.retrieve(running.id)
        assert failed.status == "failed"
        assert failed.error is not None
        assert failed.error.message

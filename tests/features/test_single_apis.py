"""What only one API has, or has in a form of its own."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gguf_maker import HERMES, THINKING, make_scripted
from tests.live import LiveServer, Reply, echo_yaml, read_until, wait_until, write_models
from tests.specs.pieces import sse_pieces

ASK: list[dict[str, Any]] = [{"role": "user", "content": "hello"}]
CALL = ["<tool_call>\n", '{"name": "', "get_weather", '", "arguments": {"', 'city": "', "Rome"]
CALL += ['"}}\n', "</tool_call>"]
TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {}}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    base = tmp_path_factory.mktemp("single")
    folder = write_models(
        base / "models",
        {
            "slow.yaml": echo_yaml("slow", delay_s=0.02, slots=2, repeat=100000),
            "starting.yaml": echo_yaml("starting", load_s=7),
        },
    )
    make_scripted(folder / "talker.gguf", ["One", " two", " three"], template=HERMES)
    make_scripted(folder / "caller.gguf", ["Well. ", *CALL], template=HERMES)
    thoughts = ["<think>", "Hm", "m.", "</think>", "All", " done"]
    make_scripted(folder / "thinker.gguf", thoughts, template=THINKING)
    data = ("--data-path", str(base / "data"))
    with LiveServer(folder, *data, "--open-responses-store-ttl", "2s") as running:
        yield running


# ---- Anthropic


def message(server: LiveServer, model: str = "talker", **fields: Any) -> Reply:
    body = {"model": model, "max_tokens": 60, "messages": ASK, **fields}
    reply = server.post("/v1/messages", body, {"anthropic-version": "2023-06-01"})
    assert reply.status == 200, reply.body
    return reply


def read(server: LiveServer, **fields: Any) -> int:
    usage = message(server, **fields).json["usage"]
    tokens: int = usage["input_tokens"] + usage["cache_read_input_tokens"]
    return tokens


@pytest.mark.covers("`system`, as a text or as blocks", "anthropic")
def test_what_the_model_is_told_first(server: LiveServer) -> None:
    blocks = [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind."}]
    plain, told = read(server), read(server, system="Be kind.")
    assert told == plain + len("system\nBe kind.\n") + 2
    assert read(server, system=blocks) >= told


@pytest.mark.covers("Text, calls, results and thoughts as blocks of the history", "anthropic")
def test_blocks_of_the_history(server: LiveServer) -> None:
    thinking = {"type": "thinking", "thinking": "Hmm.", "signature": "x"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "sunny"}]}  # fmt: skip
    history = [
        {"role": "user", "content": [{"type": "text", "text": "hello"}]},
        {"role": "assistant", "content": [thinking, {"type": "text", "text": "Well."}, use]},
        {"role": "user", "content": [result, {"type": "text", "text": "And?"}]},
    ]
    long = read(server, model="thinker", messages=history, tools=[TOOL])
    assert long > read(server, model="thinker", tools=[TOOL]) + len("Well.sunnyAnd?")


@pytest.mark.covers("Events in their order, from `message_start` to `message_stop`", "anthropic")
@pytest.mark.covers("Arguments of calls as `input_json_delta`", "anthropic")
def test_events_of_a_message(server: LiveServer) -> None:
    events = list(sse_pieces(message(server, "caller", tools=[TOOL], stream=True).body))
    kinds = [event["type"] for event in events if event["type"] != "ping"]
    runs = [kind for at, kind in enumerate(kinds) if kinds[at - 1] != kind or at == 0]
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert runs == ["message_start", *block, *block, "message_delta", "message_stop"]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    pieces = [delta["partial_json"] for delta in deltas if delta["type"] == "input_json_delta"]
    assert len(pieces) > 1
    assert json.loads("".join(pieces)) == {"city": "Rome"}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.covers("`ping` events while the model is not ready", "anthropic")
def test_pings(server: LiveServer) -> None:
    body = message(server, "starting", stream=True).body
    assert body.count(b"event: ping") >= 1
    assert body.index(b"event: ping") < body.index(b"content_block_start")


@pytest.mark.covers("An `error` event when an answer breaks off", "anthropic")
def test_a_message_that_breaks_off(server: LiveServer) -> None:
    asked = {"model": "slow", "max_tokens": 5000, "messages": ASK, "stream": True}
    connection = server.open_stream("/v1/messages", asked)
    with connection:
        wait_until(lambda: server.running("slow") == 1, "the start")
        read_until(connection, b"content_block_delta")
        os.kill(server.workers("slow")[-1], signal.SIGKILL)
        data = read_until(connection, b"event: error")
    assert b"message_stop" not in data
    assert server.get("/v1/models").status == 200


# ---- Open Responses


def respond(server: LiveServer, **fields: Any) -> Any:
    reply = server.post("/v1/responses", {"model": "talker", "input": "hello", **fields})
    assert reply.status == 200, reply.body
    return reply.json


@pytest.mark.covers("`instructions`, which the next turn does not inherit", "openresponses")
def test_instructions(server: LiveServer) -> None:
    told = respond(server, instructions="Be very kind.")
    plain = respond(server)
    assert told["usage"]["input_tokens"] > plain["usage"]["input_tokens"] + len("Be very kind.")
    then = respond(server, previous_response_id=told["id"])
    again = respond(server, previous_response_id=plain["id"])
    assert then["usage"]["input_tokens"] == again["usage"]["input_tokens"]


@pytest.mark.covers("`truncation`, `metadata`, `include`", "openresponses")
def test_fields_come_back(server: LiveServer) -> None:
    made = respond(
        server,
        metadata={"a": "b"},
        truncation="disabled",
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    assert (made["metadata"], made["truncation"]) == ({"a": "b"}, "disabled")
    (part,) = made["output"][0]["content"]
    assert "".join(token["token"] for token in part["logprobs"]) == part["text"]
    assert all(len(token["top_logprobs"]) == 2 for token in part["logprobs"])


@pytest.mark.covers("A time to live of what is stored", "openresponses")
def test_what_is_stored_is_forgotten(server: LiveServer) -> None:
    kept = respond(server)["id"]
    assert server.get(f"/v1/responses/{kept}").status == 200
    wait_until(lambda: server.get(f"/v1/responses/{kept}").status == 404, "the end of its time")


@pytest.mark.covers("`store: false` keeps nothing", "openresponses")
def test_what_is_not_stored(server: LiveServer) -> None:
    made = respond(server, store=False)
    assert server.get(f"/v1/responses/{made['id']}").status == 404


# ---- Ollama


@pytest.mark.covers("`HEAD /` and `GET /`, by which clients look for a server", "ollama-api")
def test_a_server_is_found(server: LiveServer) -> None:
    head = server.request("HEAD", "/")
    assert (head.status, head.body) == (200, b"")
    assert server.get("/").body == b"Ollama is running"


@pytest.mark.covers("Lines of JSON, the last with counts and durations", "ollama-api")
def test_lines(server: LiveServer) -> None:
    reply = server.post("/api/chat", {"model": "talker:latest", "messages": ASK})
    assert reply.headers["content-type"] == "application/x-ndjson"
    *lines, last = [json.loads(line) for line in reply.body.splitlines()]
    assert "".join(line["message"]["content"] for line in lines) + last["message"]["content"] == (
        "One two three"
    )
    assert [line["done"] for line in lines] == [False] * len(lines)
    assert (last["done"], last["done_reason"], last["eval_count"]) == (True, "stop", 4)
    assert last["prompt_eval_count"] == len("user\nhello\n") + 2 + len("assistant\n") + 1
    parts = [last.get(f"{part}_duration", 0) for part in ("load", "prompt_eval", "eval")]
    assert last["total_duration"] == sum(parts) > 0


# ---- all of them


@pytest.mark.covers("Unknown paths say what exists", "every")
def test_an_unknown_path(server: LiveServer) -> None:
    for path, near in (
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/v1/message", "/v1/messages"),
        ("/v1/response", "/v1/responses"),
        ("/api/chats", "/api/chat"),
    ):
        reply = server.post(path, {})
        assert reply.status == 404
        assert near in reply.body.decode()

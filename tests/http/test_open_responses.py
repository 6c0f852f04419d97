"""What the compliance suite of the Open Responses specification asks of a server over HTTP.

The form of every answer and event is looked at by `tests.specs.recording`. What the suite asks
of WebSockets and of compaction, both optional, is not there.
Source: https://github.com/openresponses/openresponses, src/lib/compliance-tests.ts, 2026-04-24.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gguf_maker import HERMES, Shape, make_scripted, make_tiny_llama
from tests.live import LiveServer
from tests.mmproj_maker import make_mmproj, png
from tests.specs.pieces import sse_pieces

WIDTH = 128
CALL = ["<tool_call>\n", '{"name": "', "get_weather", '", "arguments": {"', 'location": "', "Rome"]
CALL += ['"}}\n', "</tool_call>"]
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather at a place",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "A city"}},
        "required": ["location"],
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    base = tmp_path_factory.mktemp("open-responses")
    folder = base / "models"
    folder.mkdir()
    make_scripted(folder / "talker.gguf", ["One", " two", " three"])
    make_scripted(folder / "caller.gguf", CALL, template=HERMES)
    shape = Shape(layers=1, embedding=WIDTH, heads=2, kv_heads=2, feed_forward=128)
    make_tiny_llama(folder / "tiny.gguf", shape=shape)
    make_mmproj(folder / "mmproj-eyes.gguf", text_size=WIDTH)
    (folder / "seer.yaml").write_text(
        "name: seer\nmmproj: mmproj-eyes.gguf\nparameters: {model: tiny.gguf, max_tokens: 3}\n"
    )
    with LiveServer(folder, "--data-path", str(base / "data")) as running:
        yield running


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content, **more}


def whole(server: LiveServer, model: str, items: list[dict[str, Any]], **more: Any) -> Any:
    reply = server.post("/v1/responses", {"model": model, "input": items, **more})
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/json"
    return reply.json


def events(server: LiveServer, model: str, items: list[dict[str, Any]], **more: Any) -> list[Any]:
    body = {"model": model, "input": items, "stream": True, **more}
    reply = server.post("/v1/responses", body)
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.body.endswith(b"data: [DONE]\n\n")
    return list(sse_pieces(reply.body))


CONVERSATIONS = {
    "one message": [said("user", "Say hello in three words.")],
    "a system message": [said("system", "You are a pirate."), said("user", "Say hello.")],
    "several turns": [
        said("user", "My name is Ada."),
        said("assistant", "Hello Ada!"),
        said("user", "What is my name?"),
    ],
    "phases of the assistant": [
        said("assistant", "I look for the number.", phase="commentary"),
        said("assistant", "It is four.", phase="final_answer"),
        said("user", "Only the number."),
    ],
}


@pytest.mark.parametrize("items", CONVERSATIONS.values(), ids=list(CONVERSATIONS))
@pytest.mark.covers("Texts and items as input", "openresponses")
def test_a_conversation_is_answered(server: LiveServer, items: list[dict[str, Any]]) -> None:
    answer = whole(server, "talker", items)
    assert answer["status"] == "completed"
    assert [item["type"] for item in answer["output"]] == ["message"]
    assert answer["output"][0]["content"][0]["text"] == "One two three"


def test_an_answer_streams(server: LiveServer) -> None:
    seen = events(server, "talker", [said("user", "Count from 1 to 3.")])
    assert [event["sequence_number"] for event in seen] == list(range(len(seen)))
    assert [event["type"] for event in seen if ".delta" not in event["type"]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert seen[-1]["response"]["status"] == "completed"


def test_a_function_is_called(server: LiveServer) -> None:
    asked = [said("user", "What is the weather like in Rome?")]
    (call,) = whole(server, "caller", asked, tools=[WEATHER])["output"]
    assert (call["type"], call["name"]) == ("function_call", "get_weather")
    assert call["arguments"] == '{"location": "Rome"}'


def test_a_call_streams(server: LiveServer) -> None:
    asked = [said("user", "What is the weather like in Rome?")]
    seen = events(server, "caller", asked, tools=[WEATHER])
    kinds = [event["type"] for event in seen]
    assert "response.function_call_arguments.delta" in kinds
    assert kinds.count("response.function_call_arguments.done") == 1
    for kind in ("response.output_item.added", "response.output_item.done"):
        (item,) = (event["item"] for event in seen if event["type"] == kind)
        assert (item["type"], item["name"]) == ("function_call", "get_weather")


def test_a_picture_is_looked_at(server: LiveServer) -> None:
    address = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    parts = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": address},
    ]
    seen = whole(server, "seer", [said("user", parts)], max_output_tokens=3)
    unseen = whole(server, "seer", [said("user", parts[:1])], max_output_tokens=3)
    assert seen["usage"]["input_tokens"] > unseen["usage"]["input_tokens"] + 3


def test_a_picture_that_no_one_can_see_is_refused_by_its_place(server: LiveServer) -> None:
    parts = [
        {
            "type": "input_image",
            "image_url": "data:image/png;base64," + base64.b64encode(png()).decode(),
        }
    ]
    reply = server.post("/v1/responses", {"model": "talker", "input": [said("user", parts)]})
    assert (reply.status, reply.error["param"]) == (400, "input")

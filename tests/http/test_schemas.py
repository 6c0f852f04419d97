"""Schemas and grammars of requests are obeyed as they are written, or refused with the place of what is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from tests.gguf_maker import CHATML, HERMES, Shape, make_tiny_llama
from tests.live import LiveServer, Reply, write_models

HI = [{"role": "user", "content": "Hi"}]
# A token is a byte: let noise end its texts, and write no broken UTF-8.
BIASES = {str(byte): 3.0 for byte in b'"]}'} | {str(byte): -50.0 for byte in range(128, 256)}
SMALL = Shape(layers=1, embedding=128, heads=2, kv_heads=1, feed_forward=128)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("schemas") / "models"
    head = "name: {}\nparameters: {{model: {}.gguf, seed: 1}}\ncontext_size: 2048\nthreads: 1\noptions: [parallel:1]\n"
    write_models(
        folder,
        {
            "noise.yaml": head.format("noise", "noise"),
            "caller.yaml": head.format("caller", "caller"),
            "ruled.yaml": head.format("ruled", "noise")
            + "grammar: |\n  root ::= item\n  itm ::= 'x'\n",
            "shower.yaml": head.format("shower", "shower"),
            "go.yaml": head.format("go", "noise") + 'template: {chat: "{{.Input}}:"}\n',
        },
    )
    make_tiny_llama(folder / "noise.gguf", shape=SMALL, template=CHATML)
    shows = CHATML + "{% if response_format %}{{ response_format | tojson }}{% endif %}"
    make_tiny_llama(folder / "shower.gguf", shape=SMALL, template=shows)
    make_tiny_llama(folder / "caller.gguf", shape=SMALL, template=HERMES)
    with LiveServer(folder) as running:
        yield running


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "[A-Z]", "maxLength": 12},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True},
    },
    "required": ["name", "score", "tags"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("model", ["noise", "go"])
def test_answers_are_valid_in_every_api(server: LiveServer, model: str) -> None:
    chat = server.post(
        "/v1/chat/completions",
        {
            "model": model,
            "messages": HI,
            "logit_bias": BIASES,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "p", "schema": PERSON},
            },
        },
    ).json["choices"][0]["message"]["content"]
    completion = server.post(
        "/v1/completions",
        {
            "model": model,
            "prompt": "Hi",
            "logit_bias": BIASES,
            "grammar_json_functions": PERSON,
            "max_tokens": 500,
        },
    ).json["choices"][0]["text"]
    for text in (chat, completion):
        jsonschema.validate(json.loads(text), PERSON)
    # These APIs have no biases; what matters is that the schema arrives.
    closed = {
        "type": "object",
        "properties": {"score": {"type": "number", "minimum": 3, "maximum": 3}},
        "required": ["score"],
    }
    ollama = server.post(
        "/api/chat", {"model": model, "messages": HI, "format": closed, "stream": False}
    )
    responses = server.post(
        "/v1/responses",
        {
            "model": model,
            "input": "Hi",
            "text": {"format": {"type": "json_schema", "name": "p", "schema": closed}},
        },
    )
    anthropic = server.post(
        "/v1/messages",
        {
            "model": model,
            "messages": HI,
            "max_tokens": 200,
            "output_config": {"format": {"type": "json_schema", "schema": closed}},
        },
    )
    for text in (
        ollama.json["message"]["content"],
        responses.json["output"][0]["content"][0]["text"],
        anthropic.json["content"][0]["text"],
    ):
        assert json.loads(text)["score"] == 3


IMPOSSIBLE = {"type": "object", "properties": {"a": {"not": {"required": ["b"]}}}}


def refusals(server: LiveServer, schema: Any) -> list[tuple[str, Reply, str]]:
    form = {"type": "json_schema", "name": "n", "schema": schema}
    return [
        (
            "response_format.json_schema.schema",
            server.post("/v1/chat/completions", {"model": "noise", "messages": HI, "response_format": {"type": "json_schema", "json_schema": form}}),
            "message",
        ),
        ("text.format.schema", server.post("/v1/responses", {"model": "noise", "input": "Hi", "text": {"format": form}}), "message"),
        ("", server.post("/v1/messages", {"model": "noise", "messages": HI, "max_tokens": 9, "output_config": {"format": form}}), "message"),
        ("", server.post("/api/chat", {"model": "noise", "messages": HI, "format": schema, "stream": False}), ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (IMPOSSIBLE, "/properties/a/not"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "/properties/a/type"),
        ({"$ref": "#/$defs/none"}, "/$ref"),
    ],
)
def test_what_is_not_obeyed_is_refused_with_its_pointer(
    server: LiveServer, schema: Any, says: str
) -> None:
    for param, reply, field in refusals(server, schema):
        assert reply.status == 400, reply.body
        error = reply.json["error"]
        assert says in (error[field] if field else error)
        if param:
            assert error["param"] == param
    streamed = {"model": "noise", "messages": HI, "stream": True}
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    assert server.post("/v1/chat/completions", streamed | {"response_format": form}).status == 400


def test_a_wrong_grammar_is_told_with_line_and_column(server: LiveServer) -> None:
    reply = server.say("noise", "Hi", grammar='root ::= item\nitm ::= "a"')
    assert reply.status == 400
    assert "line 1, column 10" in reply.error["message"]
    assert "'itm' may be meant" in reply.error["message"]
    assert reply.error["param"] == "grammar"
    reply = server.say("ruled", "Hi")
    assert reply.status == 500
    assert "line 2, column 9" in reply.error["message"]
    assert "model file" in reply.error["message"]


def test_a_template_that_shows_the_schema_still_does(server: LiveServer) -> None:
    form = {"type": "json_schema", "json_schema": {"schema": {"const": "some-schema"}}}
    asked = {"max_tokens": 1, "response_format": form}
    shown = server.say("shower", "Hi", **asked).json["usage"]["prompt_tokens"]
    plain = server.say("noise", "Hi", **asked).json["usage"]["prompt_tokens"]
    assert shown == plain + len('{"const": "some-schema"}')


# ---- tools

AGENT = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "url": {"type": "string", "format": "uri", "maxLength": 9, "default": ""},
        "depth": {"type": "number", "minimum": 1, "maximum": 3},
        "any": {"type": "any"},
        "node": {"$ref": "#/definitions/node"},
        "flag": True,
    },
    "required": ["url", "depth", "node"],
    "additionalProperties": False,
    "definitions": {
        "node": {"type": "object", "properties": {"next": {"$ref": "#/definitions/node"}}}
    },
}


def call(server: LiveServer, model: str, parameters: Any, choice: Any, **more: Any) -> Reply:
    function = {"name": "visit", "parameters": parameters, **more}
    body = {
        "model": model,
        "messages": HI,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": choice,
        "logit_bias": BIASES,
        "max_tokens": 700,
        "seed": 3,
    }
    return server.post("/v1/chat/completions", body)


@pytest.mark.parametrize("model", ["noise", "caller", "go"])
@pytest.mark.parametrize(
    "choice", ["auto", "required", {"type": "function", "function": {"name": "visit"}}]
)
def test_what_agents_send_works(server: LiveServer, model: str, choice: Any) -> None:
    reply = call(server, model, AGENT, choice)
    assert reply.status == 200, reply.body
    if choice != "auto" and model != "go":
        made = reply.json["choices"][0]["message"]["tool_calls"][0]  # noise may go on with others
        assert isinstance(json.loads(made["function"]["arguments"])["node"], dict)


@pytest.mark.parametrize("model", ["noise", "caller"])
def test_a_strict_call_that_must_come_obeys_all_of_its_schema(
    server: LiveServer, model: str
) -> None:
    reply = call(server, model, PERSON, "required", strict=True)
    assert reply.status == 200, reply.body
    calls = reply.json["choices"][0]["message"]["tool_calls"]
    assert calls
    for made in calls:  # noise may go on with others
        jsonschema.validate(json.loads(made["function"]["arguments"]), PERSON)


def test_a_strict_tool_is_refused_where_it_would_not_be_obeyed(server: LiveServer) -> None:
    reply = call(server, "caller", PERSON, "auto", strict=True)
    assert reply.status == 400
    assert "/properties/" in reply.error["message"]
    assert reply.error["param"] == "tools[0].function.parameters"
    for model in ("noise", "caller"):
        reply = call(server, model, IMPOSSIBLE, "required", strict=True)
        assert reply.status == 400
        assert "/properties/a/not" in reply.error["message"]


def test_an_answer_obeys_its_schema_also_when_there_are_tools(server: LiveServer) -> None:
    tools = [{"type": "function", "function": {"name": "visit", "parameters": AGENT}}]
    form = {"type": "json_schema", "json_schema": {"schema": {"const": "yes"}}}
    for model in ("noise", "caller"):
        reply = server.say(model, "Hi", tools=tools, response_format=form)
        choice = reply.json["choices"][0]
        message = choice["message"]
        if message.get("reasoning_content") and not message["content"]:
            assert model == "noise"  # it may begin to think, and end in the middle of it, or never
            continue
        assert message["content"] == '"yes"' or message.get("tool_calls")  # noise may call

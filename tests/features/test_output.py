"""Answers in a form, in every API, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import jsonschema
import ollama
import openai
import pytest

from tests.features.apis import Api, Wish
from tests.gguf_maker import Shape, make_scripted, make_tiny_llama
from tests.live import LiveServer, write_models

REFUSALS = (openai.BadRequestError, anthropic.BadRequestError, ollama.ResponseError)
# Every text that it allows is short, whatever a model would rather say.
FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"const": "report"},
        "grade": {"enum": ["a", 2, None]},
        "either": {"anyOf": [{"type": "boolean"}, {"$ref": "#/$defs/code"}]},
        "share": {"type": "number", "minimum": 0.5, "maximum": 0.75},
        "count": {"type": "integer", "minimum": 7, "maximum": 12},
        "codes": {
            "type": "array",
            "items": {"$ref": "#/$defs/code"},
            "minItems": 1,
            "maxItems": 2,
        },
        "inside": {
            "type": "object",
            "properties": {"deep": {"type": "array", "items": {"type": "null"}, "maxItems": 1}},
            "required": ["deep"],
            "additionalProperties": False,
        },
    },
    "required": ["kind", "grade", "either", "share", "count", "codes", "inside"],
    "additionalProperties": False,
    "$defs": {"code": {"type": "string", "pattern": "^[a-c]{2,3}-[0-9]$"}},
}
NOISE = "name: noise\nparameters: {model: noise.gguf}\ncontext_size: 2048\n"
ENDS = {str(byte): 4.0 for byte in b"}"} | {str(byte): -60.0 for byte in range(128, 256)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("output") / "models"
    write_models(folder, {"noise.yaml": NOISE})
    shape = Shape(layers=1, embedding=128, heads=2, kv_heads=1, feed_forward=128)
    make_tiny_llama(folder / "noise.gguf", shape=shape)
    make_scripted(folder / "talker.gguf", ["One", " two"])
    with LiveServer(folder) as running:
        yield running


@pytest.mark.covers(
    "An answer that obeys a JSON Schema", "chat completions responses messages ollama"
)
def test_a_schema(server: LiveServer, api: Api, *, streams: bool) -> None:
    """References, alternatives, constants, nesting, bounds, counts and patterns."""
    heard = api.ask(server, "noise", Wish(schema=FORM), streams=streams)
    jsonschema.validate(json.loads(heard.text), FORM)
    assert heard.end == api.ends["text"]


@pytest.mark.covers("Any JSON object", "chat completions responses ollama")
def test_any_object(server: LiveServer, api: Api, *, streams: bool) -> None:
    heard = api.ask(server, "talker", Wish(any_object=True), streams=streams)
    assert isinstance(json.loads(heard.text), dict)
    assert heard.end == api.ends["text"]


@pytest.mark.covers(
    "A schema that cannot be obeyed is refused with the place",
    "chat completions responses messages ollama",
)
def test_an_impossible_schema(server: LiveServer, api: Api, *, streams: bool) -> None:
    schema = {"type": "object", "properties": {"a": {"not": {"required": ["b"]}}}}
    with pytest.raises(REFUSALS) as refused:
        api.ask(server, "talker", Wish(schema=schema), streams=streams)
    assert "/properties/a/not" in str(refused.value)


ASKS = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
    "completions": ("/v1/completions", {"prompt": "hello\n"}),
}


def said(server: LiveServer, place: str, *, streams: bool, **fields: Any) -> str:
    path, body = ASKS[place]
    reply = server.post(path, {"model": "noise", "stream": streams, **body, **fields})
    assert reply.status == 200, reply.body
    whole: list[Any] = [reply.json] if not streams else [
        json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: {")
    ]  # fmt: skip
    text = ""
    for part in whole:
        for choice in part["choices"]:
            message = (
                choice.get("message") or choice.get("delta") or {"content": choice.get("text")}
            )
            text += message.get("content") or ""
    return text


@pytest.mark.covers("LocalAI's `grammar`, in GBNF", "chat completions")
@pytest.mark.parametrize("place", ASKS)
def test_a_grammar(server: LiveServer, place: str, *, streams: bool) -> None:
    grammar = 'root ::= greeting " " [a-c]{2}\ngreeting ::= "hi" | "ho"'
    text = said(server, place, streams=streams, grammar=grammar)
    assert text[:3] in ("hi ", "ho ")
    assert len(text) == 5
    assert set(text[3:]) <= set("abc")


@pytest.mark.covers("LocalAI's `grammar_json_functions`", "chat completions")
@pytest.mark.parametrize("place", ASKS)
def test_a_grammar_of_functions(server: LiveServer, place: str, *, streams: bool) -> None:
    functions = {"oneOf": [
        {"type": "object", "properties": {"name": {"const": name}, "arguments": {
            "type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"],
            "additionalProperties": False}},
         "required": ["name", "arguments"], "additionalProperties": False}
        for name in ("lamp", "fan")]}  # fmt: skip
    text = said(server, place, streams=streams, grammar_json_functions=functions)
    made = json.loads(text)
    assert made["name"] in ("lamp", "fan")
    assert isinstance(made["arguments"]["on"], bool)


@pytest.mark.covers("A wrong grammar is refused with line and column", "chat completions")
@pytest.mark.parametrize("place", ASKS)
def test_a_wrong_grammar(server: LiveServer, place: str, *, streams: bool) -> None:
    path, body = ASKS[place]
    asked = {"model": "noise", "grammar": "root ::= item\nitm ::= [a", "stream": streams}
    reply = server.post(path, asked | body)
    assert reply.status == 400
    assert "line 2, column" in reply.error["message"]
    assert reply.error["param"] == "grammar"

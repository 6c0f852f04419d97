"""Tools, in every API, whole and streamed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib import resources
from typing import Any

import anthropic
import jsonschema
import openai
import pytest

from tests.features.apis import Api, Tool, Wish
from tests.gguf_maker import CHATML, HERMES, Shape, make_scripted, make_tiny_llama
from tests.live import LiveServer, write_models

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER, TIME = Tool("get_weather", CITY), Tool("get_time", CITY)
CALL = ["<tool_call>\n", '{"name": "', "get_weather", '", "arguments": {"', 'city": "', "Rome"]
CALL += ['"}}\n', "</tool_call>"]
SECOND = ["\n<tool_call>\n", '{"name":', ' "get_time', '","arguments"', ': {"city":', '"Oslo"']
SECOND += ["}}\n</tool_call>"]
STATION = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Rome", "Oslo"]},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "days": {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 1, "uniqueItems": True},
    },
    "required": ["city", "share", "days"],
    "additionalProperties": False,
}
IMPOSSIBLE = {"type": "object", "properties": {"a": {"not": {"required": ["b"]}}}}
SMALL = Shape(layers=1, embedding=128, heads=2, kv_heads=1, feed_forward=128)
NOISE = "parameters: {{model: {0}.gguf, seed: 1}}\nname: {0}\ncontext_size: 2048\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("tools") / "models"
    write_models(folder, {f"{name}.yaml": NOISE.format(name) for name in ("noise", "mute")})
    with resources.as_file(resources.files("localai") / "starter" / "starter.gguf") as starter:
        shutil.copy(starter, folder / "starter.gguf")
    (folder / "starter.yaml").write_text(
        "name: starter\nparameters: {model: starter.gguf, temperature: 0}\n"
    )
    make_scripted(folder / "caller.gguf", CALL, template=HERMES)
    make_scripted(folder / "twice.gguf", [*CALL, *SECOND], template=HERMES)
    make_scripted(folder / "talker.gguf", ["One", " two"], template=HERMES)
    make_scripted(folder / "plain.gguf", CALL, template=CHATML)
    make_tiny_llama(folder / "noise.gguf", shape=SMALL, template=HERMES)
    make_tiny_llama(folder / "mute.gguf", shape=SMALL, template=CHATML)
    with LiveServer(folder) as running:
        yield running


@pytest.mark.covers("A call, its result, and the answer", "chat responses messages ollama")
def test_a_loop(server: LiveServer, api: Api, *, streams: bool) -> None:
    """The model that comes with the server does it, not a scripted one."""
    question = "What is the weather in Rome?"
    asked = Wish(text=question, tools=(WEATHER,))
    called = api.ask(server, "starter", asked, streams=streams)
    ((_, name, arguments),) = called.calls
    assert (name, arguments) == ("get_weather", {"city": "Rome"})
    assert called.end == api.ends["call"]
    told = Wish(text=question, tools=(WEATHER,), then=(called, "sunny"))
    answer = api.ask(server, "starter", told, streams=streams)
    assert "sunny" in answer.text
    assert (answer.calls, answer.end) == ([], api.ends["text"])
    assert answer.prompt_tokens > called.prompt_tokens


@pytest.mark.covers("Arguments come in pieces, which together are JSON", "chat responses messages")
def test_a_call_comes_in_pieces(server: LiveServer, api: Api) -> None:
    heard = api.ask(server, "caller", Wish(tools=(WEATHER,)), streams=True)
    ((_, _, arguments),) = heard.calls
    assert arguments == {"city": "Rome"}
    assert len(heard.pieces) > 1


@pytest.mark.covers("Several calls in one turn, each with its id", "chat responses messages ollama")
def test_several_calls(server: LiveServer, api: Api, *, streams: bool) -> None:
    heard = api.ask(server, "twice", Wish(tools=(WEATHER, TIME)), streams=streams)
    named = [(call.name, call.arguments) for call in heard.calls]
    assert named == [("get_weather", {"city": "Rome"}), ("get_time", {"city": "Oslo"})]
    if any(call.call_id for call in heard.calls):  # Ollama's client reads none
        assert len({call.call_id for call in heard.calls}) == 2


@pytest.mark.covers("At most one call, if wanted", "chat responses messages")
def test_one_call_at_a_time(server: LiveServer, api: Api, *, streams: bool) -> None:
    wish = Wish(tools=(WEATHER, TIME), one_call=True)
    (call,) = api.ask(server, "twice", wish, streams=streams).calls
    assert call.name == "get_weather"


def test_one_call_in_each_of_several_answers(server: LiveServer) -> None:
    function = {"name": "get_weather", "parameters": CITY}
    tools = [{"type": "function", "function": function}]
    asked = {"tools": tools, "parallel_tool_calls": False, "n": 2}
    choices = server.say("twice", "hello", **asked).json["choices"]
    assert [len(choice["message"]["tool_calls"]) for choice in choices] == [1, 1]
    assert {choice["finish_reason"] for choice in choices} == {"tool_calls"}
    refused = server.say("twice", "hello", logprobs=True, **asked)
    assert (refused.status, refused.error["param"]) == (400, "logprobs")
    plain = server.say("talker", "hello", logprobs=True, tool_choice="none", **asked)
    assert plain.json["choices"][0]["logprobs"]["content"]


@pytest.mark.parametrize("model", ["caller", "plain"])
@pytest.mark.parametrize("stop", ["Rome", "</tool_call>"])
def test_a_stop_text_in_a_call(server: LiveServer, model: str, stop: str) -> None:
    """Only a call that is whole is the end that callers act upon."""
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]
    choice = server.say(model, "hello", tools=tools, stop=stop).json["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    is_cut = stop == "Rome"
    assert choice["finish_reason"] == ("stop" if is_cut else "tool_calls")
    assert (call["function"]["arguments"] == '{"city": "Rome"}') is not is_cut


@pytest.mark.covers("No call where none is wanted", "chat responses messages")
def test_no_call(server: LiveServer, api: Api, *, streams: bool) -> None:
    heard = api.ask(server, "talker", Wish(tools=(WEATHER,), choice="none"), streams=streams)
    assert (heard.calls, heard.text, heard.end) == ([], "One two", api.ends["text"])
    untold = api.ask(server, "talker", Wish(), streams=streams)
    assert heard.prompt_tokens == untold.prompt_tokens


@pytest.mark.covers("The model may call or answer", "chat responses messages ollama")
def test_an_answer_where_a_call_may_come(server: LiveServer, api: Api, *, streams: bool) -> None:
    heard = api.ask(server, "talker", Wish(tools=(WEATHER,)), streams=streams)
    assert (heard.calls, heard.text, heard.end) == ([], "One two", api.ends["text"])


@pytest.mark.covers("A call is guaranteed where one is required", "chat responses messages")
def test_a_required_call(server: LiveServer, api: Api, *, streams: bool) -> None:
    """Also from models that would rather talk."""
    for model in ("talker", "mute"):
        tools = (Tool("get_weather", STATION), Tool("get_time", STATION))
        wish = Wish(tools=tools, choice="required", one_call=True)
        (call,) = api.ask(server, model, wish, streams=streams).calls
        assert call.name in ("get_weather", "get_time")


@pytest.mark.covers("A named function is guaranteed to be called", "chat responses messages")
def test_a_named_call(server: LiveServer, api: Api, *, streams: bool) -> None:
    for model in ("talker", "mute"):
        wish = Wish(tools=(WEATHER, Tool("get_time", STATION)), choice="get_time", one_call=True)
        (call,) = api.ask(server, model, wish, streams=streams).calls
        assert call.name == "get_time"


@pytest.mark.covers("Arguments of a strict tool obey all of its schema", "chat responses messages")
def test_strict_arguments(server: LiveServer, api: Api, *, streams: bool) -> None:
    tool = Tool("measure", STATION, strict=True)
    for model in ("noise", "mute"):
        wish = Wish(tools=(tool,), choice="measure", one_call=True)
        (call,) = api.ask(server, model, wish, streams=streams).calls
        jsonschema.validate(call.arguments, STATION)


@pytest.mark.covers(
    "A strict tool that cannot be obeyed is refused with the place", "chat responses messages"
)
def test_a_strict_tool_that_cannot_be_obeyed(
    server: LiveServer, api: Api, *, streams: bool
) -> None:
    wish = Wish(tools=(Tool("f", IMPOSSIBLE, strict=True),), choice="required")
    with pytest.raises((openai.BadRequestError, anthropic.BadRequestError)) as refused:
        api.ask(server, "noise", wish, streams=streams)
    assert "/properties/a/not" in str(refused.value)


@pytest.mark.covers("Models whose template knows no tools", "chat responses messages ollama")
def test_models_that_were_not_made_for_tools(
    server: LiveServer, api: Api, *, streams: bool
) -> None:
    heard = api.ask(server, "plain", Wish(tools=(WEATHER,)), streams=streams)
    ((_, name, arguments),) = heard.calls
    assert (name, arguments, heard.end) == ("get_weather", {"city": "Rome"}, api.ends["call"])


@pytest.mark.covers("Older `functions` and `function_call`", "chat")
@pytest.mark.parametrize("choice", ["auto", {"name": "get_weather"}])
def test_functions_of_before(server: LiveServer, choice: Any, *, streams: bool) -> None:
    functions: Any = [{"name": "get_weather", "parameters": CITY}]
    messages: Any = [{"role": "user", "content": "hello"}]
    asked: Any = {"functions": functions, "function_call": choice, "stream": streams}
    with server.openai() as client:
        answer: Any = client.chat.completions.create(model="caller", messages=messages, **asked)
        if streams:
            choices = [chunk.choices[0] for chunk in answer if chunk.choices]
            calls = [one.delta.function_call for one in choices if one.delta.function_call]
            name = "".join(call.name or "" for call in calls)
            arguments = "".join(call.arguments or "" for call in calls)
            end = choices[-1].finish_reason
        else:
            call, end = answer.choices[0].message.function_call, answer.choices[0].finish_reason
            name, arguments = call.name, call.arguments
        assert (name, end) == ("get_weather", "function_call")
        assert list(json.loads(arguments)) == ["city"]
        result = {"role": "function", "name": name, "content": "sunny"}
        called = {"role": "assistant", "function_call": {"name": name, "arguments": arguments}}
        messages += [{"content": None} | called, result]
        then = client.chat.completions.create(
            model="talker", messages=messages, functions=functions
        )
        assert then.choices[0].message.content == "One two"

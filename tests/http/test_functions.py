"""Tools for models whose template knows none, and what a model file says of their calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import anthropic
import ollama
import pytest

from tests.gguf_maker import make_scripted
from tests.live import PATIENCE_S, LiveServer, wait_until

CITIES = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Rome", "Oslo"]}},
    "required": ["city"],
    "additionalProperties": False,
}
DESCRIPTION = "Tells the weather."
TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "description": DESCRIPTION, "parameters": CITIES},
    }
    for name in ("get_weather", "get_time")
]
ASKED = [{"role": "user", "content": "How is the weather?"}]
ANSWER = ["It is", " sunny", " in Rome."]

# A template that leaves tools out, and ends in ">" behind the result of a call.
PLAIN = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}{% if '<tool_response>' in messages[-1].content %}result>"
    "{% else %}assistant:\n{% endif %}{% endif %}"
)
GO = """
template:
  chat_message: |
    {{if eq .RoleName "tool"}}result {{.Content}}>{{else if .FunctionCall}}{{toJson .FunctionCall}}
    {{else}}{{.Content}}
    {{end -}}
  chat: "{{.Input}}"
  function: "{{range .Functions}}{{.Name}}: {{.Description}}\\n{{end}}{{.Input}}"
  join_chat_messages_by_character: ""
"""
SCRATCHPAD = """
function:
  disable_no_action: true
  grammar: {disable: true, parallel_calls: true, expect_strings_after_json: true}
  json_regex_match: ["(?s)<tool_call>(.*?)</tool_call>", "(?s)<tool_call>(.*)"]
  capture_llm_results: [(?s)<scratchpad>(.*?)</scratchpad>]
  replace_llm_results: [{key: (?s)<scratchpad>(.*?)</scratchpad>, value: ""}]
"""
CALL = ["<tool_call>", '\n{"name": ', '"get_weather', '", "arguments"', ': {"city": "', 'Rome"', "}}",
        "\n</tool_call>"]  # fmt: skip
MODELS: dict[str, tuple[Sequence[str], str | None, str]] = {
    "bare": (CALL, None, ""),
    "loop": (CALL, PLAIN, ""),
    "chatty": (["Hello", " there"], PLAIN, ""),
    "two": ([*CALL[:-1], " </tool_call>", "<tool_call> ", '{"name":', ' "get_time', '","arguments',
             '":{"city":"', "Oslo", '"} }</tool', "_call>"], PLAIN, ""),
    "go": (['{"name"', ': "get_weather', '", "arguments": ', '{"city"', ': "Rome', '"}}'], None, GO),
    "llama": (
        ["Well.", "<function=", "get_weather>", '{"city"', ': "Rome', '"}', "</function>"],
        None,
        (f"{GO}function:\n  disable_no_action: true\n"
        "  grammar: {no_mixed_free_string: false, mixed_mode: true, schema_type: llama3.1}\n"
        r"  response_regex: ['<function=(?P<name>\w+)>(?P<arguments>.*)</function>']"),
    ),
    "python": (
        ["Ok. ", "[get_weather", "(city=", "'Rome'", ")]"],
        None,
        (f"{GO}function:\n  grammar: {{disable: true}}\n"
        r"  response_regex: ['\[(?P<name>\w+)\((?P<arguments>.*)\)\]']" "\n"
        r"""  argument_regex: ['(?P<key>[^ ''\(=,]+)[=''"]+(?P<value>[^=,"'']+)[''"]?']"""),
    ),
    "pad": (["<scratchpad>", "I look", "</scratchpad>\n", *CALL], None, GO + SCRATCHPAD),
    "answering": (
        ["<tool_call>", '{"name": "', "answer", '", "arguments": {"', 'message": "', "Hello",
         " there", '"}}', "</tool_call>"],
        PLAIN,
        "function: {disable_no_action: false}",
    ),
    "tagged": (
        ["Sure.", "<tool_call>", "\n<function=", "get_weather>\n", "<parameter=city>", "Rome",
         "</parameter>", "\n</function>", "\n</tool_call>"],
        PLAIN,
        "function: {xml_format_preset: qwen3-coder}",
    ),
    # its template knows tools, but not this form
    "other": (
        ["Sure.", "<function=", "get_weather>", '{"city": "Rome"}', "</function>"],
        "hermes",
        ("function: {grammar: {disable: true}, automatic_tool_parsing_fallback: true}\n"
        "template: {use_tokenizer_template: true}"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("functions") / "models"
    folder.mkdir()
    for name, (pieces, template, said) in MODELS.items():
        more = {} if template == "hermes" else {"template": template}
        control = ["<tool_call>"] if name == "pad" else []  # such tags are tokens of their own
        make_scripted(folder / f"{name}.gguf", pieces, after={">": ANSWER}, control=control, **more)
        (folder / f"{name}.yaml").write_text(
            f"name: {name}\nparameters: {{model: {name}.gguf, temperature: 0}}\n"
            f"context_size: 2048\nthreads: 1\noptions: [parallel:1]\n{said}"
        )
    with LiveServer(folder) as running:
        yield running


def ask(server: LiveServer, model: str, **fields: Any) -> dict[str, Any]:
    """One choice, asked for in one piece and in a stream, which must say the same."""
    body = {"model": model, "messages": ASKED, "tools": TOOLS, "max_tokens": 1500, **fields}
    whole = server.post("/v1/chat/completions", body)
    assert whole.status == 200, whole.body
    choice: dict[str, Any] = whole.json["choices"][0]
    streamed = in_stream(server, body)
    for one in (choice, streamed):
        one["message"].pop("refusal", None)
        calls = one["message"].get("tool_calls") or []
        ids = [call.pop("id") for call in calls]
        assert len(ids) == len(set(ids))
        assert all(ids)
        for number, call in enumerate(calls):
            assert call.pop("index", number) == number
    assert streamed == {key: choice[key] for key in ("finish_reason", "message")}
    return choice


def in_stream(server: LiveServer, body: dict[str, Any]) -> dict[str, Any]:
    """The same as a choice that came whole."""
    lines = server.post("/v1/chat/completions", body | {"stream": True}).body.decode().splitlines()
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    text, calls, reason = "", [], None
    for chunk in chunks:
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
            reason = choice["finish_reason"] or reason
            for call in choice["delta"].get("tool_calls") or []:
                if call["index"] == len(calls):
                    calls.append(call)
                else:
                    calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = calls
    return {"finish_reason": reason, "message": message}


def called(choice: dict[str, Any]) -> list[tuple[str, Any]]:
    calls = [call["function"] for call in choice["message"].get("tool_calls") or []]
    return [(call["name"], json.loads(call["arguments"])) for call in calls]


ROME = ("get_weather", {"city": "Rome"})


@pytest.mark.parametrize(
    ("model", "content", "calls"),
    [
        ("bare", None, [ROME]),
        ("loop", None, [ROME]),
        ("chatty", "Hello there", []),
        ("two", None, [ROME, ("get_time", {"city": "Oslo"})]),
        ("go", None, [ROME]),
        ("llama", "Well.", [ROME]),
        ("python", "Ok. ", [ROME]),
        ("pad", "I look", [ROME]),
        ("answering", "Hello there", []),
        ("tagged", "Sure.", [ROME]),
        ("other", "Sure.", [ROME]),
    ],
)
@pytest.mark.covers(
    "`function:` with `response_regex`, `json_regex_match` and `argument_regex`", "file"
)
@pytest.mark.covers("`function:` with an XML preset", "file")
@pytest.mark.covers(
    "`function:` with the pseudo tool that answers (`disable_no_action: false`)", "file"
)
@pytest.mark.covers("`function.grammar:`", "file")
def test_a_model_may_call(
    server: LiveServer, model: str, content: str | None, calls: list[tuple[str, Any]]
) -> None:
    choice = ask(server, model)
    assert called(choice) == calls
    assert choice["message"]["content"] == content
    assert choice["finish_reason"] == ("tool_calls" if calls else "stop")


@pytest.mark.parametrize(
    "model", ["bare", "chatty", "go", "llama", "python", "tagged", "answering"]
)
def test_a_required_call_comes(server: LiveServer, model: str) -> None:
    named = {"type": "function", "function": {"name": "get_time"}}
    for wanted, names in (("required", {"get_weather", "get_time"}), (named, {"get_time"})):
        choice = ask(server, model, tool_choice=wanted, parallel_tool_calls=False, seed=1)
        ((name, arguments),) = called(choice)
        assert name in names
        assert arguments["city"] in ("Rome", "Oslo")
        assert choice["finish_reason"] == "tool_calls"


def test_one_call_at_a_time(server: LiveServer) -> None:
    assert called(ask(server, "two", parallel_tool_calls=False)) == [ROME]


def test_no_tools_where_none_may_be_called(server: LiveServer) -> None:
    choice = server.say("loop", "x", tools=TOOLS, tool_choice="none").json["choices"][0]
    assert choice["message"]["content"] == "".join(CALL)
    told = server.post("/v1/messages/count_tokens", {"model": "loop", "messages": ASKED})
    more = server.post(
        "/v1/messages/count_tokens",
        {"model": "loop", "messages": ASKED, "tools": [{"name": "f", "input_schema": CITIES}]},
    )
    assert more.json["input_tokens"] > told.json["input_tokens"]


def test_arguments_come_piece_by_piece(server: LiveServer) -> None:
    body = {"model": "loop", "messages": ASKED, "tools": TOOLS, "stream": True}
    lines = server.post("/v1/chat/completions", body).body.decode().splitlines()
    deltas = [
        call["function"].get("arguments")
        for line in lines
        if line.startswith("data: {")
        for choice in json.loads(line[6:])["choices"]
        for call in choice["delta"].get("tool_calls") or []
    ]
    assert len([piece for piece in deltas if piece]) > 1


@pytest.mark.parametrize("model", ["loop", "go"])
def test_openais_client_has_its_tool_loop(server: LiveServer, model: str) -> None:
    with server.openai() as client:
        messages: list[Any] = list(ASKED)
        first = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)  # type: ignore[arg-type]
        message = first.choices[0].message
        assert message.tool_calls is not None
        (call,) = message.tool_calls
        assert json.loads(call.function.arguments) == {"city": "Rome"}  # type: ignore[union-attr]
        messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
        second = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)  # type: ignore[arg-type]
        assert second.choices[0].message.content == "".join(ANSWER)
        assert second.choices[0].finish_reason == "stop"
        third = client.chat.completions.create(model=model, messages=messages)
        assert third.choices[0].message.content == "".join(ANSWER)


def test_openais_client_has_its_tool_loop_in_responses(server: LiveServer) -> None:
    tools: Any = [{"type": "function", "name": "get_weather", "parameters": CITIES, "strict": True}]
    with server.openai() as client:
        first = client.responses.create(model="loop", input="How is the weather?", tools=tools)
        (call,) = first.output
        assert call.type == "function_call"
        assert json.loads(call.arguments) == {"city": "Rome"}
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        second = client.responses.create(
            model="loop", input=[result], previous_response_id=first.id, tools=tools
        )
        assert second.output_text == "".join(ANSWER)


@pytest.mark.parametrize("model", ["loop", "go"])
def test_anthropics_client_has_its_tool_loop(server: LiveServer, model: str) -> None:
    tools: Any = [{"name": "get_weather", "description": DESCRIPTION, "input_schema": CITIES}]
    with anthropic.Anthropic(
        base_url=server.url, api_key="none", max_retries=0, timeout=PATIENCE_S
    ) as client:
        messages: list[Any] = list(ASKED)
        with client.messages.stream(
            model=model, max_tokens=200, messages=messages, tools=tools
        ) as stream:
            first = stream.get_final_message()
        (block,) = first.content
        assert (block.type, first.stop_reason) == ("tool_use", "tool_use")
        assert block.input == {"city": "Rome"}  # type: ignore[union-attr]
        result = {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}  # type: ignore[union-attr]
        messages += [
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        second = client.messages.create(model=model, max_tokens=200, messages=messages, tools=tools)
        assert second.content[0].text == "".join(ANSWER)  # type: ignore[union-attr]
        assert second.stop_reason == "end_turn"


@pytest.mark.parametrize("model", ["loop", "go"])
def test_ollamas_client_has_its_tool_loop(server: LiveServer, model: str) -> None:
    with ollama.Client(host=server.url, timeout=PATIENCE_S) as client:
        messages: list[Any] = list(ASKED)
        first = client.chat(model=model, messages=messages, tools=TOOLS).message
        assert first.tool_calls is not None
        (call,) = first.tool_calls
        assert (call.function.name, dict(call.function.arguments)) == ROME
        messages += [first, {"role": "tool", "tool_name": "get_weather", "content": "sunny"}]
        second = list(client.chat(model=model, messages=messages, tools=TOOLS, stream=True))
        assert "".join(part.message.content or "" for part in second) == "".join(ANSWER)


def test_a_pattern_that_is_slow_ends_the_answer_and_nothing_else(server: LiveServer) -> None:
    name = "slow"
    make_scripted(
        server.folder / f"{name}.gguf",
        [letter * 200 for letter in "abcdefghijklmnopqrstuvwxyz"],
        template=PLAIN,
    )
    (server.folder / f"{name}.yaml").write_text(
        f"name: {name}\nparameters: {{model: {name}.gguf}}\nfunction:\n  response_regex:\n"
        r"  - (?P<name>(\w{1,900}){1,4}x)\((?P<arguments>)\)" "\n"
    )  # fmt: skip
    wait_until(lambda: server.get(f"/v1/models/{name}").status == 200, "the new model")
    reply = server.say(name, "x", tools=TOOLS)
    assert reply.status == 500
    assert "function:" in reply.error["message"]
    assert server.say(name, "x").status == 200

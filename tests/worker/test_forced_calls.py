"""A tool call that is required comes, from a model that would rather chat."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from localai.domain.events import BlockKind, BlockStarted, ChoiceEnded, Delta, FinishReason
from localai.domain.generation import (
    Chat,
    GenerationRequest,
    JsonSchema,
    ToolMode,
    ToolPolicy,
    ToolSpec,
)
from localai.domain.parts import Message, Role, Text, ToolCall
from localai.worker.llama_server.forced_calls import CallReader, call_opening
from localai.worker.llama_server.gbnf import Beginning, Gbnf
from tests.gguf_maker import make_scripted
from tests.worker.answers import answers

PARAMETERS = json.dumps(
    {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Rome", "Oslo"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
)
TOOLS = tuple(ToolSpec(name=name, parameters=PARAMETERS) for name in ("get_weather", "get_time"))
NO_TOOL_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:\n{% endif %}"
)


@pytest.mark.parametrize(
    ("grammar", "part", "beginning"),
    [
        ('root ::= "a" "b"', '"a" "b"', Beginning("ab", is_whole=True)),
        ('root ::= "a"', '"ab" | "ac"', Beginning("a", is_whole=False)),
        ('root ::= x\nx ::= "<f>" y\ny ::= [a-z]+', "x", Beginning("<f>", is_whole=False)),
        ("root ::= x", '("{" "n")+ "z"', Beginning("{n", is_whole=False)),
        ("root ::= x", '"q"? "z"', Beginning("", is_whole=False)),
        ("root ::= x", r'"\"\n\x41" "|"', Beginning('"\nA|', is_whole=True)),
        ("root ::= root", "root", Beginning("", is_whole=False)),
    ],
)
def test_a_grammar_says_how_its_texts_begin(grammar: str, part: str, beginning: Beginning) -> None:
    assert Gbnf(grammar).beginning(part) == beginning


def test_the_opening_is_what_follows_the_free_text() -> None:
    grammar = (
        'root ::= "assistant\\n" space until-7? calls\n'
        'calls ::= (call space)+\ncall ::= "<tool_call>\\n" space (a | b)\n'
        'a ::= "{"\nb ::= "{"\nspace ::= | " "\nuntil-7 ::= [^<]'
    )
    assert call_opening(grammar, "assistant\n") == "<tool_call>\n"
    assert call_opening('root ::= "x" call\ncall ::= "<f>"', "x") == ""


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_json_call_is_read_as_it_comes(size: int) -> None:
    arguments = '{"city": "a } \\" b", "list": [1, {"x": 2}]}'
    text = f' {{ "name" : "get_time", "arguments": {arguments} }}'
    reader = CallReader()
    events = [
        made
        for start in range(0, len(text), size)
        for made in reader.feed(Delta(0, 0, BlockKind.TEXT, text[start : start + size]))
    ]
    events += reader.feed(ChoiceEnded(0, FinishReason.STOP))
    assert isinstance(events[0], BlockStarted)
    assert events[0].call_name == "get_time"
    assert "".join(event.text for event in events if isinstance(event, Delta)) == arguments
    assert events[-1] == ChoiceEnded(0, FinishReason.TOOL_CALLS)


def _request(policy: ToolPolicy, choices: int = 1, **more: Any) -> GenerationRequest:
    asked = Message(role=Role.USER, parts=(Text(text="hello"),))
    return GenerationRequest(
        model="",
        prompt=Chat(messages=(asked,)),
        tools=TOOLS,
        tool_policy=policy,
        choices=choices,
        **more,
    )


@pytest.mark.parametrize("template", ["hermes", NO_TOOL_TEMPLATE], ids=["hermes", "no tools"])
def test_a_required_call_comes(tmp_path: Path, template: str) -> None:
    """The scripted model says hello, whatever it is asked; its grammar must not let it."""
    pytest.importorskip("xllamacpp")
    more = {} if template == "hermes" else {"template": template}
    model = make_scripted(tmp_path / "chatty.gguf", ["Hello", " there"], **more)
    made = asyncio.run(
        answers(
            model,
            _request(ToolPolicy(mode=ToolMode.REQUIRED)),
            _request(ToolPolicy(mode=ToolMode.NAMED, name="get_time"), choices=2),
            _request(ToolPolicy(mode=ToolMode.AUTO)),
            _request(ToolPolicy(mode=ToolMode.REQUIRED), output=JsonSchema(schema=PARAMETERS)),
            _request(ToolPolicy(mode=ToolMode.REQUIRED), max_tokens=1),
        )
    )
    required, named, free, formed, cut = made
    any_tool = {"get_weather", "get_time"}
    for answer, names in ((required, any_tool), (named, {"get_time"}), (formed, any_tool)):
        for choice in answer.choices.values():
            (call, *_) = choice.parts
            assert isinstance(call, ToolCall)
            assert call.name in names
            assert call.call_id
            assert json.loads(call.arguments)["city"] in ("Rome", "Oslo")
            assert choice.reason is FinishReason.TOOL_CALLS
    assert len(named.choices) == 2
    assert free.choices[0].text == "Hello there"
    assert cut.choices[0].reason is FinishReason.LENGTH


def test_a_model_whose_template_knows_no_tools_calls_them(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    pieces = ["<tool_call>", '{"name": "', "get_time", '", "arguments": {"', 'city": "', "Oslo"]
    model = make_scripted(
        tmp_path / "caller.gguf", [*pieces, '"}}', "</tool_call>"], template=NO_TOOL_TEMPLATE
    )
    (answer,) = asyncio.run(answers(model, _request(ToolPolicy(mode=ToolMode.AUTO))))
    (call,) = answer.choices[0].parts
    assert isinstance(call, ToolCall)
    assert (call.name, json.loads(call.arguments)) == ("get_time", {"city": "Oslo"})
    assert answer.choices[0].reason is FinishReason.TOOL_CALLS

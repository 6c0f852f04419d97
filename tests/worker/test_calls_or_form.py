"""A model that has tools and a form for its answers uses both."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from localai.domain.events import FinishReason
from localai.domain.generation import (
    Chat,
    GenerationRequest,
    Grammar,
    JsonSchema,
    Sampling,
    ToolSpec,
)
from localai.domain.parts import Message, Reasoning, Role, Text, ToolCall
from localai.domain.stream_rules import Answer
from tests.gguf_maker import HERMES, THINKING, make_scripted
from tests.worker.answers import answers

CITY = json.dumps(
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
)
VERDICT = JsonSchema(schema='{"type": "string", "enum": ["yes", "no"]}')
TOOLS = (ToolSpec(name="get_weather", parameters=CITY),)
CALL = ["<tool_call>\n", '{"name": "', "get_weather", '", "arguments": {"', 'city": "', "Rome"]
CALL += ['"}}\n', "</tool_call>"]
THOUGHT = ["<think>", "Hmm.", "</think>"]
NO_TOOLS = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:\n{% endif %}"
)

every_template = pytest.mark.parametrize(
    "template", [HERMES, NO_TOOLS], ids=["knows tools", "knows no tools"]
)


def _ask(model: Path, **fields: Any) -> Answer:
    pytest.importorskip("xllamacpp")
    asked = Message(role=Role.USER, parts=(Text(text="hello"),))
    fields = {"tools": TOOLS, "output": VERDICT, "sampling": Sampling(temperature=0.0)} | fields
    request = GenerationRequest(model="", prompt=Chat(messages=(asked,)), **fields)
    (answer,) = asyncio.run(answers(model, request))
    return answer


@every_template
def test_a_call_comes_although_the_answer_has_a_form(tmp_path: Path, template: str) -> None:
    model = make_scripted(tmp_path / "caller.gguf", CALL, template=template)
    answer = _ask(model, choices=2)
    assert len(answer.choices) == 2
    for choice in answer.choices.values():
        (call,) = choice.parts
        assert isinstance(call, ToolCall)
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Rome"})
        assert choice.reason is FinishReason.TOOL_CALLS


@every_template
@pytest.mark.parametrize("said", [["Hello", " there"], ["\n\n", "Hello"], []])
def test_what_is_no_call_has_the_form(tmp_path: Path, template: str, said: list[str]) -> None:
    """The scripted model would say hello, or nothing."""
    model = make_scripted(tmp_path / "talker.gguf", said, template=template)
    (choice,) = _ask(model, max_tokens=200).choices.values()
    assert choice.text in ('"yes"', '"no"')
    assert all(isinstance(part, Text) for part in choice.parts)


def test_a_grammar_is_a_form_too(tmp_path: Path) -> None:
    model = make_scripted(tmp_path / "talker.gguf", ["Hello"])
    grammar = Grammar(gbnf='root ::= "yes" | "no"')
    (choice,) = _ask(model, output=grammar).choices.values()
    assert choice.text in ("yes", "no")


def test_thoughts_come_before_both(tmp_path: Path) -> None:
    model = make_scripted(tmp_path / "caller.gguf", [*THOUGHT, *CALL], template=THINKING)
    thought, call = _ask(model).choices[0].parts
    assert thought == Reasoning(text="Hmm.")
    assert isinstance(call, ToolCall)
    model = make_scripted(tmp_path / "talker.gguf", [*THOUGHT, "Hello"], template=THINKING)
    *thoughts, said = _ask(model, max_tokens=200).choices[0].parts
    assert thoughts == [Reasoning(text="Hmm."), Reasoning(text="Hmm.")]
    assert isinstance(said, Text)
    assert json.loads(said.text) in ("yes", "no")


def test_tokens_that_run_out_end_it(tmp_path: Path) -> None:
    model = make_scripted(tmp_path / "caller.gguf", [*THOUGHT, *CALL], template=THINKING)
    for most in (1, 2):
        assert _ask(model, max_tokens=most).choices[0].reason is FinishReason.LENGTH

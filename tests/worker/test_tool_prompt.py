"""Tools, calls and results in words, for templates that have no place for them."""

from __future__ import annotations

import pytest

from localai.domain.generation import (
    Chat,
    GenerationRequest,
    Grammar,
    PlainText,
    ToolMode,
    ToolPolicy,
    ToolSpec,
)
from localai.domain.parts import Message, Role, Text, ToolCall, ToolResult
from localai.wire.call_formats import PRESETS
from localai.wire.functions import FunctionSettings, Replacement
from localai.worker.tool_use import ToolUse

TOOL = ToolSpec(name="f", description="Looks.", parameters='{"type": "object"}')
ASKED = Message(role=Role.USER, parts=(Text(text="look"),))
CALLED = Message(
    role=Role.ASSISTANT,
    parts=(Text(text="So: "), ToolCall(call_id="1", name="f", arguments='{"x": 1, "y": "a"}')),
)
RESULT = Message(role=Role.TOOL, parts=(ToolResult(call_id="1", text="42"),))


def request(*messages: Message, mode: ToolMode = ToolMode.AUTO) -> GenerationRequest:
    policy = ToolPolicy(mode=mode)
    return GenerationRequest(
        model="", prompt=Chat(messages=messages), tools=(TOOL,), tool_policy=policy
    )


def told(asked: GenerationRequest, **said: object) -> tuple[Message, ...]:
    prompt = ToolUse(FunctionSettings(**said)).told(asked).prompt  # type: ignore[arg-type]
    assert isinstance(prompt, Chat)
    return prompt.messages


def test_tools_calls_and_results_become_text() -> None:
    found = told(request(ASKED, CALLED, RESULT))
    assert [message.role for message in found] == [
        Role.SYSTEM,
        Role.USER,
        Role.ASSISTANT,
        Role.USER,
    ]
    assert (
        '{"name": "f", "description": "Looks.", "parameters": {"type": "object"}}' in found[0].text
    )
    assert "<tool_call>\n" in found[0].text
    call = '<tool_call>\n{"name": "f", "arguments": {"x": 1, "y": "a"}}\n</tool_call>'
    assert found[2].text == f"So: {call}"
    assert "42" in found[3].text


def test_a_system_message_keeps_its_words() -> None:
    kind = Message(role=Role.SYSTEM, parts=(Text(text="Be kind."),))
    found = told(request(kind, ASKED))
    assert len(found) == 2
    assert found[0].text.startswith("Be kind.\n\nYou can call")


def test_past_calls_become_text_where_no_tool_may_be_called() -> None:
    found = told(request(ASKED, CALLED, RESULT, mode=ToolMode.NONE))
    assert [message.role for message in found] == [Role.USER, Role.ASSISTANT, Role.USER]
    assert "<tool_call>" in found[1].text
    assert told(request(ASKED, mode=ToolMode.NONE)) == (ASKED,)


@pytest.mark.parametrize(
    ("said", "call"),
    [
        (
            {"format": PRESETS["qwen3-coder"]},
            (
                "<tool_call>\n<function=f>\n<parameter=x>1</parameter>\n<parameter=y>a</parameter>\n"
                "</function>\n</tool_call>"
            ),
        ),
        ({"grammar_schema_type": "llama3.1"}, '<function=f>{"x": 1, "y": "a"}</function>'),
        (
            {"function_name_key": "do", "function_arguments_key": "with", "grammar_prefix": "[C]"},
            '[C]\n{"do": "f", "with": {"x": 1, "y": "a"}}\n[/C]',
        ),
    ],
)
def test_the_form_is_that_of_the_model_file(said: dict[str, object], call: str) -> None:
    found = told(request(CALLED), **said)
    assert found[1].text == f"So: {call}"
    assert call.splitlines()[0].replace("f>", "function-name>").partition("{")[0] in found[0].text


def test_no_form_is_told_where_only_the_model_knows_it() -> None:
    found = told(request(ASKED), replace_function_results=(Replacement("'", '"'),))
    assert "in this form" not in found[0].text
    assert "in this form" in told(request(ASKED))[0].text


def test_the_pseudo_tool_is_told_of() -> None:
    found = told(request(ASKED), disable_no_action=False)
    assert '"name": "answer"' in found[0].text
    assert "call answer." in found[0].text
    required = told(request(ASKED, mode=ToolMode.REQUIRED), disable_no_action=False)
    assert '"name": "answer"' not in required[0].text


def test_a_held_request_has_a_grammar_instead_of_tools() -> None:
    use = ToolUse(FunctionSettings())
    held = use.held(request(ASKED)).request
    assert held.tools == ()
    assert isinstance(held.output, Grammar)
    assert use.held(request(CALLED)).request.output == held.output
    free = ToolUse(FunctionSettings(grammar_disable=True)).held(request(ASKED)).request
    assert free.output == PlainText()

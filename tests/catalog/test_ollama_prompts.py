"""Templates of Ollama's Modelfiles make the prompts that they make there."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from localai.catalog.defaults import with_defaults
from localai.catalog.gotemplate import GoTemplateError
from localai.catalog.ollama_prompts import parse_ollama
from localai.catalog.prompts import PromptTemplates, prompt_templates, render_chat
from localai.catalog.spec import ModelSpec
from localai.domain.errors import SpecInvalid
from localai.domain.generation import Chat, Completion, GenerationRequest, ToolSpec
from localai.domain.parts import Message, Role, Text, ToolCall, ToolResult

EXCHANGES = (
    "{{ if .System }}<s>{{ .System }}</s>{{ end }}{{ if .Prompt }}<u>{{ .Prompt }}</u>{{ end }}"
    "<a>{{ .Response }}</a>"
)
MESSAGES = (
    "{{- range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}"
    "<{{ .Role }}>{{ .Content }}{{ range .ToolCalls }}[{{ .Function.Name }} {{ .Function.Arguments }}]{{ end }}</>"
    '{{ if and $last (ne .Role "assistant") }}<assistant>{{ end }}{{- end }}'
)


def said(role: Role, text: str) -> Message:
    return Message(role=role, parts=(Text(text=text),))


SYSTEM, USER = said(Role.SYSTEM, "Be brief."), said(Role.USER, "Hi")
ANSWER, AGAIN = said(Role.ASSISTANT, "Ho"), said(Role.USER, "And?")


def templates(source: str, **more: str) -> PromptTemplates:
    return prompt_templates({"ollama": source}, **more)


def prompt(source: str, *messages: Message, tools: tuple[ToolSpec, ...] = (), **more: str) -> str:
    request = GenerationRequest(model="m", prompt=Chat(messages=messages), tools=tools)
    return render_chat(request, templates(source, **more), tools=tools)


@pytest.mark.parametrize(
    ("messages", "made"),
    [
        ((USER,), "<u>Hi</u><a>"),
        ((SYSTEM, USER), "<s>Be brief.</s><u>Hi</u><a>"),
        ((SYSTEM, USER, ANSWER, AGAIN), "<s>Be brief.</s><u>Hi</u><a>Ho</a><u>And?</u><a>"),
        ((USER, AGAIN), "<u>Hi\n\nAnd?</u><a>"),
        ((USER, ANSWER), "<u>Hi</u><a>Ho"),  # the answer goes on there
        ((USER, SYSTEM, AGAIN), "<u>Hi</u><a></a><s>Be brief.</s><u>And?</u><a>"),
    ],
)
def test_questions_and_answers(messages: tuple[Message, ...], made: str) -> None:
    assert prompt(EXCHANGES, *messages) == made


def test_it_is_what_makes_the_prompt_of_a_request() -> None:
    request = GenerationRequest(model="m", prompt=Chat(messages=(USER,)))
    made = with_defaults(request, ModelSpec(name="m", templates=templates(EXCHANGES))).prompt
    assert made == Completion(text="<u>Hi</u><a>", is_chat=True)


def test_messages() -> None:
    assert prompt(MESSAGES, SYSTEM, USER) == "<system>Be brief.</><user>Hi</><assistant>"
    assert prompt(MESSAGES, USER, ANSWER) == "<user>Hi</><assistant>Ho</>"


def test_the_answer_stands_at_the_end_where_a_template_names_no_place() -> None:
    assert prompt("Q: {{ .Prompt }}\nA: ", USER, ANSWER, AGAIN) == "Q: Hi\nA: HoQ: And?\nA: "


def test_the_models_own_system_prompt() -> None:
    assert prompt(EXCHANGES, USER, system_prompt="Own.") == "<s>Own.</s><u>Hi</u><a>"
    assert prompt(EXCHANGES, SYSTEM, USER, system_prompt="Own.").startswith("<s>Be brief.</s>")


def test_tools_and_calls() -> None:
    tool = ToolSpec(
        name="look",
        description="Looks <there>",
        parameters='{"type": "object", "properties": {"at": {"type": "string", "description": "where"}}}',
    )
    call = Message(
        role=Role.ASSISTANT, parts=(ToolCall(call_id="1", name="look", arguments='{"at": "me"}'),)
    )
    result = Message(role=Role.TOOL, parts=(ToolResult(call_id="1", text="seen"),))
    made = prompt(MESSAGES, USER, call, result, tools=(tool,))
    assert made == ('<user>Hi</><assistant>[look {"at":"me"}]</><tool>seen</><assistant>')
    source = "{{ range .Tools }}{{ . }}|{{ json .Function.Name }}{{ range $k, $v := .Function.Parameters.Properties }}|{{ $k }}={{ $v.Type }}{{ end }}{{ end }}{{ range .Messages }}{{ end }}"
    shown = prompt(source, USER, tools=(tool,))
    assert shown.startswith('{"function":{"description":"Looks \\u003cthere\\u003e","name":"look"')
    assert shown.endswith('|"look"|at=string')


def test_dates_and_words_in_quotes() -> None:
    made = prompt(
        '{{ currentDate }} {{ yesterdayDate }} {{ "json currentDate" }}{{ .Prompt }}', USER
    )
    today, yesterday, rest = re.fullmatch(r"(\S+) (\S+) (.*)", made).groups()  # type: ignore[union-attr]
    assert (datetime.fromisoformat(today) - datetime.fromisoformat(yesterday)).days in {0, 1, 2}
    assert rest == "json currentDateHi"


def test_a_template_that_does_not_parse_is_a_sentence() -> None:
    with pytest.raises(GoTemplateError):
        parse_ollama("{{ .Prompt", "template")
    assert templates("{{ .Prompt").problems
    with pytest.raises(SpecInvalid):
        prompt("{{ .Prompt", USER)

"""Prompts from the Go templates of model files, as LocalAI's own and its gallery write them."""

import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from localai.catalog.gotemplate import Template
from localai.catalog.prompts import (
    PromptTemplates,
    media_of,
    prompt_templates,
    render_chat,
    render_completion,
    render_edit,
)
from localai.domain.errors import InvalidRequest, SpecInvalid, Unsupported
from localai.domain.generation import (
    MEDIA_MARKER,
    Chat,
    Completion,
    Edit,
    GenerationRequest,
    JsonValue,
    ToolMode,
    ToolPolicy,
    ToolSpec,
)
from localai.domain.parts import (
    Media,
    MediaKind,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)

WEATHER = ToolSpec(
    name="weather",
    description="The weather of a town",
    parameters='{"type": "object", "properties": {"town": {"type": "string", "maxLength": 80}}}',
)
CALL = ToolCall(call_id="c1", name="weather", arguments='{"town": "<Rome>"}')
CALL_JSON = (
    '[{"index":0,"id":"c1","type":"function",'
    '"function":{"name":"weather","arguments":"{\\"town\\": \\"\\u003cRome\\u003e\\"}"}}]'
)


def said(role: Role, *parts: str | Part, name: str | None = None) -> Message:
    texts = tuple(Text(text=part) if isinstance(part, str) else part for part in parts)
    return Message(role=role, parts=texts, name=name)


SYSTEM = said(Role.SYSTEM, "Be brief.")
USER = said(Role.USER, "Hello!")
ASSISTANT = said(Role.ASSISTANT, "Hi.")
TOOL_CALL = said(Role.ASSISTANT, Reasoning(text="hm"), CALL)
TOOL_RESULT = said(Role.TOOL, ToolResult(call_id="c1", text="18 degrees"))
TALK = (SYSTEM, USER, ASSISTANT, USER)


def chat(*messages: Message, **fields: Any) -> GenerationRequest:
    return GenerationRequest(model="m", prompt=Chat(messages=messages), **fields)


def model(text: str, **files: str) -> PromptTemplates:
    """Read the parts of a model file that are about prompts."""
    entry = yaml.safe_load(textwrap.dedent(text))
    return prompt_templates(
        entry.get("template", {}),
        model_file=entry.get("parameters", {}).get("model", ""),
        read=lambda name: files.get(name.removesuffix(".tmpl")),
        roles=entry.get("roles"),
        system_prompt=entry.get("system_prompt", ""),
        origin="m.yaml:1",
    )


def file(name: str) -> str:
    return (Path(__file__).parent / "gotemplate" / "models" / f"{name}.yaml").read_text()


def templates(**section: Any) -> PromptTemplates:
    return prompt_templates(section)


# --- whole model files


def test_the_example_of_the_documentation() -> None:
    starling = model(file("starling"))
    assert render_chat(chat(*TALK), starling) == (
        "Be brief.<|end_of_turn|>\n\n"
        "GPT4 Correct User: Hello!\n\n"
        "<|end_of_turn|>GPT4 Correct Assistant: Hi.<|end_of_turn|>\n\n"
        "GPT4 Correct User: Hello!\n"
        "<|end_of_turn|>GPT4 Correct Assistant:\n"
    )
    request = GenerationRequest(model="m", prompt=Completion(text="Once"))
    assert render_completion(request, starling) == "Once\n"


def test_a_template_section_that_only_names_the_tokenizer() -> None:
    tokenizer = model("""
        template:
          use_tokenizer_template: true
    """)
    assert not tokenizer.renders_chat
    assert tokenizer.use_tokenizer_template


def test_chatml() -> None:
    assert render_chat(chat(*TALK), model(file("chatml"))) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n\n"
        "<|im_start|>user\nHello!<|im_end|>\n\n"
        "<|im_start|>assistant\nHi.<|im_end|>\n\n"
        "<|im_start|>user\nHello!<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_chatml_with_tools() -> None:
    request = chat(USER, TOOL_CALL, TOOL_RESULT, tools=(WEATHER,))
    assert render_chat(request, model(file("chatml"))) == (
        "<|im_start|>system\nYou may call these functions:\n\n"
        "{'type': 'function', 'function': {'name': 'weather', 'description': 'The weather of a town', "
        "'parameters': "
        '{"properties":{"town":{"maxLength":80,"type":"string"}},"type":"object"} }}\n\n'
        "<|im_end|>\n"
        "<|im_start|>user\nHello!<|im_end|>\n\n"
        f"<|im_start|>assistant\n<tool_call>\n{CALL_JSON}\n</tool_call><|im_end|>\n\n"
        "<|im_start|>tool\n<tool_response>\n18 degrees\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_llama3() -> None:
    assert render_chat(chat(SYSTEM, USER), model(file("llama3"))) == (
        "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>\n"
        "<|start_header_id|>user<|end_header_id|>\n\nHello!<|eot_id|>\n\n"
        "<|start_header_id|>assistant<|end_header_id|>\n"
    )


def test_llama3_with_tools() -> None:
    text = render_chat(chat(TOOL_CALL, TOOL_RESULT, tools=(WEATHER,)), model(file("llama3")))
    assert text == (
        "<|start_header_id|>system<|end_header_id|>\n\n"
        "Use 'weather' to 'The weather of a town':\n"
        '{"name":"weather","description":"The weather of a town","strict":false,"parameters":'
        '{"properties":{"town":{"maxLength":80,"type":"string"}},"type":"object"}}\n'
        "- town (string)\n"
        'Answer with {{"example_name": "example_value"}}, of: weather <|eot_id|>\n'
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{CALL_JSON}\n<|eot_id|>\n"
        "<|start_header_id|>tool<|end_header_id|>\n\nThe tool said:\n18 degrees\n<|eot_id|>\n"
        "<|start_header_id|>assistant<|end_header_id|>\n"
    )


def test_alpaca() -> None:
    alpaca = model(file("alpaca"))
    assert render_chat(chat(USER), alpaca) == (
        "Below is an instruction.\n\n### Instruction:\n### Input:Hello!\n\n### Response:\n"
    )
    request = GenerationRequest(model="m", prompt=Completion(text="Once"))
    assert render_completion(request, alpaca) == "Complete the following sentence: Once\n"
    request = GenerationRequest(model="m", prompt=Edit(instruction="Fix it.", text="Helo"))
    assert render_edit(request, alpaca) == (
        "Below is an instruction.\n\n### Instruction:\nFix it.\n\n### Input:\nHelo\n\n### Response:\n"
    )


def test_the_example_of_our_own_documentation() -> None:
    document = Path(__file__).parents[2] / "docs/reference/templates.md"
    example = document.read_text().split("```yaml\n")[1].split("```")[0]
    assert render_chat(chat(USER), model(example)) == (
        "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n"
    )


# --- where templates come from

FILES = {"vicuna.tmpl": "V {{.Input}}", "m.gguf.tmpl": "M {{.Input}}", "a/b.tmpl": "AB {{.Input}}"}


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"chat": "vicuna"}, "V Hello!"),
        ({"chat": "a/b"}, "AB Hello!"),
        ({"chat": "I {{.Input}}"}, "I Hello!"),
        ({"chat": "nosuch"}, "nosuch"),
        ({}, "M Hello!"),
        ({"chat": ""}, "M Hello!"),
        ({"chat": "{{.Input}}\n"}, "Hello!\n"),
    ],
)
def test_a_template_is_a_text_or_the_name_of_a_file(section: Mapping[str, Any], text: str) -> None:
    found = prompt_templates(section, model_file="m.gguf", read=FILES.get)
    assert render_chat(chat(USER), found) == text


def test_the_file_of_the_model_serves_all_but_messages() -> None:
    found = prompt_templates({}, model_file="m.gguf", read=FILES.get)
    served = (found.chat, found.completion, found.edit, found.function)
    assert [template.source for template in served if isinstance(template, Template)] == [
        "M {{.Input}}"
    ] * 4
    assert (found.chat_message, found.multimodal) == (None, None)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/../../b", "a\nb", "a\\b", "x" * 300, " ", "{{.Input}}"]
)
def test_only_names_inside_the_models_folder_are_read(name: str) -> None:
    asked: list[str] = []

    def read(name: str) -> str | None:
        asked.append(name)
        return None

    prompt_templates({"chat": name}, read=read)
    assert asked == []


# --- how messages are rendered

EVERYTHING = (
    "{{.RoleName}}|{{.Role}}|{{.Content}}|{{.FunctionName}}|{{.SystemPrompt}}|{{.MessageIndex}}|"
    "{{.Function}}|{{.LastMessage}}|{{len .FunctionCall}}"
)
NO_CALLS = EVERYTHING.replace("{{len .FunctionCall}}", "{{.FunctionCall}}")


def test_what_a_message_template_knows() -> None:
    found = prompt_templates(
        {"chat_message": NO_CALLS}, roles={"user": "U:"}, system_prompt="Be brief."
    )
    request = chat(said(Role.USER, "a", "b", name="ann"), ASSISTANT, output=JsonValue())
    assert render_chat(request, found).splitlines() == [
        "user|U:|ab|ann|Be brief.|0|false|false|<no value>",
        "assistant||Hi.||Be brief.|1|true|true|<no value>",
    ]


def test_calls_in_a_message_template() -> None:
    roles = {"assistant_function_call": "C:"}
    found = prompt_templates({"chat_message": EVERYTHING}, roles=roles)
    assert render_chat(chat(TOOL_CALL), found) == "assistant_function_call|C:||||0|false|true|1"
    found = templates(chat_message="{{range .FunctionCall}}{{.ID}} {{.FunctionCall.Name}}{{end}}")
    assert render_chat(chat(TOOL_CALL), found) == "c1 weather"


def test_what_wraps_a_conversation_knows() -> None:
    source = (
        "{{.Input}}|{{.SystemPrompt}}|{{.SuppressSystemPrompt}}|{{.Functions}}|{{.ReasoningEffort}}|"
        "{{.Metadata.x}}|{{.MessageIndex}}|{{.Instruction}}"
    )
    found = prompt_templates({"chat": source}, system_prompt="S")
    request = chat(USER, reasoning_effort="low")
    assert render_chat(request, found, metadata={"x": "y"}) == "Hello!|S|false|[]|low|y|0|"


def test_a_message_without_text_disappears() -> None:
    found = templates(chat_message='{{if ne .RoleName "system"}}{{.Content}}{{end}}')
    assert render_chat(chat(*TALK), found) == "Hello!\nHi.\nHello!"


def test_without_a_message_template_the_roles_have_prefixes() -> None:
    source = "{{.SuppressSystemPrompt}} {{.Input}}"
    roles = {"system": "S: ", "user": "U: ", "assistant": "A: ", "tool": "T: "}
    found = prompt_templates({"chat": source}, roles=roles)
    text = render_chat(chat(SYSTEM, USER, TOOL_CALL, TOOL_RESULT), found)
    assert text == f"true S: Be brief.\nU: Hello!\nA:  {CALL_JSON}\nT: 18 degrees"
    found = templates(chat=source, join_chat_messages_by_character=" / ")
    both = said(Role.ASSISTANT, "Wait.", CALL)
    assert render_chat(chat(USER, both), found) == f"false Hello! / Wait.\n{CALL_JSON}"


def test_without_any_template_the_messages_are_joined() -> None:
    assert render_chat(chat(*TALK), templates()) == "Be brief.\nHello!\nHi.\nHello!"
    assert not templates().renders_chat


def test_a_developer_is_a_system_to_templates_that_do_not_know_it() -> None:
    talk = chat(said(Role.DEVELOPER, "x"))
    assert render_chat(talk, templates(chat_message="{{.RoleName}}")) == "system"
    found = prompt_templates({"chat_message": "{{.RoleName}}"}, roles={"developer": "D"})
    assert render_chat(talk, found) == "developer"


def test_each_result_of_a_tool_is_a_message() -> None:
    results = said(
        Role.USER,
        ToolResult(call_id="c1", text="one"),
        ToolResult(call_id="c2", text="two"),
        "Go on.",
    )
    found = templates(chat_message="{{.RoleName}}: {{.Content}}{{.LastMessage}}")
    lines = render_chat(chat(results), found).splitlines()
    assert lines == ["tool: onefalse", "tool: twofalse", "user: Go on.true"]


def test_which_template_wraps() -> None:
    found = templates(chat="chat", function="function {{range .Functions}}{{.Name}}{{end}}")
    other = ToolSpec(name="other")
    tools = (WEATHER, other)
    assert render_chat(chat(USER), found) == "chat"
    assert render_chat(chat(USER, tools=tools), found) == "function weatherother"
    none = ToolPolicy(mode=ToolMode.NONE)
    assert render_chat(chat(USER, tools=tools, tool_policy=none), found) == "chat"
    named = ToolPolicy(mode=ToolMode.NAMED, name="other")
    assert render_chat(chat(USER, tools=tools, tool_policy=named), found) == "function other"
    only_chat = templates(chat="{{len .Functions}}")
    assert render_chat(chat(USER, tools=tools), only_chat) == "2"


IMAGE = Media(kind=MediaKind.IMAGE, media_type="image/png", data=b"")
AUDIO = Media(kind=MediaKind.AUDIO, media_type="audio/wav", data=b"")
VIDEO = Media(kind=MediaKind.VIDEO, media_type="video/mp4", data=b"")


def test_media_are_marked() -> None:
    first, second = said(Role.USER, "see", IMAGE, VIDEO, AUDIO), said(Role.USER, VIDEO, "and")
    assert render_chat(chat(first, second), templates()) == (
        "<__media__><__media__>[vid-0]see\n[vid-1]and"
    )
    talk = chat(said(Role.USER, IMAGE, "a"), said(Role.USER, IMAGE, IMAGE, AUDIO, "b"), USER)
    each = (
        "{{range .Audio}}<s{{.ID}}><__media__>{{end}}{{range .Images}}<i{{.ID}}><__media__>{{end}}"
    )
    assert render_chat(talk, templates(multimodal=each + "{{.Text}}")) == (
        "<i0><__media__>a\n<s0><__media__><i1><__media__><i2><__media__>b\nHello!"
    )


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("{{.Text}}:{{range .Audio}}[audio-{{.ID}}]{{end}}{{range .Images}}[img-{{.ID}}]{{end}}", "b:@@"),
        ("<{{.Text}}>", "@@<b>"),
        ("{{.Text}}<__media__>,<__media__>", "b@,@"),
    ],
)  # fmt: skip
def test_each_medium_has_one_place(source: str, rendered: str) -> None:
    talk = chat(said(Role.USER, IMAGE, "b", AUDIO))
    made = render_chat(talk, templates(multimodal=source))
    assert made.replace(MEDIA_MARKER, "@") == rendered


def test_a_text_that_looks_like_a_place_is_none() -> None:
    look = said(Role.USER, IMAGE, f"what is {MEDIA_MARKER} or [img-0]?")
    for found in (templates(), templates(multimodal=f"{MEDIA_MARKER}{{{{.Text}}}}")):
        made = render_chat(chat(look), found)
        assert made == f"{MEDIA_MARKER}what is <__media__ > or [img-0]?"
    words = said(Role.USER, f"what is {MEDIA_MARKER}?")
    assert render_chat(chat(words), templates()) == f"what is {MEDIA_MARKER}?"


def test_media_come_in_the_order_of_their_places() -> None:
    other = Media(kind=MediaKind.IMAGE, media_type="image/png", data=b"2")
    talk = Chat(messages=(said(Role.USER, IMAGE, "a", AUDIO), USER, said(Role.USER, other)))
    assert media_of(talk) == (AUDIO, IMAGE, other)
    with pytest.raises(Unsupported, match="video"):
        media_of(Chat(messages=(said(Role.USER, VIDEO),)))


def test_without_a_template_a_text_is_its_own_prompt() -> None:
    request = GenerationRequest(model="m", prompt=Completion(text="Once"))
    assert render_completion(request, templates()) == "Once"
    request = GenerationRequest(model="m", prompt=Edit(instruction="Fix it.", text="Helo"))
    assert render_edit(request, templates()) == "Fix it.\n\nHelo"


# --- what is wrong


def test_all_templates_that_cannot_be_read_are_named() -> None:
    found = model(
        """
        template:
          chat: "a\\n{{if .X}}"
          chat_message: "{{nosuch}}"
          completion: vicuna
          edit: "{{.Instruction}}"
        """,
        vicuna="{{",
    )
    assert found.renders_chat
    assert found.problems == (
        "m.yaml:1: template.chat:2:10: unexpected end of the template: {{end}} is missing",
        "m.yaml:1: template.chat_message:1:3: function 'nosuch' not defined",
        "m.yaml:1: template.completion (vicuna.tmpl):1:1: unclosed action",
    )


def test_a_template_that_cannot_be_read_fails_only_what_needs_it() -> None:
    found = templates(chat="{{.Input}}", completion="{{-.Input}}")
    assert render_chat(chat(USER), found) == "Hello!"
    with pytest.raises(SpecInvalid) as caught:
        render_completion(GenerationRequest(model="m", prompt=Completion(text="x")), found)
    assert caught.value.fields["problems"] == ["template.completion:1:3: bad number syntax: '-.I'"]
    assert "template.completion:1:3" in caught.value.message


@pytest.mark.parametrize("key", ["chat", "chat_message"])
def test_a_template_that_fails_is_an_error(key: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        render_chat(chat(USER), templates(**{key: "x\n{{.Prompt}}"}))
    (problem,) = caught.value.fields["problems"]
    assert problem.startswith(f"template.{key}:2:3: can't evaluate field Prompt in type ")
    assert ".Content" in problem or ".Input" in problem


def test_parameters_of_a_tool_that_are_no_json() -> None:
    tool = ToolSpec(name="broken", parameters="{")
    with pytest.raises(InvalidRequest) as caught:
        render_chat(chat(USER, tools=(tool,)), templates(chat="{{.Input}}"))
    assert caught.value.fields["param"] == "tools"


def test_the_wrong_kind_of_prompt_is_a_mistake_of_the_caller() -> None:
    completion = GenerationRequest(model="m", prompt=Completion(token_ids=(1,)))
    for render in (render_chat, render_completion, render_edit):
        with pytest.raises(TypeError):
            render(completion, templates())


def test_a_long_conversation_is_rendered_in_milliseconds() -> None:
    messages = tuple(said(role, "word " * 20) for role in (Role.USER, Role.ASSISTANT)) * 100
    request, found = chat(*messages), model(file("chatml"))
    took = []
    for _ in range(20):
        started = time.process_time()
        render_chat(request, found)
        took.append(time.process_time() - started)
    assert min(took) < 0.030  # a third of that on a quiet machine

"""What a model file says of prompts: the tokens that the model gets are counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gguf_maker import CHATML, make_scripted
from tests.live import LiveServer, write_models

HEAD = "name: {}\nparameters: {{model: text.gguf, temperature: 0}}\ncontext_size: 1024\n"
TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Ho"},
    {"role": "user", "content": "And?"},
]
OWN = (
    "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    "<|im_start|>assistant\nHo<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\n"
)
ALL_OF_GO = """\
{{- $n := 0 -}}
{{range $i, $m := (list "a" "b")}}{{if eq $i 0}}{{$m | upper}}{{else}}{{printf "%s%02d" $m 7}}{{end}}{{end -}}
{{with .SystemPrompt}}<{{trim .}}>{{end}}{{.Input | replace "Hi" "Hey" | quote}}"""
FILES: dict[str, tuple[str, str]] = {
    "own": ("", OWN),
    "chat": ('template: {chat: "[{{.Input}}]"}\n', "[Be kind.\nHi\nHo\nAnd?]"),
    "message": (
        'template: {chat_message: "{{.RoleName}}={{.Content}}", chat: "{{.Input}}!"}\n',
        "system=Be kind.\nuser=Hi\nassistant=Ho\nuser=And?!",
    ),
    "roles": (
        'roles: {system: "S:", user: "U:", assistant: "A:"}\ntemplate: {chat: "{{.Input}}"}\n',
        "S:Be kind.\nU:Hi\nA:Ho\nU:And?",
    ),
    "join": (
        'template: {chat: "{{.Input}}", join_chat_messages_by_character: ""}\n',
        "Be kind.HiHoAnd?",
    ),
    "tokenizer": ('template: {chat: "no", use_tokenizer_template: true}\n', OWN),
    "said": (
        "template: {chat: '{{.Metadata.tone}}|{{.ReasoningEffort}}|{{.Input}}'}\n",
        "warm|low|Be kind.\nHi\nHo\nAnd?",
    ),
    "beside": ("template: {chat: shown}\n", "From a file: Be kind.\nHi\nHo\nAnd?"),
    "language": (
        "system_prompt: ' Hm '\ntemplate:\n  chat: |-\n"
        + "".join(f"    {line}\n" for line in ALL_OF_GO.splitlines()),
        'Ab07<Hm>"Be kind.\nHey\nHo\nAnd?"'.replace("\n", "\\n"),
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("files") / "models"
    files = {f"{name}.yaml": HEAD.format(name) + text for name, (text, _) in FILES.items()}
    files["told.yaml"] = HEAD.format("told") + "system_prompt: Be brief.\n"
    files["tools.yaml"] = HEAD.format("tools") + (
        'template: {chat: "no", function: "{{range .Functions}}{{.Name}}({{.Description}}) {{end}}{{.Input}}"}\n'
        "function: {grammar: {disable: true}, disable_no_action: true}\n"
    )
    files["shown.tmpl"] = "From a file: {{.Input}}"
    write_models(folder, files)
    make_scripted(folder / "text.gguf", ["One", " two"], template=CHATML)
    with LiveServer(folder) as running:
        yield running


def counted(server: LiveServer, model: str, messages: Any, **more: Any) -> int:
    body = {"model": model, "messages": messages, "max_tokens": 1, **more}
    reply = server.post("/v1/chat/completions", body)
    assert reply.status == 200, reply.body
    tokens: int = reply.json["usage"]["prompt_tokens"]
    return tokens


def size(server: LiveServer, text: str) -> int:
    body = {"model": "own", "content": text, "add_special": True}
    return len(server.post("/v1/tokenize", body).json["tokens"])


@pytest.mark.covers("The model's own Jinja template, where the file has none", "file")
@pytest.mark.covers("`template.chat`", "file")
@pytest.mark.covers("`template.chat_message`", "file")
@pytest.mark.covers("`template.join_chat_messages_by_character`", "file")
@pytest.mark.covers("`template.use_tokenizer_template`", "file")
@pytest.mark.covers("A `.tmpl` file beside the model", "file")
@pytest.mark.covers("`roles`", "file")
@pytest.mark.covers(
    "Pipelines, `range`, `with`, `if`, variables and functions of templates", "file"
)
@pytest.mark.parametrize("name", FILES)
def test_a_conversation_is_rendered(server: LiveServer, name: str) -> None:
    _, rendered = FILES[name]
    more = {"metadata": {"tone": "warm"}, "reasoning_effort": "low"} if name == "said" else {}
    assert counted(server, name, TALK, **more) == size(server, rendered)


@pytest.mark.covers("`system_prompt`", "file")
def test_a_system_prompt(server: LiveServer) -> None:
    hi = [{"role": "user", "content": "Hi"}]
    told = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    assert counted(server, "told", hi) == size(server, told + "<|im_start|>assistant\n")
    assert counted(server, "told", TALK) == counted(server, "own", TALK)  # it has one


@pytest.mark.covers("`template.function`", "file")
def test_tools_in_a_template(server: LiveServer) -> None:
    function = {"name": "go", "description": "Goes", "parameters": {"type": "object"}}
    tools = [{"type": "function", "function": function}]
    hi = [{"role": "user", "content": "Hi"}]
    assert counted(server, "tools", hi, tools=tools) == size(server, "go(Goes) Hi")

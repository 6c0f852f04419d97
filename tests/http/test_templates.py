"""Model files with their own prompt templates: what the model reads is exactly what they say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gguf_maker import make_scripted, make_tiny_llama
from tests.live import LiveServer

STARLING = """
name: starling
parameters: {model: tiny.gguf}
system_prompt: Be kind.
template:
  chat_message: |
    {{if eq .RoleName "system"}}{{.Content}}<|end_of_turn|>{{end}}{{if eq .RoleName "assistant"}}<|end_of_turn|>GPT4 Correct Assistant: {{.Content}}<|end_of_turn|>{{end}}{{if eq .RoleName "user"}}GPT4 Correct User: {{.Content}}{{end}}
  chat: |
    {{.Input}}<|end_of_turn|>GPT4 Correct Assistant:
  completion: "Text: {{.Input}} ->"
  edit: from_file
  join_chat_messages_by_character: ""
"""
BROKEN = """
name: broken
parameters: {model: tiny.gguf}
template: {chat_message: "{{.Content}}", chat: "{{.Nonsense}}"}
"""
CALLER = """
name: caller
parameters: {model: caller.gguf}
template:
  chat_message: "{{.Content}}"
  chat: "{{.Input}}\\n"
  function: "{{range .Functions}}{{.Name}}{{end}} {{.Input}}\\n"
"""
PIECES = ["<tool_call>", '{"name": "', "go_on", '", "arguments": {"', 'x": 1', "}}", "</tool_call>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates") / "models"
    folder.mkdir()
    make_tiny_llama(folder / "tiny.gguf")
    make_scripted(folder / "caller.gguf", PIECES)
    (folder / "starling.yaml").write_text(STARLING)
    (folder / "broken.yaml").write_text(BROKEN)
    (folder / "caller.yaml").write_text(CALLER)
    (folder / "from_file.tmpl").write_text("Do: {{.Instruction}} With: {{.Input}}")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[LiveServer]:
    with LiveServer(folder) as running:
        yield running


def _prompt_tokens(server: LiveServer, path: str, body: dict[str, Any]) -> int:
    reply = server.post(path, {"model": "starling", "max_tokens": 1} | body)
    assert reply.status == 200, reply.body
    count: int = reply.json["usage"]["prompt_tokens"]
    return count


def _tokens(server: LiveServer, text: str) -> int:
    body = {"model": "starling", "content": text, "add_special": True}
    return len(server.post("/v1/tokenize", body).json["tokens"])


def test_a_conversation_is_rendered_exactly(server: LiveServer) -> None:
    messages = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "How are you?"},
    ]
    rendered = (
        "GPT4 Correct User: Hello\n"
        "<|end_of_turn|>GPT4 Correct Assistant: Hi<|end_of_turn|>\n"
        "GPT4 Correct User: How are you?\n"
        "<|end_of_turn|>GPT4 Correct Assistant:\n"
    )
    counted = _prompt_tokens(server, "/v1/chat/completions", {"messages": messages})
    assert counted == _tokens(server, rendered)


@pytest.mark.covers("`template.completion` and `template.edit`", "file")
def test_completions_and_edits_have_their_own(server: LiveServer) -> None:
    completion = _prompt_tokens(server, "/v1/completions", {"prompt": "abc"})
    assert completion == _tokens(server, "Text: abc ->")
    edit = _prompt_tokens(server, "/v1/edits", {"instruction": "cut", "input": "long text"})
    assert edit == _tokens(server, "Do: cut With: long text")


@pytest.mark.covers("A template that fails is told with line and column", "file")
def test_a_template_that_fails_says_where(server: LiveServer) -> None:
    reply = server.say("broken", "hello")
    assert reply.status == 500
    assert "broken.yaml" in reply.error["message"]
    assert "template.chat:1:" in reply.error["message"]
    assert "Nonsense" in reply.error["message"]


def test_tools_are_offered_and_calls_are_found(server: LiveServer) -> None:
    tool = {"type": "function", "function": {"name": "go_on", "parameters": {"type": "object"}}}
    messages = [{"role": "user", "content": "go"}]
    body = {"model": "caller", "messages": messages, "tools": [tool]}
    choice = server.post("/v1/chat/completions", body).json["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "go_on", "arguments": '{"x": 1}'}
    assert choice["finish_reason"] == "tool_calls"


def test_a_changed_template_file_counts(server: LiveServer, folder: Path) -> None:
    body = {"instruction": "cut", "input": "long text"}
    _prompt_tokens(server, "/v1/edits", body)
    (folder / "from_file.tmpl").write_text("{{.Input}}")
    time.sleep(1.2)  # the folder is looked at once a second
    assert _prompt_tokens(server, "/v1/edits", body) == _tokens(server, "long text")
    (folder / "from_file.tmpl").write_text("Do: {{.Instruction}} With: {{.Input}}")
    time.sleep(1.2)

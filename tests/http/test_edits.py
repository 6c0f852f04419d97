"""What a model file changes in answers is changed in every API, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.gguf_maker import CHATML, make_scripted
from tests.live import LiveServer, write_models

SAID = ["<think>", "hm", "</think>", "Sure! ", "The [n", "ote] ", "answer", " is", " 42.", " Bye"]
EVERY_RULE = """
cutstrings: ['\\[[^\\]]*\\]']
extract_regex: ['(?s)The.*$']
trimspace: [The]
trimsuffix: [Bye]
template: {reply_prefix: '= '}
"""
RULES = {
    "cut": ("cutstrings: ['\\[[^\\]]*\\] ']\n", "Sure! The answer is 42. Bye"),
    "extract": ("extract_regex: ['[0-9]+', '(?i)the']\n", "42The"),
    "nothing": ("extract_regex: ['zzz']\n", "Sure! The [note] answer is 42. Bye"),
    "trim": ("trimspace: ['Sure!']\ntrimsuffix: ['Bye']\n", "The [note] answer is 42."),
    "prefix": ("template: {reply_prefix: '> '}\n", "> Sure! The [note] answer is 42. Bye"),
    "all": (
        EVERY_RULE,
        "= answer is 42.",
    ),
}
QUESTION = [{"role": "user", "content": "Why?"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("edits") / "models"
    head = "name: {}\nparameters: {{model: talk.gguf, temperature: 0}}\ncontext_size: 1024\nthreads: 1\n"
    files = {f"{name}.yaml": head.format(name) + text for name, (text, _) in RULES.items()}
    files["silent.yaml"] = head.format("silent") + "reasoning: {strip_reasoning_only: true}\n"
    files["wrong.yaml"] = head.format("wrong") + "cutstrings:\n  - fine\n  - '(['\n"
    files["slow.yaml"] = head.format("slow") + "cutstrings: ['a(?:.*b)?']\n"
    files["slow.yaml"] = files["slow.yaml"].replace("talk.gguf", "long.gguf")
    write_models(folder, files)
    make_scripted(folder / "talk.gguf", SAID, template=CHATML)
    make_scripted(folder / "long.gguf", ["a" * 20_000], template=CHATML)
    with LiveServer(folder) as running:
        yield running


def events(server: LiveServer, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    lines = server.post(path, body | {"stream": True}).body.decode().splitlines()
    data = [line.removeprefix("data: ") for line in lines if line and line[0] in "d{"]
    return [json.loads(line) for line in data if line != "[DONE]"]


def chat(server: LiveServer, model: str) -> tuple[str, str]:
    body = {"model": model, "messages": QUESTION}
    whole = server.post("/v1/chat/completions", body).json["choices"][0]["message"]["content"]
    chunks = events(server, "/v1/chat/completions", body)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    return whole, "".join(delta.get("content") or "" for delta in deltas)


def anthropic(server: LiveServer, model: str) -> tuple[str, str]:
    body = {"model": model, "messages": QUESTION, "max_tokens": 50}
    content = server.post("/v1/messages", body).json["content"]
    deltas = [event.get("delta", {}) for event in events(server, "/v1/messages", body)]
    return content[-1]["text"], "".join(delta.get("text", "") for delta in deltas)


def responses(server: LiveServer, model: str) -> tuple[str, str]:
    body = {"model": model, "input": "Why?"}
    whole = server.post("/v1/responses", body).json["output"][-1]["content"][0]["text"]
    deltas = [
        event["delta"]
        for event in events(server, "/v1/responses", body)
        if event["type"] == "response.output_text.delta"
    ]
    return whole, "".join(deltas)


def ollama(server: LiveServer, model: str) -> tuple[str, str]:
    body = {"model": model, "messages": QUESTION}
    whole = server.post("/api/chat", body | {"stream": False}).json["message"]["content"]
    lines = events(server, "/api/chat", body)
    return whole, "".join(line["message"]["content"] for line in lines)


def edit(server: LiveServer, model: str) -> tuple[str, str]:
    body = {"model": model, "instruction": "Shorten", "input": "Why?"}
    whole: str = server.post("/v1/edits", body).json["choices"][0]["text"]
    return whole, whole


@pytest.mark.parametrize("ask", [chat, anthropic, responses, ollama, edit])
@pytest.mark.parametrize("name", RULES)
@pytest.mark.covers("`cutstrings`, `extract_regex`, `trimspace`, `trimsuffix`", "file")
@pytest.mark.covers("`template.reply_prefix`", "file")
def test_every_api_shows_the_changed_answer(
    server: LiveServer, name: str, ask: Callable[[LiveServer, str], tuple[str, str]]
) -> None:
    _, expected = RULES[name]
    assert ask(server, name) == (expected, expected)


def test_a_completion_is_changed_and_the_prompt_that_it_repeats_is_not(server: LiveServer) -> None:
    body = {"model": "cut", "prompt": "Keep [this]:\n", "echo": True}
    text = server.post("/v1/completions", body).json["choices"][0]["text"]
    assert text == "Keep [this]:\n<think>hm</think>Sure! The answer is 42. Bye"
    chunks = events(server, "/v1/completions", body)
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == text


def test_a_stream_stays_a_stream(server: LiveServer) -> None:
    body = {"model": "cut", "messages": QUESTION}
    chunks = events(server, "/v1/chat/completions", body)
    texts = [text for chunk in chunks if (text := chunk["choices"][0]["delta"].get("content"))]
    assert len(texts) > 3


def test_thinking_can_be_left_out(server: LiveServer) -> None:
    body = {"model": "silent", "messages": QUESTION}
    choice = server.post("/v1/chat/completions", body).json["choices"][0]
    assert "reasoning_content" not in choice["message"]
    assert choice["message"]["content"] == "Sure! The [note] answer is 42. Bye"
    chunks = events(server, "/v1/chat/completions", body)
    assert not any("reasoning_content" in json.dumps(chunk) for chunk in chunks)
    content = server.post("/v1/messages", body | {"max_tokens": 50}).json["content"]
    assert [block["type"] for block in content] == ["text"]


def test_a_wrong_pattern_is_told_with_its_line(server: LiveServer) -> None:
    reply = server.say("wrong", "hello")
    assert reply.status == 500
    assert "wrong.yaml:7: cutstrings: '(['" in reply.error["message"]
    assert "wrong.yaml:7: cutstrings: '(['" in server.log


def test_a_pattern_that_takes_too_long_ends_its_own_answer_only(server: LiveServer) -> None:
    reply = server.say("slow", "hello")
    assert reply.status == 500
    assert "slow.yaml:1" in reply.error["message"]
    assert "takes too long" in reply.error["message"]
    assert chat(server, "cut")[0] == RULES["cut"][1]

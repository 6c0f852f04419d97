"""Thinking stands apart from the answer in every API, whatever the model's template knows of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gguf_maker import CHATML, make_scripted
from tests.live import LiveServer, write_models

THOUGHT, ANSWER = "Let me see.", "The answer."
SAID = ["Let me", " see.", "\n</", "think>", "\n\nThe ", "answer."]
ASSISTANT = "{{ '<|im_start|>assistant\n' }}"
ENDS_OPEN = CHATML.replace(ASSISTANT, "{{ '<|im_start|>assistant\n<think>\n' }}")
ENDS_IN_PLAN = ENDS_OPEN.replace("<think>", "<plan>")
# A template that llama.cpp understands: it renders what was thought before.
UNDERSTOOD = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['reasoning_content'] %}{{ '<think>\n' + m['reasoning_content'] + '\n</think>\n\n' }}{% endif %}"
    "{{ m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}"
    "{% else %}{{ '<think>\n' }}{% endif %}{% endif %}"
)
GO = """
template:
  chat_message: "{{.RoleName}}: {{.Content}}"
"""


def model(name: str, weights: str, more: str = "") -> str:
    settings = "parameters: {model: %s.gguf, temperature: 0}\ncontext_size: 1024\nthreads: 1\n"
    return f"name: {name}\n{settings % weights}options: [parallel:1]\n{more}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("thinking") / "models"
    reasoning = "reasoning:\n  "
    files = {
        "tagged": model("tagged", "tagged"),
        "opened": model("opened", "opened"),
        "understood": model("understood", "understood"),
        "go": model("go", "tagged", GO + '  chat: "{{.Input}}\\n"\n'),
        "go-opened": model("go-opened", "opened", GO + '  chat: "{{.Input}}<think>\\n"\n'),
        "inline": model("inline", "tagged").replace("parallel:1", "parallel:1, reasoning_format:none"),
        "closed": model("closed", "opened", reasoning + "disable_reasoning_tag_prefill: true\n"),
        "planned": model("planned", "plan", reasoning + "thinking_start_tokens: [<plan>]\n"),
        "paired": model(
            "paired", "pair", reasoning + "tag_pairs: [{start: '(hm', end: 'hm)'}]\n"
        ),
        "quiet": model(
            "quiet", "understood", reasoning + "disable: true\nreasoning_effort: high\n"
        ),
        "lazy": model("lazy", "understood", "reasoning_effort: none\n"),
        "kwargs": model(
            "kwargs", "understood", "chat_template_kwargs: {enable_thinking: false}\n"
        ),
    }  # fmt: skip
    write_models(folder, {f"{name}.yaml": text for name, text in files.items()})
    make_scripted(folder / "tagged.gguf", ["<th", "ink>", *SAID], template=CHATML)
    make_scripted(folder / "opened.gguf", SAID, template=ENDS_OPEN)
    make_scripted(folder / "understood.gguf", SAID, template=UNDERSTOOD)
    plan = [piece.replace("think>", "plan>") for piece in SAID]
    make_scripted(folder / "plan.gguf", plan, template=ENDS_IN_PLAN)
    make_scripted(folder / "pair.gguf", ["Well ", "(h", "m so", "hm", ") done."], template=CHATML)
    with LiveServer(folder) as running:
        yield running


QUESTION = [{"role": "user", "content": "Why?"}]
SEPARATED = ["tagged", "opened", "understood", "go", "go-opened"]


def openai_chat(server: LiveServer, model: str, **fields: Any) -> tuple[str | None, str | None]:
    body = {"model": model, "messages": QUESTION, **fields}
    reply = server.post("/v1/chat/completions", body)
    assert reply.status == 200, reply.body
    message = reply.json["choices"][0]["message"]
    thought = message.get("reasoning_content")
    return thought and thought.rstrip(), message["content"]  # llama.cpp leaves a line's end there


@pytest.mark.parametrize("name", SEPARATED)
def test_an_answer_holds_none_of_it(server: LiveServer, name: str) -> None:
    assert openai_chat(server, name) == (THOUGHT, ANSWER)
    assert openai_chat(server, name, n=2) == (THOUGHT, ANSWER)
    assert openai_chat(server, name, logprobs=True, stop=["never"]) == (THOUGHT, ANSWER)


@pytest.mark.parametrize("name", SEPARATED)
def test_a_stream_sends_it_as_it_comes(server: LiveServer, name: str) -> None:
    with server.openai() as client:
        stream = client.chat.completions.create(model=name, messages=QUESTION, stream=True)
        deltas = [chunk.choices[0].delta for chunk in stream if chunk.choices]
    thoughts = [text for delta in deltas if (text := getattr(delta, "reasoning_content", None))]
    texts = [delta.content for delta in deltas if delta.content]
    assert "".join(thoughts).rstrip() == THOUGHT
    assert "".join(texts) == ANSWER
    assert len(thoughts) > 1
    assert len(texts) > 1


@pytest.mark.parametrize("name", SEPARATED)
def test_it_is_a_block_of_its_own_in_anthropics_form(server: LiveServer, name: str) -> None:
    body: Any = {"model": name, "messages": QUESTION, "max_tokens": 50}
    content = server.post("/v1/messages", body).json["content"]
    assert [block["type"] for block in content] == ["thinking", "text"]
    assert (content[0]["thinking"].rstrip(), content[1]["text"]) == (THOUGHT, ANSWER)
    events = server.post("/v1/messages", body | {"stream": True}).body.decode()
    deltas = [
        json.loads(line[6:])["delta"]
        for line in events.splitlines()
        if line.startswith("data: ") and "content_block_delta" in line
    ]
    assert "".join(delta.get("thinking", "") for delta in deltas).rstrip() == THOUGHT
    assert "".join(delta.get("text", "") for delta in deltas) == ANSWER


@pytest.mark.parametrize("name", SEPARATED)
def test_it_is_a_field_of_its_own_in_ollamas_form(server: LiveServer, name: str) -> None:
    body: Any = {"model": name, "messages": QUESTION}
    lines = server.post("/api/chat", body).body.decode().splitlines()
    for messages in (
        [json.loads(line)["message"] for line in lines],
        [server.post("/api/chat", body | {"stream": False}).json["message"]],
    ):
        assert "".join(message.get("thinking", "") for message in messages).rstrip() == THOUGHT
        assert "".join(message["content"] for message in messages) == ANSWER


@pytest.mark.parametrize("name", SEPARATED)
def test_it_is_an_item_of_its_own_in_responses(server: LiveServer, name: str) -> None:
    with server.openai() as client:
        response = client.responses.create(model=name, input="Why?")
        with client.responses.stream(model=name, input="Why?") as stream:
            final = stream.get_final_response()
    for answer in (response, final):
        assert [item.type for item in answer.output] == ["reasoning", "message"]
        assert THOUGHT in answer.output[0].to_json()
        assert answer.output_text == ANSWER


def test_a_text_to_go_on_from_stays_as_the_model_made_it(server: LiveServer) -> None:
    reply = server.post("/v1/completions", {"model": "tagged", "prompt": "Why?\n"})
    assert reply.json["choices"][0]["text"] == f"<think>{THOUGHT}\n</think>\n\n{ANSWER}"


def test_an_edit_holds_none_of_it(server: LiveServer) -> None:
    body = {"model": "tagged", "instruction": "Shorten", "input": "Why?"}
    assert server.post("/v1/edits", body).json["choices"][0]["text"] == ANSWER


@pytest.mark.parametrize("name", SEPARATED)
@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"const": 1}}}},
            "1",
        ),
        ({"grammar": 'root ::= "yes" # or "no"'}, "yes"),
    ],
)
def test_a_model_thinks_before_it_obeys_a_grammar_where_its_prompt_has_begun_so(
    server: LiveServer, name: str, asked: dict[str, Any], answer: str
) -> None:
    thought, text = openai_chat(server, name, **asked)
    assert thought == (None if name in {"tagged", "go"} else THOUGHT)
    assert (text or "").strip() == answer


def test_a_grammar_rules_at_once_where_thinking_is_switched_off(server: LiveServer) -> None:
    said = {"type": "json_object", "schema": {"enum": ["yes"]}}
    asked = {"response_format": said, "reasoning_effort": "none"}
    assert openai_chat(server, "understood", **asked) == (None, '"yes"')


def test_an_engine_that_is_told_to_leave_it_in_the_text_does(server: LiveServer) -> None:
    assert openai_chat(server, "inline") == (None, f"<think>{THOUGHT}\n</think>\n\n{ANSWER}")


# ---- the model file


def test_a_prompt_that_ends_in_a_tag_may_mean_nothing(server: LiveServer) -> None:
    assert openai_chat(server, "closed") == (None, f"{THOUGHT}\n</think>\n\n{ANSWER}")


def test_a_prompt_may_end_in_a_tag_of_the_models_own(server: LiveServer) -> None:
    assert openai_chat(server, "planned") == (THOUGHT, ANSWER)


@pytest.mark.covers("`reasoning:`", "file")
def test_a_model_may_have_tags_of_its_own(server: LiveServer) -> None:
    assert openai_chat(server, "paired") == ("so", "Well  done.")


def prompt_tokens(server: LiveServer, model: str, **fields: Any) -> int:
    body = {"model": model, "messages": QUESTION, "max_tokens": 1, **fields}
    count: int = server.post("/v1/chat/completions", body).json["usage"]["prompt_tokens"]
    return count


@pytest.fixture(scope="module")
def counts(server: LiveServer) -> tuple[int, int]:
    """The sizes of the prompt that lets the model think, and of the one that does not."""
    start = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n<think>\n"
    sizes = [
        len(server.post("/v1/tokenize", {"model": "understood", "content": text}).json["tokens"])
        for text in (start, f"{start}\n</think>\n\n")
    ]
    return sizes[0], sizes[1]


@pytest.mark.covers("`chat_template_kwargs`, `enable_thinking`, and LocalAI's `metadata`", "chat")
def test_a_request_decides_over_the_model_file(server: LiveServer, counts: tuple[int, int]) -> None:
    thinking, none = counts
    assert prompt_tokens(server, "understood") == thinking
    assert prompt_tokens(server, "understood", reasoning_effort="none") == none
    for name in ("lazy", "kwargs"):
        assert prompt_tokens(server, name) == none
        assert prompt_tokens(server, name, reasoning_effort="high") == thinking
        for more in (
            {"chat_template_kwargs": {"enable_thinking": True}},
            {"enable_thinking": True},
            {"metadata": {"enable_thinking": "true"}},
            {"metadata": {"reasoning_effort": "low"}},
        ):
            assert prompt_tokens(server, name, **more) == thinking
    for more in (
        {"chat_template_kwargs": {"enable_thinking": False}, "enable_thinking": True},
        {"enable_thinking": False, "metadata": {"enable_thinking": "true"}},
        {"metadata": {"enable_thinking": False}},
        {"metadata": {"reasoning_effort": "none"}},
    ):
        assert prompt_tokens(server, "understood", **more) == none
    wrong = server.say("understood", "Why?", metadata={"reasoning_effort": "loud"})
    assert (wrong.status, wrong.error["param"]) == (400, "reasoning_effort")


@pytest.mark.covers("`reasoning:`", "file")
def test_a_model_whose_thinking_is_switched_off_never_thinks(
    server: LiveServer, counts: tuple[int, int]
) -> None:
    _, none = counts
    assert prompt_tokens(server, "quiet") == none
    assert prompt_tokens(server, "quiet", reasoning_effort="high") == none
    more = {"chat_template_kwargs": {"enable_thinking": True}}
    assert prompt_tokens(server, "quiet", **more) == none
    thinking = {"type": "enabled", "budget_tokens": 1024}
    body = {"model": "quiet", "messages": QUESTION, "max_tokens": 2048, "thinking": thinking}
    assert server.post("/v1/messages", body).json["usage"]["input_tokens"] <= none

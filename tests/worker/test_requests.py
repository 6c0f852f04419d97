"""What llama-server is sent."""

from __future__ import annotations

from typing import Any

from localai.domain.generation import Chat, Completion, GenerationRequest, ToolSpec
from localai.domain.parts import Media, MediaKind, Message, Part, Role, Text
from localai.worker.llama_server.requests import chat_body, completion_body


def _said(*turns: tuple[Role, str]) -> list[tuple[str, str]]:
    messages = tuple(Message(role=role, parts=(Text(text=text),)) for role, text in turns)
    request = GenerationRequest(model="", prompt=Chat(messages=messages))
    body = chat_body(request, messages)
    return [(message["role"], message["content"]) for message in body["messages"]]


def test_what_the_model_said_last_is_one_message() -> None:
    """An agent sends its model's answer back, and asks for another."""
    user, model = Role.USER, Role.ASSISTANT
    asked = [(user, "Hi"), (model, "a"), (model, "b"), (user, "And?")]
    assert _said(*asked) == [(role.value, text) for role, text in asked]
    assert _said(*asked, (model, "1"), (model, "2"), (model, "3")) == [
        *_said(*asked),
        ("assistant", "1\n\n2\n\n3"),
    ]
    assert _said((model, "1"), (model, "2")) == [("assistant", "1\n\n2")]


def _asks_how_far(request: GenerationRequest) -> bool:
    prompt = request.prompt
    if isinstance(prompt, Chat):
        return chat_body(request, prompt.messages).get("return_progress", False)
    assert isinstance(prompt, Completion)
    return completion_body(request, prompt).get("return_progress", False)


def _chat(*parts: Part, **more: Any) -> GenerationRequest:
    message = Message(role=Role.USER, parts=parts)
    return GenerationRequest(model="", prompt=Chat(messages=(message,)), **more)


def test_only_what_takes_a_while_is_asked_how_far_it_is() -> None:
    """Each sign of progress comes before the first token and delays it."""
    image = Media(kind=MediaKind.IMAGE, media_type="image/png", data=b"")
    long, short = Text(text="word " * 1000), Text(text="Hi")
    tool = ToolSpec(name="look")
    assert not _asks_how_far(_chat(short))
    assert not _asks_how_far(GenerationRequest(model="", prompt=Completion(text="Hi")))
    for request in (
        _chat(long),
        _chat(short, image),
        _chat(short, tools=(tool,)),
        _chat(short, counts_prompt_first=True),
        _chat(short, stop=("x",), logprobs=1),  # this side cuts it short, and must count
        GenerationRequest(model="", prompt=Completion(text=long.text)),
        GenerationRequest(model="", prompt=Completion(token_ids=tuple(range(5000)))),
    ):
        assert _asks_how_far(request)

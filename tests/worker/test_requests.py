"""What llama-server is sent."""

from __future__ import annotations

from localai.domain.generation import Chat, GenerationRequest
from localai.domain.parts import Message, Role, Text
from localai.worker.llama_server.requests import chat_body


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

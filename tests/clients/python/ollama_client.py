"""Ollama's own client."""

from __future__ import annotations

from typing import Any

import ollama
import pytest
from asked import LOCKED_URL, PICTURE, QUESTION, SAID, SAY, STARTER, URL, Station, Verdict

client = ollama.Client(host=URL)
MESSAGES = [{"role": "user", "content": SAY}]


def test_chat() -> None:
    answer = client.chat(STARTER, MESSAGES)
    assert (answer.message.content, answer.done_reason) == (SAID, "stop")
    assert answer.eval_count
    parts = list(client.chat(STARTER, MESSAGES, stream=True))
    assert "".join(part.message.content or "" for part in parts) == SAID
    assert parts[-1].done


def test_generate() -> None:
    assert client.generate(STARTER, SAY).response == SAID
    assert "".join(part.response for part in client.generate(STARTER, SAY, stream=True)) == SAID


@pytest.mark.parametrize("streams", [False, True])
def test_a_tool_loop(streams: Any) -> None:
    station = Station()
    messages: list[Any] = [{"role": "user", "content": QUESTION}]

    def turn() -> ollama.Message:
        answer: Any = client.chat(STARTER, messages, tools=[station.get_weather], stream=streams)
        if not streams:
            return answer.message
        parts = [part.message for part in answer]
        calls = [call for part in parts for call in part.tool_calls or ()]
        text = "".join(part.content or "" for part in parts)
        return ollama.Message(role="assistant", content=text, tool_calls=calls)

    said = turn()
    (call,) = said.tool_calls or ()
    content = station.get_weather(**call.function.arguments)
    messages += [said, {"role": "tool", "content": content, "tool_name": call.function.name}]
    assert "sunny" in (turn().content or "")
    assert station.asked == ["Rome"]


def test_a_schema() -> None:
    answer = client.chat(STARTER, MESSAGES, format=Verdict.model_json_schema())
    Verdict.model_validate_json(answer.message.content or "")


def test_thoughts() -> None:
    message = client.chat("thinker", MESSAGES, think=True).message
    assert (message.thinking, message.content) == ("Hmm.", "All done")


def test_a_picture() -> None:
    def tokens(**more: Any) -> int:
        asked = [{"role": "user", "content": SAY} | more]
        return client.chat("seer", asked, options={"num_predict": 2}).prompt_eval_count or 0

    assert tokens(images=[PICTURE]) > tokens()


def test_vectors() -> None:
    assert [len(one) for one in client.embed("embedder", ["the cat", "a dog"]).embeddings] == [
        64
    ] * 2


def test_models() -> None:
    assert f"{STARTER}:latest" in {model.model for model in client.list().models}
    assert "tools" in (client.show(STARTER).capabilities or ())


def test_errors_are_its_own() -> None:
    with pytest.raises(ollama.ResponseError) as missing:
        client.chat("nobody", MESSAGES)
    assert missing.value.status_code == 404
    with pytest.raises(ollama.ResponseError) as refused:
        ollama.Client(host=LOCKED_URL).list()
    assert refused.value.status_code == 401
    opened = ollama.Client(host=LOCKED_URL, headers={"Authorization": "Bearer right"})
    assert len(opened.list().models) == 1

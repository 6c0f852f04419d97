"""Anthropic's own client, which checks every field of what it gets."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from asked import LOCKED_URL, PICTURE, QUESTION, SAID, SAY, STARTER, URL, Station, Verdict

client = anthropic.Anthropic(
    base_url=URL, api_key="none", max_retries=0, _strict_response_validation=True
)
MESSAGES: Any = [{"role": "user", "content": SAY}]
ASK: Any = {"model": STARTER, "max_tokens": 100, "messages": MESSAGES}


def text_of(answer: Any) -> str:
    return "".join(block.text for block in answer.content if block.type == "text")


def test_a_message() -> None:
    answer = client.messages.create(**ASK)
    assert (text_of(answer), answer.stop_reason) == (SAID, "end_turn")
    counted = client.messages.count_tokens(model=STARTER, messages=MESSAGES)
    usage = answer.usage
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == counted.input_tokens


def test_a_message_streams() -> None:
    with client.messages.stream(**ASK) as stream:
        assert "".join(stream.text_stream) == SAID
        assert stream.get_final_message().stop_reason == "end_turn"
    assert list(client.messages.create(**ASK, stream=True))


@pytest.mark.parametrize("streams", [False, True])
def test_the_clients_own_tool_loop(streams: Any) -> None:
    station = Station()

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """Get the weather of a city.

        Args:
            city: The city.
        """
        return station.get_weather(city)

    runner = client.beta.messages.tool_runner(
        **ASK | {"messages": [{"role": "user", "content": QUESTION}]},
        tools=[get_weather],
        stream=streams,
    )
    assert "sunny" in text_of(runner.until_done())
    assert station.asked == ["Rome"]


def test_a_schema() -> None:
    answer = client.messages.parse(**ASK, output_format=Verdict)
    assert isinstance(answer.parsed_output, Verdict)


def test_thoughts() -> None:
    asked = ASK | {"model": "thinker", "max_tokens": 1500}
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    thought, said = client.messages.create(**asked, thinking=thinking).content
    assert (thought.thinking, said.text) == ("Hmm.", "All done")  # type: ignore[union-attr]


def test_a_picture() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE}

    def tokens(*parts: Any) -> int:
        content: Any = [{"type": "text", "text": SAY}, *parts]
        usage = client.messages.create(
            model="seer", max_tokens=2, messages=[{"role": "user", "content": content}]
        ).usage
        return usage.input_tokens + (usage.cache_read_input_tokens or 0)

    assert tokens({"type": "image", "source": source}) > tokens()


def test_models() -> None:
    assert STARTER in {model.id for model in client.models.list()}
    assert client.models.retrieve(STARTER).display_name == STARTER


def test_errors_are_its_own() -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(**ASK | {"model": "nobody"})
    assert missing.value.type == "not_found_error"
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**ASK | {"max_tokens": 0})
    locked = anthropic.Anthropic(base_url=LOCKED_URL, api_key="wrong", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        locked.messages.create(**ASK)
    assert list(locked.with_options(api_key="right").models.list())


def test_leaving() -> None:
    with client.messages.stream(**ASK | {"model": "endless"}) as stream:
        assert next(stream.text_stream)
    with pytest.raises(anthropic.APITimeoutError):
        client.with_options(timeout=0.3).messages.create(**ASK | {"model": "endless"})

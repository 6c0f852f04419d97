"""Limits, ends, chances and counts, in every API, whole and streamed."""

from __future__ import annotations

from typing import Any

import anthropic
import ollama
import openai
import pytest

from tests.features.apis import Api, Wish
from tests.live import SENTENCE, SPOKEN, LiveServer

EVERY = "chat completions responses messages ollama"
STATUS_ERRORS = (openai.APIStatusError, anthropic.APIStatusError, ollama.ResponseError)


@pytest.mark.covers(
    "The answer, whole or as it is made", "chat completions responses messages ollama"
)
def test_an_answer(server: LiveServer, api: Api, *, streams: bool) -> None:
    heard = api.ask(server, "text", Wish(), streams=streams)
    assert (heard.text, heard.end) == (SENTENCE, api.ends["text"])


@pytest.mark.covers("True counts of tokens", "chat completions responses messages ollama")
def test_usage(server: LiveServer, api: Api, *, streams: bool) -> None:
    """A token of this model is a byte, but for three special ones and the pieces that it says."""
    heard = api.ask(server, "text", Wish(), streams=streams)
    assert heard.answer_tokens == len(SPOKEN) + 1  # and the end of the turn
    prompts = {len("hello\n"), len("user\nhello\n") + 2 + len("assistant\n") + 1}
    assert heard.prompt_tokens in prompts
    longer = api.ask(server, "text", Wish(text="hello you"), streams=streams)
    assert longer.prompt_tokens == heard.prompt_tokens + len(" you")


@pytest.mark.covers(
    "A limit of tokens, which is told as the end", "chat completions responses messages ollama"
)
def test_a_limit(server: LiveServer, api: Api, *, streams: bool) -> None:
    heard = api.ask(server, "text", Wish(limit=2), streams=streams)
    assert (heard.text, heard.end) == ("".join(SPOKEN[:2]), api.ends["limit"])
    assert heard.answer_tokens == 2


@pytest.mark.covers("Texts that end the answer", "chat completions responses messages ollama")
def test_stops(server: LiveServer, api: Api, *, streams: bool) -> None:
    heard = api.ask(server, "text", Wish(stop=(" two", "never")), streams=streams)
    assert (heard.text, heard.end) == (SENTENCE.partition(" two")[0], api.ends["stop"])


@pytest.mark.covers("Log probabilities", "chat completions responses ollama")
def test_log_probabilities(server: LiveServer, api: Api, *, streams: bool) -> None:
    heard = api.ask(server, "text", Wish(top_logprobs=2), streams=streams)
    assert "".join(heard.tokens) == SENTENCE == heard.text


@pytest.mark.covers("A seed, which makes an answer repeatable", "chat completions responses ollama")
def test_a_seed(server: LiveServer, api: Api, *, streams: bool) -> None:
    def say(seed: int) -> str:
        wish = Wish(seed=seed, limit=16, temperature=1.0)
        return api.ask(server, "noise", wish, streams=streams).text

    assert say(7) == say(7)
    assert say(7) != say(8)


@pytest.mark.covers("Biases of tokens", "chat completions responses")
def test_a_bias(server: LiveServer, api: Api, *, streams: bool) -> None:
    wish = Wish(bias={str(ord("z")): 100}, limit=4)
    assert api.ask(server, "text", wish, streams=streams).text == "zzzz"


@pytest.mark.covers("Several answers at once", "chat completions")
@pytest.mark.parametrize("place", ["chat", "completions"])
def test_several_answers(server: LiveServer, place: str, *, streams: bool) -> None:
    with server.openai() as client:
        ask: Any = client.completions.create
        asked: Any = {"prompt": "hello\n"}
        if place == "chat":
            ask = client.chat.completions.create
            asked = {"messages": [{"role": "user", "content": "hello"}]}
        answer = ask(model="text", n=3, stream=streams, **asked)
        said = {0: "", 1: "", 2: ""}
        ends = {}
        for part in answer if streams else [answer]:
            for choice in part.choices:
                ends[choice.index] = choice.finish_reason or ends.get(choice.index)
                if place == "completions":
                    said[choice.index] += choice.text
                else:
                    said[choice.index] += (
                        choice.delta if streams else choice.message
                    ).content or ""
    assert said == dict.fromkeys(range(3), SENTENCE)
    assert ends == dict.fromkeys(range(3), "stop")


@pytest.mark.covers("Errors in the API's own form", "chat completions responses messages ollama")
def test_errors(server: LiveServer, api: Api, *, streams: bool) -> None:
    with pytest.raises(STATUS_ERRORS) as missing:
        api.ask(server, "nobody", Wish(), streams=streams)
    assert missing.value.status_code == 404
    assert "nobody" in str(missing.value)
    with pytest.raises(STATUS_ERRORS) as refused:
        api.ask(server, "text", Wish(temperature=9.0), streams=streams)
    assert refused.value.status_code == 400
    assert "temperature is 9" in str(refused.value)

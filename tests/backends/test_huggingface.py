"""Models behind the Hugging Face Inference API, through our own APIs: a server on the loopback plays theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.inference_api import TOKEN, Api, inference_api
from tests.live import LiveServer, wait_until, write_models

MODEL = "tiny-org/Parrot-1B"


@pytest.fixture(scope="module")
def shared_api() -> Iterator[Api]:
    with inference_api() as running:
        yield running


@pytest.fixture
def api(shared_api: Api) -> Iterator[Api]:
    """The other side, as if nobody had asked it before."""
    shared_api.asked.clear()
    yield shared_api
    shared_api.refusal = None
    shared_api.delay_s = 0.001


def yaml(url: str, name: str = "far", more: str = "") -> str:
    return (
        f"name: {name}\nbackend: langchain-huggingface\nparameters: {{model: {MODEL}}}\n"
        f"options: ['endpoint:{url}'{more}]\n"
    )


@pytest.fixture(scope="module")
def server(shared_api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("far")
    models = write_models(
        folder / "models",
        {
            "far.yaml": yaml(shared_api.url),
            "hasty.yaml": yaml(shared_api.url, "hasty", ", 'timeout_s:0.3'"),
            "nobody.yaml": yaml("http://127.0.0.1:9", "nobody"),
            "wrong.yaml": yaml("ftp://x", "wrong"),
            "hub.yaml": f"name: hub\nbackend: huggingface\nparameters: {{model: {MODEL}}}\n",
        },
    )
    # a cache folder of its own, so that nobody's login is used
    environment = {
        "HUGGINGFACEHUB_API_TOKEN": TOKEN,
        "HF_HOME": str(folder),
        "NO_PROXY": "127.0.0.1",
    }
    with LiveServer(models, environment=environment) as running:
        yield running


def test_a_chat_carries_what_was_asked(server: LiveServer, api: Api) -> None:
    with server.openai() as client:
        answer = client.chat.completions.create(
            model="far",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "one two three four"},
            ],
            max_tokens=3,
            temperature=0.5,
            top_p=0.75,
            seed=7,
            stop=["nothing"],
        )
    assert answer.choices[0].message.content == "one two three"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 3)
    (path, authorization, body), *more = api.asked
    assert not more
    assert path == "/v1/chat/completions"
    assert authorization == f"Bearer {TOKEN}"
    assert body["model"] == MODEL  # as it is written
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    told = {"max_tokens": 3, "temperature": 0.5, "top_p": 0.75, "seed": 7, "stop": ["nothing"]}
    assert {key: body.get(key) for key in told} == told


def test_a_chat_streams_word_by_word(server: LiveServer, api: Api) -> None:
    api.delay_s = 0.02
    with server.openai() as client:
        stream = client.chat.completions.create(
            model="far", messages=[{"role": "user", "content": "a b c d"}], stream=True
        )
        said = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
    assert [piece for piece in said if piece] == ["a", " b", " c", " d"]


def test_texts_go_on(server: LiveServer, api: Api) -> None:
    with server.openai() as client:
        whole = client.completions.create(model="far", prompt="one two three", max_tokens=2)
        stopped = client.completions.create(
            model="far", prompt="one two three four", stop=["three"], temperature=0
        )
    assert whole.choices[0].text == "one two"
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (3, 2)
    assert stopped.choices[0].text == "one two "
    assert stopped.choices[0].finish_reason == "stop"
    (path, _, first), (_, _, second) = api.asked
    assert path == "/"
    assert first["parameters"]["max_new_tokens"] == 2
    assert second["parameters"]["stop"] == ["three"]
    assert "temperature" not in second["parameters"]  # 0 is no number there; it does not sample


def test_tools_forms_and_probabilities(server: LiveServer, api: Api) -> None:
    tool: Any = {
        "type": "function",
        "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
    }
    messages: Any = [{"role": "user", "content": "find it"}]
    with server.openai() as client:
        called = client.chat.completions.create(
            model="far", messages=messages, tools=[tool], tool_choice="required"
        ).choices[0]
        likely = client.chat.completions.create(
            model="far", messages=messages, logprobs=True, top_logprobs=2
        ).choices[0]
        client.chat.completions.create(
            model="far", messages=messages, response_format={"type": "json_object"}
        )
    calls = called.message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.name == "look"
    assert json.loads(calls[0].function.arguments) == {"word": "it"}
    assert called.finish_reason == "tool_calls"
    assert api.asked[0][2]["tool_choice"] == "required"
    assert likely.logprobs is not None
    assert likely.logprobs.content is not None
    assert [entry.token for entry in likely.logprobs.content] == ["find", " it"]
    assert len(likely.logprobs.content[0].top_logprobs) == 2
    assert api.asked[2][2]["response_format"] == {"type": "json_object"}


def test_several_choices_have_seeds_of_their_own(server: LiveServer, api: Api) -> None:
    body = {"model": "far", "messages": [{"role": "user", "content": "a b"}], "n": 3, "seed": 5}
    answer = server.post("/v1/chat/completions", body).json
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["a b"] * 3
    assert answer["usage"]["completion_tokens"] == 6
    assert [asked["seed"] for _, _, asked in api.asked] == [5, 6, 7]


@pytest.mark.parametrize(
    ("status", "said", "expected", "words"),
    [
        (401, {"error": "Invalid token"}, 500, "token"),
        (404, {"error": "Not Found"}, 500, "parameters.model"),
        (422, {"error": "too long", "error_type": "validation"}, 400, "too long"),
        (400, {"error": "bad"}, 400, "400"),
        (429, {"error": "slow down"}, 503, "Try again"),
        (503, {"error": "loading"}, 503, "Try again"),
        (500, {"error": "oops"}, 500, "500"),
    ],
)
def test_what_the_api_refuses_is_told(
    server: LiveServer, api: Api, status: int, said: Any, expected: int, words: str
) -> None:
    api.refusal = (status, said)
    body = {"model": "far", "prompt": "a b", "messages": [{"role": "user", "content": "a"}]}
    for path in ("/v1/chat/completions", "/v1/completions"):
        for streams in (False, True):
            reply = server.post(path, body | {"stream": streams})
            assert reply.status == expected, reply.body
            assert words in reply.error["message"]


def test_hanging_up_ends_the_call_over_there(server: LiveServer, api: Api) -> None:
    api.delay_s = 0.05
    with server.openai() as client:
        stream = client.chat.completions.create(
            model="far", messages=[{"role": "user", "content": "a " * 500}], stream=True
        )
        next(iter(stream))
        wait_until(lambda: api.streaming == 1, "the call's arrival")
        stream.close()
    wait_until(lambda: api.streaming == 0, "the end of the call over there")
    assert server.say("far", "still there?").status == 200


def test_silence_and_absence_are_told(server: LiveServer, api: Api) -> None:
    api.delay_s = 3.0
    late = server.say("hasty", "a")
    assert late.status == 504
    assert "0.3 s" in late.error["message"]
    absent = server.say("nobody", "a")
    assert absent.status == 500
    assert "no answer" in absent.error["message"]


def test_wrong_settings_are_told(server: LiveServer, api: Api, tmp_path: Path) -> None:
    reply = server.say("wrong", "a")
    assert "ftp://x" in reply.error["message"]
    for fields in ({"grammar": 'root ::= "a"'}, {"mirostat": 2}):
        reply = server.say("far", "a", **fields)
        assert reply.status == 400
        assert "does not take" in reply.error["message"]
    assert api.asked == []


def test_without_a_token_nothing_is_sent(tmp_path: Path, start_server: Any) -> None:
    text = f"name: hub\nbackend: huggingface\nparameters: {{model: {MODEL}}}\n"
    models = write_models(tmp_path / "models", {"hub.yaml": text})
    environment = {"HF_HOME": str(tmp_path)}
    server = start_server(models, environment=environment)
    with pytest.raises(openai.APIStatusError) as caught, server.openai() as client:
        client.chat.completions.create(model="hub", messages=[{"role": "user", "content": "a"}])
    assert "HF_TOKEN" in str(caught.value)

"""The engine over transformers, in its own environment, behind the whole server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from localai.engines.manifest import Manifest
from tests.engines.installed import FOLDER, device_of, skip_without
from tests.hf_maker import make_scripted_hf, make_tiny_hf
from tests.live import LiveServer, Reply

SPOKEN = ["This ", "is ", "it", "."]
CALL = [
    "<tool_call>\n",
    '{"name": "get_weather", ',
    '"arguments": ',
    '{"city": "Rome"}',
    "}\n",
    "</tool_call>",
]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 8}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    skip_without(Manifest().find("transformers"))
    models = tmp_path_factory.mktemp("hf") / "models"
    models.mkdir()
    make_scripted_hf(models / "spoken", SPOKEN)
    make_scripted_hf(models / "calls", CALL)
    make_tiny_hf(models / "noise")
    make_tiny_hf(models / "untold", template=None)
    make_tiny_hf(models / "short", size=200)
    for name in ("spoken", "calls", "noise", "untold"):
        text = f"name: {name}\nparameters: {{model: {name}, temperature: 0}}\nthreads: 1\n"
        (models / f"{name}.yaml").write_text(text)  # no backend: the files decide
    (models / "four.yaml").write_text(
        "name: four\nbackend: transformers\ntype: AutoModelForCausalLM\nquantization: bnb_4bit\n"
        "parameters: {model: noise}\n"
    )
    (models / "odd-four.yaml").write_text(  # its layers have a size that is no multiple of 32
        "name: odd-four\nbackend: transformers\nquantization: bnb_4bit\nparameters: {model: spoken}\n"
    )
    (models / "vectors.yaml").write_text(
        "name: vectors\nbackend: transformers\nembeddings: true\nparameters: {model: noise}\n"
    )
    with LiveServer(models, "--backends-path", str(FOLDER)) as running:
        yield running


@pytest.fixture
def client(server: LiveServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120)


def chat(text: str = "Hello") -> list[Any]:
    return [{"role": "user", "content": text}]


def test_an_answer_is_what_the_model_says(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="spoken", messages=chat())
    assert answer.choices[0].message.content == "".join(SPOKEN)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == len(SPOKEN)
    assert answer.usage.prompt_tokens > len("Hello")


def test_a_stream_comes_a_token_at_a_time(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="spoken", messages=chat(), stream=True)
    pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
    assert [piece for piece in pieces if piece] == SPOKEN


def test_stops_limits_and_choices(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="spoken", messages=chat(), stop=["s i"], n=2)
    assert [choice.message.content for choice in answer.choices] == ["Thi", "Thi"]
    assert answer.choices[0].finish_reason == "stop"
    answer = client.chat.completions.create(model="spoken", messages=chat(), max_tokens=2)
    assert answer.choices[0].message.content == "This is "
    assert answer.choices[0].finish_reason == "length"


def test_logprobs(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="spoken", messages=chat(), logprobs=True, top_logprobs=2
    )
    found = answer.choices[0].logprobs
    assert found is not None
    assert [entry.token for entry in found.content or []] == SPOKEN
    assert all(entry.logprob > -0.01 for entry in found.content or [])
    assert len((found.content or [])[0].top_logprobs) == 2


def test_a_seed_repeats_an_answer(client: openai.OpenAI) -> None:
    def say(seed: int) -> str:
        answer = client.completions.create(
            model="noise", prompt="Once", max_tokens=12, seed=seed, temperature=1.5
        )
        return answer.choices[0].text

    assert say(7) == say(7)
    assert len({say(seed) for seed in range(4)}) > 1


def test_a_call_is_parsed(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="calls", messages=chat(), tools=[WEATHER])
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.name == "get_weather"
    assert json.loads(calls[0].function.arguments) == {"city": "Rome"}
    assert answer.choices[0].finish_reason == "tool_calls"


def test_a_required_call_comes_from_noise(client: openai.OpenAI) -> None:
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        answer = client.chat.completions.create(
            model="noise", messages=chat(), tools=[WEATHER], tool_choice=choice, max_tokens=200
        )
        calls = answer.choices[0].message.tool_calls
        assert calls is not None, answer
        assert set(json.loads(calls[0].function.arguments)) == {"city"}


def test_an_answer_obeys_its_schema(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"enum": [1, 2, 3]}, "is_it": {"type": "boolean"}},
        "required": ["n", "is_it"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="noise",
        messages=chat(),
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    )
    found = json.loads(answer.choices[0].message.content or "")
    assert found["n"] in (1, 2, 3)
    assert isinstance(found["is_it"], bool)


def test_an_answer_obeys_its_grammar(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="noise", messages=chat(), extra_body={"grammar": 'root ::= "yes" | "no"'}
    )
    assert answer.choices[0].message.content in ("yes", "no")
    with pytest.raises(openai.BadRequestError, match="nowhere"):
        client.chat.completions.create(
            model="noise", messages=chat(), extra_body={"grammar": "root ::= nowhere"}
        )


def test_quantized_and_embedding(client: openai.OpenAI) -> None:
    lasting = {"ignore_eos": True}
    answer = client.completions.create(
        model="four", prompt="Once", max_tokens=4, extra_body=lasting
    )
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 4
    odd = client.chat.completions.create(model="odd-four", messages=chat())
    assert odd.choices[0].message.content == "".join(SPOKEN)
    vectors = client.embeddings.create(model="vectors", input=["cat", "cat", "stocks"]).data
    assert vectors[0].embedding == vectors[1].embedding
    assert len(vectors[0].embedding) == 64
    assert abs(sum(value * value for value in vectors[0].embedding) - 1) < 1e-3


def test_tokens_without_weights(server: LiveServer, client: openai.OpenAI) -> None:
    """A tokenizer may know more tokens than its model: the end is one, and so are some bytes."""
    lasting = {"ignore_eos": True}
    asked: dict[str, Any] = {"model": "short", "max_tokens": 4, "extra_body": lasting}
    assert client.completions.create(prompt="Once", **asked).choices[0].finish_reason == "length"
    if device_of("transformers").startswith("cuda"):
        return  # tests/backends/test_on_a_gpu.py
    reply = complain(server, "/v1/completions", model="short", prompt="\N{GRINNING FACE}")
    assert reply.error["code"] == "engine_failed"
    assert client.completions.create(prompt="Once", **asked).choices[0].finish_reason == "length"


def test_tokens_both_ways(server: LiveServer) -> None:
    ids = server.request("POST", "/v1/tokenize", {"model": "noise", "content": "Grüße"}).json[
        "tokens"
    ]
    assert len(ids) == len("Grüße".encode())
    said = server.request("POST", "/v1/detokenize", {"model": "noise", "tokens": ids}).json
    assert "Grüße" in json.dumps(said, ensure_ascii=False)


def complain(server: LiveServer, path: str, **body: Any) -> Reply:
    return server.request("POST", path, {"model": "noise", "max_tokens": 4, **body})


def test_bad_input_is_told(server: LiveServer) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    for path, body, words in (
        ("/v1/chat/completions", {"messages": chat("x" * 5000)}, "this model holds 2048"),
        ("/v1/chat/completions", {"model": "untold", "messages": chat()}, "no chat template"),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": [image]}]},
            "reads text only",
        ),
        ("/v1/completions", {"prompt": [99_999]}, "99999 is no token"),
        ("/v1/completions", {"prompt": "a", "suffix": "b"}, "fills no gaps"),
        ("/v1/completions", {"prompt": "a", "mirostat": 2}, "no mirostat"),
        ("/v1/embeddings", {"input": "x"}, "loaded to generate text"),
        ("/v1/completions", {"model": "vectors", "prompt": "x"}, "loaded for embeddings"),
    ):
        reply = complain(server, path, **body)
        assert 400 <= reply.status < 500, (path, body, reply.body)
        assert words in reply.error["message"]


def test_models_that_cannot_be_loaded_say_why(server: LiveServer) -> None:
    folder = server.folder
    (folder / "hollow").mkdir(exist_ok=True)
    (folder / "hollow" / "config.json").write_text((folder / "noise" / "config.json").read_text())
    files = {
        "hollow": "parameters: {model: hollow}",
        "typed": "type: NoSuchClass\nparameters: {model: noise}",
        "bits": "quantization: bnb_3bit\nparameters: {model: noise}",
        "cuda": "main_gpu: cuda.99\nparameters: {model: noise}",
        "gone": "parameters: {model: nothing-here}",
        "odd": "options: [paralell:3]\nparameters: {model: noise}",
    }
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(f"name: {name}\nbackend: transformers\n{text}\n")

    def complaint(name: str) -> str:
        return str(complain(server, "/v1/completions", model=name, prompt="x").error["message"])

    import time

    time.sleep(1.2)  # the folder is looked at once a second
    assert "safetensors" in complaint("hollow")
    assert "NoSuchClass" in complaint("typed")
    assert "bnb_3bit" in complaint("bits")
    assert "CUDA device" in complaint("cuda")
    assert "are not there" in complaint("gone")
    assert "'parallel'" in complaint("odd")

"""Ollama's API from end to end: the official client against real models."""

from __future__ import annotations

from collections.abc import Iterator

import ollama
import pytest

from tests.bert_maker import SIZE, make_bert
from tests.gguf_maker import HERMES, make_scripted
from tests.live import LiveServer, wait_until

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
CALL = ["<tool_call>\n", '{"name": "', "get_weather", '", "arguments": {"', 'city": "', "Rome"]
CALL += ['"}}\n', "</tool_call>"]
FIXED = "name: fixed\ncontext_size: 512\nparameters: {model: held.gguf}\n"
ASK = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("ollama") / "models"
    folder.mkdir()
    make_scripted(folder / "talker.gguf", ["One", " two", " three"])
    make_scripted(folder / "caller.gguf", CALL, template=HERMES)
    make_bert(folder / "embedder.gguf")
    for name in ("roomy", "held"):
        make_scripted(folder / f"{name}.gguf", ["Yes"], context_length=20_000)
    (folder / "fixed.yaml").write_text(FIXED)
    with LiveServer(folder) as running:
        yield running


@pytest.fixture
def client(server: LiveServer) -> Iterator[ollama.Client]:
    with server.ollama() as made:
        yield made


@pytest.mark.covers("Names with `:latest`", "ollama-api")
def test_a_conversation_streams_and_adds_up(client: ollama.Client) -> None:
    chunks = list(client.chat("talker:latest", ASK, stream=True))
    assert "".join(chunk.message.content or "" for chunk in chunks) == "One two three"
    last = chunks[-1]
    assert (last.done, last.done_reason, last.eval_count) == (True, "stop", 4)
    assert last.prompt_eval_count
    assert last.total_duration
    whole = client.chat("talker", ASK)
    assert whole.message.content == "One two three"
    assert whole.eval_count == 4


@pytest.mark.covers("`options`", "ollama-api")
def test_options_and_limits_count(client: ollama.Client) -> None:
    short = client.chat("talker", ASK, options={"num_predict": 1})
    assert (short.message.content, short.done_reason) == ("One", "length")
    cut = client.chat("talker", ASK, options={"stop": ["thr"]})
    assert cut.message.content == "One two "


@pytest.mark.covers("`/api/generate`, also `raw`", "ollama-api")
def test_a_prompt_is_continued(client: ollama.Client) -> None:
    answer = client.generate("talker", "hello")
    assert (answer.response, answer.done_reason) == ("One two three", "stop")
    raw = client.generate("talker", "hello\n", raw=True)
    assert raw.response == "One two three"
    assert raw.prompt_eval_count
    assert answer.prompt_eval_count
    assert raw.prompt_eval_count < answer.prompt_eval_count


@pytest.mark.parametrize("streams", [False, True])
def test_a_tool_loop(client: ollama.Client, *, streams: bool) -> None:
    if streams:
        chunks = list(client.chat("caller", ASK, tools=[WEATHER], stream=True))
        calls = [call for chunk in chunks for call in chunk.message.tool_calls or ()]
    else:
        calls = list(client.chat("caller", ASK, tools=[WEATHER]).message.tool_calls or ())
    (call,) = calls
    assert (call.function.name, dict(call.function.arguments)) == ("get_weather", {"city": "Rome"})
    history = [
        *ASK,
        {"role": "assistant", "content": "", "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_name": "get_weather", "content": "sunny"},
    ]
    assert client.chat("talker", history, tools=[WEATHER]).message.content == "One two three"


def test_an_answer_obeys_a_schema(client: ollama.Client) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"]}
    answer = client.chat("talker", ASK, format=schema)
    assert "".join((answer.message.content or "").split()) == '{"a":"x"}'


@pytest.mark.covers("`/api/tags`, `/api/show`, `/api/ps`, `/api/version`", "ollama-api")
@pytest.mark.covers("`keep_alive`", "ollama-api")
def test_models_are_listed_shown_loaded_and_unloaded(
    client: ollama.Client, server: LiveServer
) -> None:
    names = {(model.model or "").removesuffix(":latest") for model in client.list().models}
    assert names == {"talker", "caller", "embedder", "roomy", "fixed"}
    shown = client.show("talker:latest")
    assert shown.details is not None
    assert (shown.details.family, shown.details.format) == ("llama", "gguf")
    assert "completion" in (shown.capabilities or ())
    assert client.show("embedder").capabilities == ["embedding"]
    loaded = client.generate("talker", keep_alive="10m")
    assert loaded.done_reason == "load"
    (running,) = [model for model in client.ps().models if model.name == "talker:latest"]
    assert running.expires_at is not None
    client.generate("talker", keep_alive=0)
    wait_until(
        lambda: all(model.name != "talker:latest" for model in client.ps().models), "unloading"
    )
    assert server.get("/api/version").json["version"]
    assert server.get("/").body == b"Ollama is running"


def test_a_model_leaves_after_its_time(client: ollama.Client) -> None:
    client.chat("caller", ASK, keep_alive="1s")
    assert any(model.name == "caller:latest" for model in client.ps().models)
    wait_until(
        lambda: all(model.name != "caller:latest" for model in client.ps().models), "unloading"
    )


def _context(client: ollama.Client, model: str) -> int:
    (found,) = [running for running in client.ps().models if running.name == f"{model}:latest"]
    return found.context_length or 0


@pytest.mark.covers("`num_ctx`", "ollama-api")
def test_a_call_gets_the_context_it_asks_for(client: ollama.Client, server: LiveServer) -> None:
    client.chat("roomy", ASK, options={"num_ctx": 100})
    assert _context(client, "roomy") == 8192
    assert client.chat("roomy", ASK, options={"num_ctx": 12_000}).message.content == "Yes"
    grown = _context(client, "roomy")
    assert 12_000 <= grown < 12_300  # llama.cpp rounds it up
    for options in ({}, {"num_ctx": 4096}, {"num_ctx": 12_000}):
        client.chat("roomy", ASK, options=options)
    assert _context(client, "roomy") == grown
    assert len(server.workers("roomy")) == 2
    long = client.generate("roomy", "a" * 9000 + "\n", raw=True)
    assert long.prompt_eval_count is not None
    assert long.prompt_eval_count > 9000
    client.generate("roomy", options={"num_ctx": 500_000})  # an empty prompt only loads
    assert 20_000 <= _context(client, "roomy") < 20_300
    assert "asks for 500000 tokens of context; it gets 20000" in server.log
    client.generate("roomy", keep_alive=0)
    wait_until(
        lambda: all(model.name != "roomy:latest" for model in client.ps().models), "unloading"
    )
    client.chat("roomy", ASK)
    assert _context(client, "roomy") == 8192


def test_nobody_gets_more_context_than_the_file_says(
    client: ollama.Client, server: LiveServer
) -> None:
    for _ in range(2):
        client.chat("fixed", ASK, options={"num_ctx": 4096})
    assert _context(client, "fixed") == 512
    assert len(server.workers("fixed")) == 1
    assert server.log.count("Its file sets `context_size`") == 1


@pytest.mark.covers("`/api/embed` and `/api/embeddings`", "ollama-api")
def test_vectors(client: ollama.Client, server: LiveServer) -> None:
    answer = client.embed("embedder", ["the cat", "paris"])
    assert [len(vector) for vector in answer.embeddings] == [SIZE, SIZE]
    assert answer.prompt_eval_count
    older = client.embeddings("embedder", "the cat")
    assert list(older.embedding) == pytest.approx(list(answer.embeddings[0]), abs=1e-4)
    empty = server.post("/api/embed", {"model": "embedder", "input": ""})
    assert (empty.status, empty.json["embeddings"]) == (200, [])


def test_errors_are_ollamas(client: ollama.Client, server: LiveServer) -> None:
    with pytest.raises(ollama.ResponseError) as missing:
        client.chat("nobody", ASK)
    assert missing.value.status_code == 404
    assert "nobody" in missing.value.error
    wrong = server.post("/api/chat", {"model": "talker", "messages": 5})
    assert wrong.status == 400
    assert set(wrong.json) == {"error"}


def test_texts_that_are_too_long_are_cut_if_the_caller_wants(client: ollama.Client) -> None:
    long = "the cat " * 500
    cut = client.embed("embedder", [long, "paris"])
    assert cut.prompt_eval_count is not None
    assert 256 < cut.prompt_eval_count < 256 + 10
    alone = client.embed("embedder", "paris")
    assert list(cut.embeddings[1]) == pytest.approx(list(alone.embeddings[0]), abs=1e-4)
    other = client.embed("embedder", long + "paris", truncate=True)
    assert list(other.embeddings[0]) == pytest.approx(list(cut.embeddings[0]), abs=1e-4)
    assert len(client.embeddings("embedder", long).embedding) == SIZE
    with pytest.raises(ollama.ResponseError) as refused:
        client.embed("embedder", long, truncate=False)
    assert refused.value.status_code == 400
    assert "256" in refused.value.error

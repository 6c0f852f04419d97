"""Embeddings, ranking and tokens, from real models over HTTP."""

from __future__ import annotations

import base64
import math
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bert_maker import SIZE, make_bert
from tests.gguf_maker import make_tiny_llama
from tests.live import LiveServer

DOCUMENTS = ["the cat sat", "paris is the capital of france", "the dog"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("vectors") / "models"
    folder.mkdir()
    make_bert(folder / "embedder.gguf")
    make_bert(folder / "ranker.gguf", ranks=True)
    make_tiny_llama(folder / "talker.gguf")
    with LiveServer(folder) as running:
        yield running


def _length(vector: list[float]) -> float:
    return math.sqrt(sum(number * number for number in vector))


@pytest.mark.covers("`/v1/embeddings`: order, usage and indexes", "openai")
def test_vectors_come_in_order_with_their_usage(server: LiveServer) -> None:
    texts = ["the cat", "paris", "the cat"]
    with server.openai() as client:
        answer = client.embeddings.create(model="embedder", input=texts)
        alone = client.embeddings.create(model="embedder", input="paris")
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert all(len(item.embedding) == SIZE for item in answer.data)
    assert answer.data[0].embedding == pytest.approx(answer.data[2].embedding, abs=1e-4)
    assert answer.data[1].embedding == pytest.approx(alone.data[0].embedding, abs=1e-4)
    assert answer.data[0].embedding != pytest.approx(alone.data[0].embedding, abs=1e-2)
    assert _length(answer.data[0].embedding) == pytest.approx(1.0, abs=1e-3)
    tokens = len(server.post("/v1/tokenize", _tokens("embedder", "paris")).json["tokens"])
    assert alone.usage.prompt_tokens == alone.usage.total_tokens == tokens
    assert answer.usage.prompt_tokens > alone.usage.prompt_tokens


def _tokens(model: str, text: str) -> dict[str, Any]:
    return {"model": model, "content": text, "add_special": True}


@pytest.mark.covers("`/v1/embeddings`: floats and base64; texts, lists and tokens", "openai")
def test_base64_floats_and_token_inputs_agree(server: LiveServer) -> None:
    ids = server.post("/v1/tokenize", _tokens("embedder", "the cat")).json["tokens"]
    body = {"model": "embedder", "input": "the cat"}
    plain = server.post("/embeddings", body).json["data"][0]["embedding"]
    packed = server.post("/v1/embeddings", body | {"encoding_format": "base64"}).json
    assert array("f", base64.b64decode(packed["data"][0]["embedding"])).tolist() == plain
    for given in (ids, [ids]):
        data = server.post("/v1/engines/embedder/embeddings", {"input": given}).json["data"]
        assert len(data) == 1
        assert data[0]["embedding"] == pytest.approx(plain, abs=1e-4)


@pytest.mark.covers("`/v1/embeddings`: `dimensions`", "openai")
def test_dimensions_cut_and_scale(server: LiveServer) -> None:
    body = {"model": "embedder", "input": "the cat"}
    whole = server.post("/v1/embeddings", body).json["data"][0]["embedding"]
    short = server.post("/v1/embeddings", body | {"dimensions": 8}).json["data"][0]["embedding"]
    scale = _length(whole[:8])
    assert short == pytest.approx([number / scale for number in whole[:8]], abs=1e-5)
    error = server.post("/v1/embeddings", body | {"dimensions": SIZE + 1}).error
    assert error["param"] == "dimensions"
    assert str(SIZE) in error["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ""}, "input[0]"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": [[1, -1]]}, "input[0]"),
        ({}, "input"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
    ],
)
def test_wrong_inputs_are_named(server: LiveServer, body: dict[str, Any], param: str) -> None:
    reply = server.post("/v1/embeddings", {"model": "embedder"} | body)
    assert (reply.status, reply.error["param"]) == (400, param)


def test_a_text_over_the_limit_is_refused_with_both_numbers(server: LiveServer) -> None:
    reply = server.post("/v1/embeddings", {"model": "embedder", "input": "cat " * 1000})
    assert reply.status == 400
    assert "256" in reply.error["message"]


@pytest.mark.covers("`/v1/rerank`, as Jina has it, and `/v2/rerank`, as Cohere has it", "ranking")
def test_ranking_is_sorted_and_cut(server: LiveServer) -> None:
    body = {"model": "ranker", "query": "capital of france", "documents": DOCUMENTS}
    every = server.post("/v1/rerank", body).json
    scores = [row["relevance_score"] for row in every["results"]]
    assert scores == sorted(scores, reverse=True)
    assert {row["index"] for row in every["results"]} == {0, 1, 2}
    assert all(row["document"]["text"] == DOCUMENTS[row["index"]] for row in every["results"])
    assert every["usage"]["total_tokens"] == every["usage"]["prompt_tokens"] > 0
    best = server.post("/rerank", body | {"top_n": 1, "return_documents": False}).json
    assert best["results"] == [
        {
            "index": every["results"][0]["index"],
            "relevance_score": pytest.approx(scores[0], abs=1e-4),
        }
    ]
    cohere = server.post("/v2/rerank", body).json
    assert [row["index"] for row in cohere["results"]] == [row["index"] for row in every["results"]]
    assert "document" not in cohere["results"][0]


@pytest.mark.parametrize(
    ("changed", "param"), [({"top_n": 0}, "top_n"), ({"documents": []}, "documents")]
)
def test_wrong_rankings_are_named(server: LiveServer, changed: dict[str, Any], param: str) -> None:
    body = {"model": "ranker", "query": "q", "documents": DOCUMENTS} | changed
    reply = server.post("/v1/rerank", body)
    assert (reply.status, reply.error["param"]) == (400, param)


@pytest.mark.covers("`/v1/tokenize` and `/v1/detokenize`", "ranking")
def test_tokens_go_both_ways(server: LiveServer) -> None:
    ids = server.post("/v1/tokenize", {"model": "talker", "content": "Hello, wörld"}).json["tokens"]
    assert ids
    text = server.post("/v1/detokenize", {"model": "talker", "tokens": ids}).json["content"]
    assert text == "Hello, wörld"
    wrong = server.post("/v1/detokenize", {"model": "talker", "tokens": [-1]})
    assert (wrong.status, wrong.error["param"]) == (400, "tokens[0]")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/detokenize", {"model": "talker", "tokens": [5, 2**31 - 1]}, "tokens[1]"),
        ("/v1/completions", {"model": "talker", "prompt": [5, 999999]}, "prompt[1]"),
        (
            "/v1/completions",
            {"model": "talker", "prompt": [999999], "echo": True, "logprobs": 0},
            "prompt[0]",
        ),
        ("/v1/embeddings", {"model": "embedder", "input": [[5], [6, 999999]]}, "input[1][1]"),
    ],
)
def test_a_token_that_the_model_does_not_have(
    server: LiveServer, path: str, body: dict[str, Any], param: str
) -> None:
    reply = server.post(path, body)
    assert (reply.status, reply.error["param"]) == (400, param)
    assert "tokens" in reply.error["message"]


def test_a_model_that_is_not_for_it_says_so(server: LiveServer) -> None:
    for path, body in (
        ("/v1/embeddings", {"input": "a"}),
        ("/v1/rerank", {"query": "q", "documents": ["d"]}),
    ):
        reply = server.post(path, {"model": "talker"} | body)
        assert reply.status == 400
        assert "model file" in reply.error["message"]


@pytest.mark.parametrize("model", ["embedder", "ranker"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/completions", {"prompt": "Hi"}),
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/messages", {"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}),
        ("/api/chat", {"messages": [{"role": "user", "content": "Hi"}]}),
    ],
)
def test_a_model_that_writes_no_text_says_so(
    server: LiveServer, path: str, body: dict[str, Any], *, stream: bool, model: str
) -> None:
    reply = server.post(path, body | {"model": model, "stream": stream})
    assert reply.status == 400
    assert b"writes no text" in reply.body


def test_a_talker_embeds_when_its_file_says_so(tmp_path: Path) -> None:
    make_tiny_llama(tmp_path / "weights.gguf")
    (tmp_path / "both.yaml").write_text(
        "name: both\nembeddings: true\noptions: ['pooling:last']\nparameters: {model: weights.gguf}\n"
    )
    with LiveServer(tmp_path) as running:
        vector = running.post("/v1/embeddings", {"model": "both", "input": "hi"}).json
        assert _length(vector["data"][0]["embedding"]) == pytest.approx(1.0, abs=1e-3)
        assert running.say("both", "hi", max_tokens=2).status == 200

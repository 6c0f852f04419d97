"""Vectors and ranks of a real model over HTTP: what they mean, together and one by one."""

from __future__ import annotations

import base64
import itertools
import math
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from localai.engines.manifest import Manifest
from tests.bert_maker import make_bert_folder
from tests.engines.installed import FOLDER, MINILM, skip_without, skip_without_minilm
from tests.live import PATIENCE_S, LiveServer, write_models

pytestmark = pytest.mark.timeout(10 * PATIENCE_S)  # the engine may take a minute to be imported

# Each line is about one thing.
TOPICS = (
    ("A cat sits on the mat.", "A feline rests on a rug."),
    ("The stock market fell today.", "Share prices dropped this afternoon."),
    ("How do I bake bread?", "A recipe for a loaf with flour and yeast."),
    ("The football team won the match.", "Our side scored twice and beat the visitors."),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    skip_without(Manifest().find("sentencetransformers"))
    skip_without_minilm()
    folder = write_models(
        tmp_path_factory.mktemp("sentences") / "models",
        {
            "minilm.yaml": "name: minilm\nbackend: huggingface-embeddings\n"
            "embeddings: true\nparameters: {model: minilm}\n",
            "ranker.yaml": "name: ranker\nbackend: sentencetransformers\n"
            "parameters: {model: ranker}\n",
            "empty.yaml": "name: empty\nbackend: bert-embeddings\nparameters: {model: nowhere}\n",
        },
    )
    (folder / "minilm").symlink_to(MINILM)
    make_bert_folder(folder / "ranker", ranks=True)
    with LiveServer(folder, "--backends-path", str(FOLDER)) as running:
        yield running


def embed(server: LiveServer, given: Any, **fields: Any) -> list[list[float]]:
    reply = server.post("/v1/embeddings", {"model": "minilm", "input": given, **fields})
    assert reply.status == 200, reply.body
    return [row["embedding"] for row in reply.json["data"]]


def near(one: list[float], other: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def test_what_means_the_same_is_nearest(server: LiveServer) -> None:
    asked = embed(server, [first for first, _ in TOPICS])
    told = embed(server, [second for _, second in TOPICS])
    for topic, vector in enumerate(asked):
        distances = [near(vector, other) for other in told]
        assert distances.index(max(distances)) == topic
        assert max(distances) > sorted(distances)[-2] + 0.2


def test_the_official_client_reads_floats_and_base64(server: LiveServer) -> None:
    texts = [text for pair in TOPICS for text in pair]
    with server.openai() as client:
        packed = client.embeddings.create(model="minilm", input=texts)  # base64, unasked
        plain = client.embeddings.create(model="minilm", input=texts, encoding_format="float")
        short = client.embeddings.create(model="minilm", input=texts[0], dimensions=64)
    assert [row.index for row in plain.data] == list(range(len(texts)))
    for one, other in zip(packed.data, plain.data, strict=True):
        assert len(one.embedding) == 384
        assert math.dist(one.embedding, other.embedding) < 1e-6
    assert plain.usage.prompt_tokens == packed.usage.prompt_tokens > 4 * len(texts)
    cut = plain.data[0].embedding[:64]
    length = math.hypot(*cut)
    assert math.dist(short.data[0].embedding, [number / length for number in cut]) < 1e-5
    reply = server.post(
        "/v1/embeddings", {"model": "minilm", "input": texts[0], "encoding_format": "base64"}
    )
    data = array("f", base64.b64decode(reply.json["data"][0]["embedding"]))
    assert math.dist(data, plain.data[0].embedding) < 1e-5


def test_many_clients_at_once_get_their_own(server: LiveServer) -> None:
    texts = [f"{text} {number}" for number, (text, _) in zip(range(48), itertools.cycle(TOPICS))]
    expected = embed(server, texts)

    def ask(place: int) -> tuple[int, Any]:
        given = "long " * 5000 if place % 8 == 7 else texts[place]
        reply = server.post("/v1/embeddings", {"model": "minilm", "input": given})
        return reply.status, reply.json

    with ThreadPoolExecutor(len(texts)) as pool:
        answers = list(pool.map(ask, range(len(texts))))
    for place, (status, said) in enumerate(answers):
        if place % 8 == 7:  # one that cannot be embedded harms nobody else
            assert status == 400
            assert "256" in said["error"]["message"]
        else:
            assert math.dist(said["data"][0]["embedding"], expected[place]) < 1e-5


def test_what_is_too_long_is_cut_when_asked(server: LiveServer) -> None:
    long = "the cat sat on the mat " * 100
    body = {"model": "minilm", "input": ["a", long]}
    reply = server.post("/v1/embeddings", body)
    assert (reply.status, reply.error["param"]) == (400, "input[1]")
    cut = server.post("/v1/embeddings", body | {"truncate": True}).json
    assert cut["usage"]["prompt_tokens"] == 256 + 3
    ollama = server.post(
        "/api/embed", {"model": "minilm", "input": long}
    )  # cuts unless told not to
    assert math.dist(ollama.json["embeddings"][0], cut["data"][1]["embedding"]) < 1e-5
    refused = server.post("/api/embed", {"model": "minilm", "input": long, "truncate": False})
    assert refused.status == 400


def test_prompts_that_the_model_does_not_have(server: LiveServer) -> None:
    body = {"model": "minilm", "input": "a", "prompt_name": "poem"}
    reply = server.post("/v1/embeddings", body)
    assert (reply.status, reply.error["param"]) == (400, "prompt_name")


def test_ranking_by_a_cross_encoder(server: LiveServer) -> None:
    documents = ["paris is the capital", "the cat sat", "the dog", "france"]
    body = {"model": "ranker", "query": "capital of france", "documents": documents}
    every = server.post("/v1/rerank", body).json
    scores = [row["relevance_score"] for row in every["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    assert {row["index"] for row in every["results"]} == {0, 1, 2, 3}
    two = server.post("/v2/rerank", body | {"top_n": 2}).json
    assert [row["index"] for row in two["results"]] == [
        row["index"] for row in every["results"][:2]
    ]
    assert every["usage"]["total_tokens"] > 4 * len(documents)


def test_as_many_documents_as_there_may_be(server: LiveServer) -> None:
    body = {"model": "ranker", "query": "cat", "documents": ["the cat"] * 2048, "top_n": 1}
    assert len(server.post("/v1/rerank", body).json["results"]) == 1
    reply = server.post("/v1/rerank", body | {"documents": ["the cat"] * 10_000})
    assert (reply.status, reply.error["param"]) == (400, "documents")
    assert "10000" in reply.error["message"]
    assert "2048" in reply.error["message"]


def test_a_model_for_something_else_says_so(server: LiveServer) -> None:
    ranked = server.post("/v1/rerank", {"model": "minilm", "query": "a", "documents": ["b"]})
    assert ranked.status == 400
    assert "cross-encoder" in ranked.error["message"]
    assert server.post("/v1/embeddings", {"model": "ranker", "input": "a"}).status == 400
    talked = server.say("minilm", "Hello")
    assert talked.status == 400
    missing = server.post("/v1/embeddings", {"model": "empty", "input": "a"})
    assert missing.status == 500
    assert "not there" in missing.error["message"]

"""Cohere's own client, for ranking."""

from __future__ import annotations

import cohere
import pytest
from asked import LOCKED_URL, URL

RANKER = "ranker"
DOCUMENTS = ["the cat sat", "paris is the capital of france", "the dog"]
client = cohere.ClientV2(api_key="none", base_url=URL)


def test_documents_are_put_in_order() -> None:
    every = client.rerank(model=RANKER, query="capital of france", documents=DOCUMENTS)
    assert sorted(result.index for result in every.results) == [0, 1, 2]
    scores = [result.relevance_score for result in every.results]
    assert scores == sorted(scores, reverse=True)
    assert every.id
    assert every.meta is not None
    assert every.meta.api_version is not None
    best = client.rerank(model=RANKER, query="capital of france", documents=DOCUMENTS, top_n=1)
    assert [result.index for result in best.results] == [every.results[0].index]


def test_errors_are_its_own() -> None:
    with pytest.raises(cohere.BadRequestError) as wrong:
        client.rerank(model=RANKER, query="a", documents=[])
    assert "1 to 2048" in str(wrong.value.body)
    with pytest.raises(cohere.NotFoundError):
        client.rerank(model="nothing-like-it", query="a", documents=DOCUMENTS)
    stranger = cohere.ClientV2(api_key="wrong", base_url=LOCKED_URL)
    with pytest.raises(cohere.UnauthorizedError):
        stranger.rerank(model="echo", query="a", documents=DOCUMENTS)

"""LangChain: its four chat models that reach this server, its agents, its embeddings."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

import openai
import pytest
from asked import PICTURE, QUESTION, SAID, SAY, STARTER, URL, Station, Verdict
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import StructuredTool
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

TO_OPENAI: Any = {"base_url": f"{URL}/v1", "api_key": "none", "max_retries": 0}
KINDS: dict[str, Any] = {
    "openai": lambda model, **more: ChatOpenAI(model=model, **TO_OPENAI, **more),
    "responses": lambda model, **more: ChatOpenAI(
        model=model, use_responses_api=True, **TO_OPENAI, **more
    ),
    "anthropic": lambda model, **more: ChatAnthropic(
        model=model, base_url=URL, api_key="none", max_retries=0, **more
    ),
    "ollama": lambda model, **more: ChatOllama(model=model, base_url=URL, **more),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(kind: str) -> Any:
    return KINDS[kind](STARTER)


def weather(station: Station) -> StructuredTool:
    return StructuredTool.from_function(station.get_weather)


def test_an_answer(model: Any) -> None:
    answer = model.invoke(SAY)
    assert answer.text == SAID
    assert answer.usage_metadata["output_tokens"] > 0


def test_a_stream(model: Any) -> None:
    chunks = list(model.stream(SAY))
    assert len(chunks) > 1
    assert "".join(chunk.text for chunk in chunks) == SAID


def test_several_at_once(model: Any) -> None:
    assert [answer.text for answer in model.batch([SAY] * 4)] == [SAID] * 4


def test_an_agent(model: Any) -> None:
    station = Station()
    agent = create_agent(model, [weather(station)])
    asked: Any = {"messages": [("user", QUESTION)]}
    assert "sunny" in agent.invoke(asked)["messages"][-1].text
    streamed = [chunk for chunk, _ in agent.stream(asked, stream_mode="messages")]
    said = [chunk.text for chunk in streamed if chunk.type == "AIMessageChunk"]
    assert "sunny" in "".join(said)
    assert station.asked == ["Rome", "Rome"]


def test_an_agent_with_a_typed_answer(model: Any) -> None:
    station = Station()
    agent = create_agent(model, [weather(station)], response_format=ProviderStrategy(Verdict))
    asked: Any = {"messages": [("user", QUESTION)]}
    assert isinstance(agent.invoke(asked)["structured_response"], Verdict)
    assert station.asked == ["Rome"]


def test_a_typed_answer(model: Any, kind: str) -> None:
    methods = ["json_schema"] if kind == "ollama" else ["json_schema", "function_calling"]
    for method in methods:
        typed = model.with_structured_output(Verdict, method=method)
        assert isinstance(typed.invoke(SAY), Verdict)
        assert isinstance(list(typed.stream(SAY))[-1], Verdict)


def test_thoughts(kind: str) -> None:
    """LangChain leaves out the thoughts of OpenAI's chat completions, as OpenAI does."""
    more: dict[str, Any] = {
        "openai": {},
        "responses": {"reasoning": {"summary": "auto"}},
        "anthropic": {},
        "ollama": {"reasoning": True},
    }[kind]
    thinker = KINDS[kind]("thinker", **more)
    for answer in (thinker.invoke(SAY), reduce(operator.add, thinker.stream(SAY))):
        thoughts = [block for block in answer.content_blocks if block["type"] == "reasoning"]
        said = "".join(block["reasoning"] for block in thoughts)
        assert said == ("" if kind == "openai" else "Hmm.")
        assert answer.text == "All done"


def test_a_picture(kind: str) -> None:
    limit = "num_predict" if kind == "ollama" else "max_tokens"
    seer = KINDS[kind]("seer", **{limit: 2})

    def tokens(*parts: Any) -> int:
        content = [{"type": "text", "text": SAY}, *parts]
        usage: Any = seer.invoke([{"role": "user", "content": content}]).usage_metadata
        return int(usage["input_tokens"])

    assert tokens({"type": "image", "base64": PICTURE, "mime_type": "image/png"}) > tokens()


def test_errors(kind: str) -> None:
    with pytest.raises(Exception, match="nobody") as caught:
        KINDS[kind]("nobody").invoke(SAY)
    assert caught.value.status_code == 404  # type: ignore[attr-defined]
    if kind == "openai":
        assert isinstance(caught.value, openai.NotFoundError)


def test_embeddings() -> None:
    """By itself it sends OpenAI's token ids, which mean nothing to another model."""
    texts = ["the cat", "the dog"]
    by_openai = OpenAIEmbeddings(model="embedder", check_embedding_ctx_length=False, **TO_OPENAI)
    by_ollama = OllamaEmbeddings(model="embedder", base_url=URL)
    for embeddings in (by_openai, by_ollama):
        assert [len(vector) for vector in embeddings.embed_documents(texts)] == [64, 64]
        assert len(embeddings.embed_query(texts[0])) == 64

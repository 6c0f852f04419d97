"""LlamaIndex: a model of OpenAI's kind, its agents, its embeddings."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import openai
import pytest
from asked import PICTURE, QUESTION, SAID, SAY, STARTER, URL, Station, Verdict
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

TO_SERVER: Any = {"api_base": f"{URL}/v1", "api_key": "none", "max_retries": 0}
CHATS: Any = {"is_chat_model": True, "is_function_calling_model": True}
MESSAGES = [ChatMessage(role="user", content=SAY)]


def model(name: str = STARTER, **more: Any) -> OpenAILike:
    return OpenAILike(model=name, **TO_SERVER, **CHATS | more)


def embedder() -> OpenAILikeEmbedding:
    return OpenAILikeEmbedding(model_name="embedder", **TO_SERVER)


def test_an_answer() -> None:
    assert model().chat(MESSAGES).message.content == SAID
    assert model().complete(SAY).text == SAID


def test_a_stream() -> None:
    pieces = [chunk.delta or "" for chunk in model().stream_chat(MESSAGES)]
    assert len(pieces) > 1
    assert "".join(pieces) == SAID


def test_a_completion() -> None:
    teller = model(is_chat_model=False, max_tokens=8)
    assert teller.complete("Once upon a time").text
    assert "".join(chunk.delta or "" for chunk in teller.stream_complete("Once upon a time"))


@pytest.mark.parametrize("streams", [False, True])
def test_an_agent(*, streams: bool) -> None:
    station = Station()

    async def run() -> tuple[str, str]:
        agent = FunctionAgent(tools=[station.get_weather], llm=model(), streaming=streams)
        handler = agent.run(QUESTION)
        events = [event async for event in handler.stream_events()]
        streamed = "".join(event.delta for event in events if isinstance(event, AgentStream))
        return str(await handler), streamed

    said, streamed = asyncio.run(run())
    assert "sunny" in said
    assert ("sunny" in streamed) == streams
    assert station.asked == ["Rome"]


def test_an_agent_with_a_typed_answer() -> None:
    station = Station()

    async def run() -> Any:
        agent = FunctionAgent(tools=[station.get_weather], llm=model(), output_cls=Verdict)
        return (await agent.run(QUESTION)).get_pydantic_model(Verdict)

    assert isinstance(asyncio.run(run()), Verdict)
    assert station.asked == ["Rome"]


@pytest.mark.parametrize("by_schema", [False, True])
def test_a_typed_answer(*, by_schema: bool) -> None:
    typed = model(should_use_structured_outputs=by_schema).as_structured_llm(Verdict)
    assert isinstance(typed.complete(SAY).raw, Verdict)


def test_a_picture() -> None:
    seer = model("seer", max_tokens=2)

    def tokens(*blocks: Any) -> int:
        raw: Any = seer.chat([ChatMessage(role="user", blocks=[TextBlock(text=SAY), *blocks])]).raw
        return int(raw.usage.prompt_tokens)

    image = ImageBlock(image=base64.b64decode(PICTURE), image_mimetype="image/png")
    assert tokens(image) > tokens()


def test_an_index_finds_what_is_near() -> None:
    """The same text is the nearest there can be, for random weights too."""
    texts = ["the cat sat on the mat", "paris is the capital of france", "the dog"]
    documents = [Document(text=text) for text in texts]
    index = VectorStoreIndex.from_documents(documents, embed_model=embedder())
    for text in texts:
        (found, *_) = index.as_retriever(similarity_top_k=1).retrieve(text)
        assert found.text == text


def test_errors() -> None:
    with pytest.raises(openai.NotFoundError, match="nobody"):
        model("nobody").chat(MESSAGES)

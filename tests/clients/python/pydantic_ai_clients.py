"""Pydantic AI: its models that reach this server, agents with tools and typed answers."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from asked import PICTURE, QUESTION, SAID, SAY, STARTER, URL, Station, Verdict
from pydantic_ai import (
    Agent,
    BinaryContent,
    Embedder,
    ModelHTTPError,
    NativeOutput,
    UsageLimitExceeded,
    UsageLimits,
)
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.messages import ThinkingPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider


def openai_provider() -> OpenAIProvider:
    return OpenAIProvider(base_url=f"{URL}/v1", api_key="none")


KINDS: dict[str, Any] = {
    "chat": lambda name: OpenAIChatModel(name, provider=openai_provider()),
    "responses": lambda name: OpenAIResponsesModel(name, provider=openai_provider()),
    "anthropic": lambda name: AnthropicModel(
        name,
        provider=AnthropicProvider(base_url=URL, api_key="none"),
        # It knows by their names which of Anthropic's models take a schema.
        profile=ModelProfile(supports_json_schema_output=True),
    ),
    "ollama": lambda name: OllamaModel(name, provider=OllamaProvider(base_url=f"{URL}/v1")),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(kind: str) -> Any:
    return KINDS[kind](STARTER)


def test_an_answer(model: Any) -> None:
    answer = Agent(model).run_sync(SAY)
    assert answer.output == SAID
    assert answer.usage.output_tokens > 0


def test_a_stream(model: Any) -> None:
    async def run() -> list[str]:
        async with Agent(model).run_stream(SAY) as answer:
            return [piece async for piece in answer.stream_text(delta=True, debounce_by=None)]

    pieces = asyncio.run(run())
    assert len(pieces) > 1
    assert "".join(pieces) == SAID


def test_an_agent(model: Any) -> None:
    station = Station()
    agent: Any = Agent(model, tools=[station.get_weather])
    answer = agent.run_sync(QUESTION)
    assert "sunny" in answer.output

    async def run() -> str:
        async with agent.run_stream(QUESTION) as streamed:
            return str(await streamed.get_output())

    assert "sunny" in asyncio.run(run())
    assert station.asked == ["Rome", "Rome"]
    assert Agent(model).run_sync(SAY, message_history=answer.all_messages()).output == SAID


@pytest.mark.parametrize("kind", ["responses", "anthropic"])
def test_a_limit_is_checked_before_the_request(kind: str) -> None:
    limits = UsageLimits(input_tokens_limit=3, count_tokens_before_request=True)
    with pytest.raises(UsageLimitExceeded):
        Agent(KINDS[kind](STARTER)).run_sync(SAY, usage_limits=limits)


def test_a_typed_answer(model: Any) -> None:
    agent = Agent(model, output_type=Verdict)
    assert isinstance(agent.run_sync(SAY).output, Verdict)

    async def run() -> list[Verdict]:
        async with agent.run_stream(SAY) as answer:
            return [one async for one in answer.stream_output()]

    assert isinstance(asyncio.run(run())[-1], Verdict)


def test_an_agent_with_a_typed_answer(model: Any) -> None:
    station = Station()
    agent: Any = Agent(model, tools=[station.get_weather], output_type=NativeOutput(Verdict))
    assert isinstance(agent.run_sync(QUESTION).output, Verdict)
    assert station.asked == ["Rome"]


def test_thoughts(kind: str) -> None:
    settings: Any = {"openai_reasoning_summary": "auto"} if kind == "responses" else {}
    answer = Agent(KINDS[kind]("thinker"), model_settings=settings).run_sync(SAY)
    thought, _ = answer.new_messages()[-1].parts
    assert isinstance(thought, ThinkingPart)
    assert (thought.content, answer.output) == ("Hmm.", "All done")


def test_a_picture(kind: str) -> None:
    agent = Agent(KINDS[kind]("seer"), model_settings={"max_tokens": 32})
    image = BinaryContent(base64.b64decode(PICTURE), media_type="image/png")
    assert agent.run_sync([SAY, image]).usage.input_tokens > agent.run_sync(SAY).usage.input_tokens


def test_errors(kind: str) -> None:
    with pytest.raises(ModelHTTPError, match="nobody") as caught:
        Agent(KINDS[kind]("nobody")).run_sync(SAY)
    assert caught.value.status_code == 404


def test_embeddings() -> None:
    embedder = Embedder(OpenAIEmbeddingModel("embedder", provider=openai_provider()))
    found = embedder.embed_documents_sync(["the cat", "the dog"])
    assert [len(vector) for vector in found.embeddings] == [64, 64]

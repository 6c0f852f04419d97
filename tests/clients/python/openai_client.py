"""OpenAI's own client, which checks every field of what it gets."""

from __future__ import annotations

import json
import threading
from typing import Any

import openai
import pytest
from asked import LOCKED_URL, PICTURE, QUESTION, SAID, SAY, STARTER, URL, Station, Verdict

client = openai.OpenAI(
    base_url=f"{URL}/v1", api_key="none", max_retries=0, _strict_response_validation=True
)
MESSAGES: Any = [{"role": "user", "content": SAY}]
ASK: Any = {"model": STARTER, "messages": MESSAGES}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "parameters": PARAMETERS,
}
DATA_URI = f"data:image/png;base64,{PICTURE}"


def test_chat() -> None:
    answer = client.chat.completions.create(**ASK, logprobs=True, top_logprobs=2)
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == (SAID, "stop")
    assert choice.logprobs is not None
    assert "".join(one.token for one in choice.logprobs.content or ()) == SAID


def test_chat_streams() -> None:
    stream = client.chat.completions.create(
        **ASK, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = stream
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID
    assert last.usage is not None
    assert last.usage.completion_tokens > 0


@pytest.mark.parametrize("streams", [False, True])
def test_a_tool_loop(streams: Any) -> None:
    station = Station()
    messages: Any = [{"role": "user", "content": QUESTION}]
    asked: Any = {"model": STARTER, "tools": [{"type": "function", "function": FUNCTION}]}

    def turn() -> Any:
        if not streams:
            return client.chat.completions.create(**asked, messages=messages).choices[0].message
        with client.chat.completions.stream(**asked, messages=messages) as stream:
            return stream.get_final_completion().choices[0].message

    said = turn()
    (call,) = said.tool_calls
    content = station.get_weather(**json.loads(call.function.arguments))
    messages += [said, {"role": "tool", "tool_call_id": call.id, "content": content}]
    assert "sunny" in turn().content
    assert station.asked == ["Rome"]


def test_a_schema() -> None:
    answer = client.chat.completions.parse(**ASK, response_format=Verdict)
    assert isinstance(answer.choices[0].message.parsed, Verdict)


def test_thoughts() -> None:
    message = client.chat.completions.create(**ASK | {"model": "thinker"}).choices[0].message
    assert (message.content, message.reasoning_content) == ("All done", "Hmm.")  # type: ignore[attr-defined]


def test_a_picture() -> None:
    def tokens(*parts: Any) -> int:
        content = [{"type": "text", "text": SAY}, *parts]
        asked: Any = {"messages": [{"role": "user", "content": content}], "max_tokens": 2}
        usage = client.chat.completions.create(model="seer", **asked).usage
        assert usage is not None
        return usage.prompt_tokens

    assert tokens({"type": "image_url", "image_url": {"url": DATA_URI}}) > tokens()


def test_responses_go_on() -> None:
    first = client.responses.create(model=STARTER, input=SAY)
    counted = client.responses.input_tokens.count(model=STARTER, input=SAY)
    assert counted.input_tokens == first.usage.input_tokens  # type: ignore[union-attr]
    assert (first.output_text, first.status) == (SAID, "completed")
    then = client.responses.create(
        model=STARTER, input="What is 2 plus 3?", previous_response_id=first.id
    )
    assert "5" in then.output_text
    assert client.responses.retrieve(then.id).output_text == then.output_text
    assert [item.type for item in client.responses.input_items.list(then.id)] == ["message"]
    for response in (first, then):
        client.responses.delete(response.id)


@pytest.mark.parametrize("streams", [False, True])
def test_a_tool_loop_of_responses(streams: Any) -> None:
    station = Station()
    items: Any = [{"role": "user", "content": QUESTION}]
    asked: Any = {"model": STARTER, "tools": [{"type": "function", "strict": True} | FUNCTION]}

    def turn() -> Any:
        if not streams:
            return client.responses.create(**asked, input=items)
        with client.responses.stream(**asked, input=items) as stream:
            return stream.get_final_response()

    said = turn()
    (call,) = (item for item in said.output if item.type == "function_call")
    output = station.get_weather(**json.loads(call.arguments))
    result = {"type": "function_call_output", "call_id": call.call_id, "output": output}
    items += [*said.output, result]
    assert "sunny" in turn().output_text
    assert station.asked == ["Rome"]


def test_a_schema_of_responses() -> None:
    answer = client.responses.parse(model=STARTER, input=SAY, text_format=Verdict)
    assert isinstance(answer.output_parsed, Verdict)


def test_thoughts_of_responses() -> None:
    thought: Any = client.responses.create(model="thinker", input=SAY).output[0]
    assert ([part.text for part in thought.content], thought.summary) == (["Hmm."], [])
    asked: Any = {"model": "thinker", "input": SAY, "reasoning": {"summary": "auto"}}
    with client.responses.stream(**asked) as stream:
        thought = stream.get_final_response().output[0]
    assert ([part.text for part in thought.summary], thought.content) == (["Hmm."], [])


def test_a_background_response() -> None:
    response = client.responses.create(model="endless", input=SAY, background=True)
    assert response.status in ("queued", "in_progress")
    assert client.responses.cancel(response.id).status == "cancelled"


def test_a_conversation() -> None:
    talk = client.conversations.create(items=[{"role": "user", "content": SAY}])
    client.responses.create(model=STARTER, input=SAY, conversation=talk.id)
    assert len(list(client.conversations.items.list(talk.id))) == 3
    assert client.conversations.delete(talk.id).deleted


def test_completions() -> None:
    answer = client.completions.create(model=STARTER, prompt="Once upon a time", max_tokens=4)
    assert answer.choices[0].text


def test_embeddings() -> None:
    # As base64, which is what the client asks for by itself, it does not pass its own check.
    texts = ["the cat", "the dog"]
    plain = client.embeddings.create(model="embedder", input=texts, encoding_format="float")
    lenient = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0)
    packed = lenient.embeddings.create(model="embedder", input=texts)
    for one, other in zip(plain.data, packed.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-5)


def test_models() -> None:
    assert STARTER in {model.id for model in client.models.list()}
    assert client.models.retrieve(STARTER).id == STARTER


def test_errors_are_its_own() -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(**ASK | {"model": "nobody"})
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(**ASK, temperature=9)
    assert bad.value.param == "temperature"
    locked = openai.OpenAI(base_url=f"{LOCKED_URL}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        locked.models.list()
    assert list(locked.with_options(api_key="right").models.list())


def test_leaving() -> None:
    asked = ASK | {"model": "endless", "stream": True}
    with client.chat.completions.create(**asked) as stream:
        assert next(iter(stream))
    impatient = client.with_options(timeout=0.3)
    with pytest.raises(openai.APITimeoutError):
        impatient.chat.completions.create(**ASK | {"model": "endless"})


def test_several_at_once() -> None:
    said: list[str | None] = []

    def ask() -> None:
        said.append(client.chat.completions.create(**ASK).choices[0].message.content)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [SAID] * 6

"""The generation endpoints of a live server, judged by OpenAI's own client."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conftest import StartServer
from tests.live import SENTENCE, SPOKEN, LiveServer

HI: Any = [{"role": "user", "content": "Say this is a test!"}]
NEWLINE = 10  # this token makes the scripted model begin its sentence
TURN_END = 258
LOWEST_LOGPROB = -1e4


def chat(server: LiveServer, model: str = "text", **fields: Any) -> Any:
    with server.openai() as client:
        return client.chat.completions.create(model=model, messages=HI, **fields)


def complete(server: LiveServer, prompt: Any, model: str = "text", **fields: Any) -> Any:
    with server.openai() as client:
        return client.completions.create(model=model, prompt=prompt, **fields)


def text_of(answer: Any) -> str:
    return str(answer.choices[0].message.content)


# ---- whole answers


def test_a_chat_is_answered(server: LiveServer) -> None:
    answer = chat(server)
    assert answer.object == "chat.completion"
    assert answer.model == "text"
    assert text_of(answer) == SENTENCE
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.role == "assistant"


def test_usage_counts_every_token(server: LiveServer) -> None:
    usage = chat(server).usage
    # A token is a byte, or one of three special ones: ChatML around one message.
    prompt = len("user\nSay this is a test!\n") + 2 + len("assistant\n") + 1
    assert usage.prompt_tokens == prompt
    assert usage.completion_tokens == len(SPOKEN) + 1  # and the end of the turn
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@pytest.mark.covers("`/v1/edits`", "openai")
def test_completions_and_edits_are_answered(server: LiveServer) -> None:
    done = complete(server, "Begin:\n")
    assert done.object == "text_completion"
    assert done.choices[0].text == SENTENCE
    assert done.usage.prompt_tokens == len("Begin:\n")
    edited = server.post("/v1/edits", {"model": "text", "instruction": "rephrase", "input": "Hi"})
    assert edited.status == 200
    assert edited.json["object"] == "edit"
    assert edited.json["choices"][0]["text"] == SENTENCE


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", {"messages": HI}),
        ("/completions", {"prompt": "Begin:\n"}),
        ("/edits", {"instruction": "rephrase", "input": "Hi"}),
    ],
)
@pytest.mark.parametrize("prefix", ["/v1", ""])
def test_every_path_exists_with_and_without_v1(
    server: LiveServer, prefix: str, path: str, body: dict[str, Any]
) -> None:
    reply = server.post(prefix + path, {"model": "text", **body})
    assert reply.status == 200
    assert SENTENCE in reply.body.decode()


def test_the_model_may_stand_in_the_path_or_the_query(server: LiveServer) -> None:
    for path in ("/v1/engines/text/completions", "/v1/completions?model=text"):
        reply = server.post(path, {"prompt": "Begin:\n"})
        assert (reply.status, reply.json["model"]) == (200, "text")


def test_max_tokens_ends_an_answer(server: LiveServer) -> None:
    for field in ("max_tokens", "max_completion_tokens"):
        answer = chat(server, **{field: 2})
        assert text_of(answer) == "".join(SPOKEN[:2])
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.completion_tokens == 2


def test_the_newer_name_of_max_tokens_wins(server: LiveServer) -> None:
    assert text_of(chat(server, max_tokens=1, max_completion_tokens=3)) == "".join(SPOKEN[:3])


@pytest.mark.parametrize("stop", [" two", [" two"], ["never said", " two"]])
def test_a_stop_text_ends_an_answer(server: LiveServer, stop: Any) -> None:
    for answer in (chat(server, stop=stop), chat(server, stop=stop, logprobs=True)):
        assert text_of(answer) == SENTENCE.partition(" two")[0]
        assert answer.choices[0].finish_reason == "stop"


def test_a_stop_text_may_begin_inside_a_token(server: LiveServer) -> None:
    assert text_of(chat(server, stop="cripted: o")) == "This is s"


@pytest.mark.covers("`stopwords`", "file")
def test_the_model_files_stop_words_are_added(server: LiveServer) -> None:
    assert text_of(chat(server, "stopping")) == SENTENCE.partition("three")[0]
    assert text_of(chat(server, "stopping", stop="scripted")) == "This is "


def test_every_choice_is_whole(server: LiveServer) -> None:
    for count in (2, 5):  # this model has two slots: five come in turns
        answer = chat(server, n=count)
        assert [choice.index for choice in answer.choices] == list(range(count))
        assert {choice.message.content for choice in answer.choices} == {SENTENCE}
        assert answer.usage.completion_tokens == count * (len(SPOKEN) + 1)


def test_choices_that_come_in_turns_begin_in_order(server: LiveServer) -> None:
    """An answer that is there at once, start and end together, goes before the next turn's."""
    body = {"model": "stopping", "messages": HI, "n": 2, "max_tokens": 1}  # a model of one slot
    for _ in range(60):
        reply = server.post("/v1/chat/completions", body)
        assert reply.status == 200, reply.body


def test_choices_of_a_seed_differ_from_each_other(server: LiveServer) -> None:
    answer = chat(server, "noise", n=3, seed=5, max_tokens=12, temperature=1)
    assert len({choice.message.content for choice in answer.choices}) == 3


def test_a_seed_makes_an_answer_repeatable(server: LiveServer) -> None:
    def say(seed: int) -> str:
        return text_of(chat(server, "noise", seed=seed, max_tokens=16, temperature=1))

    assert say(7) == say(7)
    assert say(7) != say(8)


def test_without_a_seed_answers_differ(
    models: Path, tmp_path: Path, start_server: StartServer
) -> None:
    shutil.copy(models / "weights" / "noise.gguf", tmp_path / "noise.gguf")
    server = start_server(tmp_path)
    said = {text_of(chat(server, "noise", max_tokens=16, temperature=2)) for _ in range(3)}
    assert len(said) > 1


@pytest.mark.parametrize(
    "fields", [{"temperature": 0}, {"temperature": 2, "extra_body": {"top_k": 1}}]
)
def test_the_likeliest_token_is_always_the_same(server: LiveServer, fields: Any) -> None:
    said = {text_of(chat(server, "noise", max_tokens=16, **fields)) for _ in range(3)}
    assert len(said) == 1


@pytest.mark.parametrize(
    "extra",
    [
        {"repeat_penalty": 30.0, "repeat_last_n": -1},
        {
            "dry_multiplier": 90.0,
            "dry_allowed_length": 0,
            "dry_penalty_last_n": -1,
            "repeat_last_n": -1,
        },
        {"mirostat": 2, "mirostat_tau": 50.0, "temperature": 2},
        {"xtc_probability": 1.0, "xtc_threshold": 0.0001, "temperature": 2},
        {"typical_p": 0.05, "temperature": 2, "top_k": 0},
        {"top_n_sigma": 0.01, "temperature": 2},
        {"min_p": 0.99, "temperature": 2},
        {"top_p": 0.01, "temperature": 2},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_a_sampling_field_changes_what_comes(server: LiveServer, extra: dict[str, Any]) -> None:
    plain = {"temperature": extra.get("temperature", 0), "seed": 3, "max_tokens": 24}
    if {"repeat_penalty", "dry_multiplier"} & extra.keys():
        plain["logit_bias"] = {"65": 12}  # these forbid repetition, so let the noise repeat itself
    usual = text_of(chat(server, "noise", **plain))
    assert text_of(chat(server, "noise", extra_body=extra, **plain)) != usual


def test_penalties_of_openai_lower_what_came_already(server: LiveServer) -> None:
    def say(lead: float, **fields: Any) -> str:
        rivals = {str(ord("A")): 60, str(ord("B")): 60 - lead}
        return text_of(
            chat(server, "noise", temperature=0, max_tokens=8, logit_bias=rivals, **fields)
        )

    assert say(3) == "A" * 8
    assert set(say(3, frequency_penalty=2)) == {"A", "B"}
    assert say(1.2) == "A" * 8
    assert set(say(1.2, presence_penalty=2)) == {"A", "B"}


def test_looking_back_further_than_the_context_costs_nothing(server: LiveServer) -> None:
    usual = chat(server, "noise", max_tokens=1)
    assert usual.usage.completion_tokens == 1
    before = server.metric("localai_worker_memory_bytes", model="noise")
    most = 2**31 - 1
    extra = {
        "repeat_last_n": most,
        "repeat_penalty": 1.5,
        "dry_penalty_last_n": most,
        "dry_multiplier": 2,
    }
    chat(server, "noise", max_tokens=4, extra_body=extra)
    assert server.metric("localai_worker_memory_bytes", model="noise") < before + 100e6


def test_a_bias_forces_and_forbids_a_token(server: LiveServer) -> None:
    forced = chat(server, logit_bias={str(ord("z")): 100}, max_tokens=4)
    assert text_of(forced) == "zzzz"
    first = 259  # the token of SPOKEN[0]
    assert not text_of(chat(server, logit_bias={str(first): -100}, max_tokens=4)).startswith(
        SPOKEN[0]
    )


def test_ignore_eos_goes_on_after_the_end(server: LiveServer) -> None:
    answer = chat(server, max_tokens=20, extra_body={"ignore_eos": True})
    assert answer.usage.completion_tokens == 20
    assert answer.choices[0].finish_reason == "length"
    assert text_of(answer).startswith(SENTENCE)


def test_an_answer_in_a_form_ends_with_it_also_when_the_end_is_ignored(server: LiveServer) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"const": "x"}}}
    answer = chat(server, response_format=form, max_tokens=20, extra_body={"ignore_eos": True})
    assert text_of(answer) == '"x"'
    assert answer.choices[0].finish_reason == "stop"


def test_a_prompt_beyond_the_context_is_refused(server: LiveServer) -> None:
    with server.openai() as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="text", messages=[{"role": "user", "content": "x" * 3000}]
        )
    assert caught.value.code == "context_length_exceeded"
    assert "2048" in caught.value.message


def test_an_answer_ends_when_the_context_is_full(server: LiveServer) -> None:
    answer = complete(server, "x" * 2000 + "\n", model="noise", extra_body={"ignore_eos": True})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.total_tokens <= 2048


# ---- log probabilities


def assert_sane(item: Any, top: int) -> None:
    assert LOWEST_LOGPROB < item.logprob <= 0
    tops = [other.logprob for other in item.top_logprobs]
    assert len(tops) == top
    assert tops == sorted(tops, reverse=True)
    assert bytes(item.bytes).decode(errors="replace") == item.token or not item.token.isascii()


def test_log_probabilities_of_a_chat(server: LiveServer) -> None:
    content = chat(server, logprobs=True, top_logprobs=3).choices[0].logprobs.content
    spoken = [item.token for item in content if item.token]
    assert "".join(spoken) == SENTENCE
    for item in content:
        assert_sane(item, 3)
        assert item.token == item.top_logprobs[0].token
        assert item.logprob == pytest.approx(item.top_logprobs[0].logprob, abs=1e-4)


def test_log_probabilities_without_alternatives(server: LiveServer) -> None:
    for item in chat(server, logprobs=True).choices[0].logprobs.content:
        assert_sane(item, 0)


def test_the_alternatives_hold_the_token_that_came_when_it_is_likely(server: LiveServer) -> None:
    answer = chat(server, "noise", logprobs=True, top_logprobs=20, temperature=0, max_tokens=8)
    for item in answer.choices[0].logprobs.content:
        assert_sane(item, 20)
        assert item.logprob == pytest.approx(item.top_logprobs[0].logprob, abs=1e-4)
        assert item.bytes[-1:] == item.top_logprobs[0].bytes[-1:]  # a split character comes whole


def test_log_probabilities_of_a_completion(server: LiveServer) -> None:
    choice = complete(server, "Begin:\n", logprobs=2).choices[0]
    found = choice.logprobs
    assert "".join(found.tokens) == choice.text == SENTENCE
    assert all(LOWEST_LOGPROB < value <= 0 for value in found.token_logprobs)
    assert [choice.text[at:].startswith(token) for at, token in zip(found.text_offset, found.tokens, strict=True)] == [
        True
    ] * len(found.tokens)  # fmt: skip
    for token, tops in zip(found.tokens, found.top_logprobs, strict=True):
        assert token in tops


def test_echo_with_log_probabilities_scores_the_prompt(server: LiveServer) -> None:
    choice = complete(server, "ab\n", echo=True, logprobs=1, max_tokens=2).choices[0]
    assert choice.text == "ab\n" + "".join(SPOKEN[:2])
    assert choice.logprobs.tokens == ["a", "b", "\n", *SPOKEN[:2]]
    assert choice.logprobs.text_offset == [0, 1, 2, 3, 3 + len(SPOKEN[0])]
    assert choice.logprobs.token_logprobs[0] is None
    assert all(value <= 0 for value in choice.logprobs.token_logprobs[1:])


def test_echo_without_an_answer_is_the_prompt(server: LiveServer) -> None:
    answer = complete(server, "ab", echo=True, max_tokens=0)
    assert answer.choices[0].text == "ab"
    assert answer.usage.completion_tokens == 0


# ---- prompts


def test_several_prompts_have_their_answers_in_order(server: LiveServer) -> None:
    prompts = ["one two", "three", "four five six"]
    answer = complete(server, prompts, model="team/echo", n=2, echo=False)
    assert [choice.index for choice in answer.choices] == list(range(6))
    assert [choice.text for choice in answer.choices] == [p for p in prompts for _ in range(2)]
    assert answer.usage.prompt_tokens == 6


def test_prompts_may_be_token_ids(server: LiveServer) -> None:
    assert complete(server, [66, NEWLINE]).choices[0].text == SENTENCE
    both = complete(server, [[66, NEWLINE], [67, 68, NEWLINE]], max_tokens=1)
    assert [choice.text for choice in both.choices] == [SPOKEN[0]] * 2
    assert both.usage.prompt_tokens == 5


def test_a_token_id_beyond_the_vocabulary_is_refused(server: LiveServer) -> None:
    with pytest.raises(openai.BadRequestError):
        complete(server, [66, 999_999])
    assert complete(server, [66, NEWLINE], max_tokens=1).choices[0].text == SPOKEN[0]


def test_a_suffix_needs_a_model_that_can_fill_gaps(server: LiveServer) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        complete(server, "a", suffix="b")
    assert "nfill" in caught.value.message or "suffix" in caught.value.message


def test_many_messages_and_roles(server: LiveServer) -> None:
    messages: Any = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "!"}],
        },
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]
    with server.openai() as client:
        answer = client.chat.completions.create(model="text", messages=messages)
    assert text_of(answer) == SENTENCE


# ---- streams


def test_a_stream_is_the_answer_in_pieces(server: LiveServer) -> None:
    with server.openai() as client:
        chunks: list[Any] = list(client.chat.completions.create(
            model="text", messages=HI, stream=True, stream_options={"include_usage": True}, n=2,
        ))  # fmt: skip
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    for same in ("id", "created", "system_fingerprint", "model"):
        assert len({getattr(chunk, same) for chunk in chunks}) == 1
    assert chunks[0].system_fingerprint
    said = {0: "", 1: ""}
    ended = {}
    for chunk in chunks[:-1]:
        assert chunk.usage is None
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                ended[choice.index] = choice.finish_reason
    assert said == {0: SENTENCE, 1: SENTENCE}
    assert ended == {0: "stop", 1: "stop"}
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 2 * (len(SPOKEN) + 1)


def test_a_stream_without_usage_says_nothing_of_it(server: LiveServer) -> None:
    with server.openai() as client:
        chunks: list[Any] = list(
            client.chat.completions.create(model="text", messages=HI, stream=True)
        )
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_a_streamed_completion_with_echo_and_several_prompts(server: LiveServer) -> None:
    with server.openai() as client:
        chunks: list[Any] = list(client.completions.create(
            model="text", prompt=["a\n", "b\n"], echo=True, stream=True, max_tokens=2,
        ))  # fmt: skip
    said = {0: "", 1: ""}
    for chunk in chunks:
        for choice in chunk.choices:
            said[choice.index] += choice.text
    assert said == {0: "a\n" + "".join(SPOKEN[:2]), 1: "b\n" + "".join(SPOKEN[:2])}


def test_the_bytes_of_a_stream(server: LiveServer) -> None:
    reply = server.say("text", "Hi", stream=True)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = reply.body.decode().removesuffix("\n\n").split("\n\n")
    assert events[-1] == "data: [DONE]"
    parsed = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert parsed[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    said = [chunk["choices"][0]["delta"].get("content") or "" for chunk in parsed]
    assert "".join(said) == SENTENCE
    assert sum(bool(piece) for piece in said) > 1


def test_an_error_before_the_first_token_has_its_status(server: LiveServer) -> None:
    reply = server.say("text", "x" * 3000, stream=True)
    assert reply.status == 400
    assert reply.error["code"] == "context_length_exceeded"


def test_the_asynchronous_client(server: LiveServer) -> None:
    async def both() -> tuple[str, str]:
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="none", max_retries=0
        ) as client:
            whole, stream = await asyncio.gather(
                client.chat.completions.create(model="text", messages=HI),
                client.chat.completions.create(model="text", messages=HI, stream=True),
            )
            said = [chunk.choices[0].delta.content or "" async for chunk in stream]
            return whole.choices[0].message.content or "", "".join(said)

    assert asyncio.run(both()) == (SENTENCE, SENTENCE)


def test_a_correlation_id_is_taken_over(server: LiveServer) -> None:
    for stream in (True, False):
        reply = server.post(
            "/v1/chat/completions",
            {"model": "text", "messages": HI, "stream": stream},
            {"X-Correlation-ID": "abc-1"},
        )
        assert reply.headers["x-correlation-id"] == "abc-1"
        assert b"chatcmpl-abc-1" in reply.body
    reply = server.post(
        "/v1/chat/completions", {"model": "text", "messages": HI}, {"X-Correlation-ID": "x" * 500}
    )
    assert reply.headers["x-correlation-id"] != "x" * 500


def test_timings_are_there_for_those_who_ask(server: LiveServer) -> None:
    body = {"model": "text", "messages": HI}
    usage = server.post("/v1/chat/completions", body, {"Extra-Usage": "1"}).json["usage"]
    assert usage["timing_prompt_processing"] >= 0
    assert usage["timing_token_generation"] > 0
    assert "timing_prompt_processing" not in server.post("/v1/chat/completions", body).json["usage"]


# ---- output formats


def test_a_grammar_and_a_schema_are_obeyed(server: LiveServer) -> None:
    said = chat(server, "noise", extra_body={"grammar": 'root ::= "yes" | "no"'})
    assert text_of(said) in {"yes", "no"}
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
    said = chat(server, "noise", response_format=wanted, max_tokens=200)
    assert set(json.loads(text_of(said))) == {"ok"}


def test_a_grammar_that_is_none_is_the_callers_mistake(server: LiveServer) -> None:
    with pytest.raises(openai.BadRequestError):
        chat(server, "noise", extra_body={"grammar": "root ::= ("})
    assert text_of(chat(server)) == SENTENCE


# ---- what clients send that is odd


def test_an_answer_may_be_sent_back_with_nothing_after_it(server: LiveServer) -> None:
    said = [{"role": "assistant", "content": text} for text in ("One.", "Two.")]
    for messages in ([*HI, said[0]], [*HI, *said]):
        reply = server.post("/v1/chat/completions", {"model": "text", "messages": messages})
        assert reply.status == 200, reply.body


# ---- who is meant


def test_an_alias_and_a_name_with_a_slash(server: LiveServer) -> None:
    for name in ("team/echo", "other-name"):
        reply = server.say(name, "so it is")
        assert reply.json["choices"][0]["message"]["content"] == "so it is"
        assert reply.json["model"] == name


def test_a_weights_file_is_known_by_its_names(server: LiveServer) -> None:
    for name in ("noise.gguf", "weights/noise.gguf", "weights/noise", "text.gguf"):
        assert server.say(name, "Hi", max_tokens=1).status == 200


def test_an_unknown_model_has_near_names(server: LiveServer) -> None:
    with server.openai() as client, pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="txet", messages=HI)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "'text'" in caught.value.message


def test_a_disabled_model_refuses(server: LiveServer) -> None:
    with server.openai() as client, pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(model="off", messages=HI)
    assert caught.value.type == "model_disabled"


def test_the_bearer_names_the_model_when_the_request_does_not(server: LiveServer) -> None:
    body = {"messages": [{"role": "user", "content": "just so"}]}
    reply = server.post("/v1/chat/completions", body, {"Authorization": "Bearer team/echo"})
    assert reply.json["model"] == "team/echo"
    assert reply.json["choices"][0]["message"]["content"] == "just so"
    reply = server.post(
        "/v1/chat/completions", {"model": "text", **body}, {"Authorization": "Bearer team/echo"}
    )
    assert reply.json["choices"][0]["message"]["content"] == SENTENCE

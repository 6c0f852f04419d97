"""Instructor: typed answers over three APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import anthropic
import instructor
import openai
import pytest
from asked import QUESTION, SAY, STARTER, URL, Verdict
from pydantic import BaseModel

MESSAGES: Any = [{"role": "user", "content": SAY}]
WHERE: Any = {"base_url": f"{URL}/v1", "api_key": "none", "max_retries": 0}


class Weather(BaseModel):
    """Get the weather of a city."""

    city: str


def client(mode: str = "TOOLS") -> instructor.Instructor:
    return instructor.from_openai(openai.OpenAI(**WHERE), mode=instructor.Mode[mode])


@pytest.mark.parametrize("mode", ["TOOLS", "TOOLS_STRICT", "JSON_SCHEMA", "RESPONSES_TOOLS"])
def test_a_typed_answer(mode: str) -> None:
    answer = client(mode).create(
        model=STARTER, messages=MESSAGES, response_model=Verdict, max_retries=0
    )
    assert isinstance(answer, Verdict)


def test_what_it_reads_is_what_was_said() -> None:
    messages: Any = [{"role": "user", "content": QUESTION}]
    made = client().create(model=STARTER, messages=messages, response_model=Weather)
    assert made.city == "Rome"
    several: Any = Iterable[Weather]
    found = client("PARALLEL_TOOLS").create(
        model=STARTER, messages=messages, response_model=several
    )
    assert [one.city for one in found] == ["Rome"]


@pytest.mark.parametrize("mode", ["TOOLS", "JSON_SCHEMA"])
def test_an_answer_that_grows(mode: str) -> None:
    *_, last = client(mode).create_partial(model=STARTER, messages=MESSAGES, response_model=Verdict)
    Verdict.model_validate(last.model_dump())


def test_asynchronously() -> None:
    async def run() -> Verdict:
        async with openai.AsyncOpenAI(**WHERE) as made:
            return await instructor.from_openai(made).create(
                model=STARTER, messages=MESSAGES, response_model=Verdict
            )

    assert isinstance(asyncio.run(run()), Verdict)


def test_over_anthropics_api() -> None:
    made = anthropic.Anthropic(base_url=URL, api_key="none", max_retries=0)
    answer = instructor.from_anthropic(made).create(
        model=STARTER, max_tokens=200, messages=MESSAGES, response_model=Verdict
    )
    assert isinstance(answer, Verdict)


def test_errors() -> None:
    with pytest.raises(Exception, match="nobody"):
        client().create(model="nobody", messages=MESSAGES, response_model=Verdict, max_retries=0)

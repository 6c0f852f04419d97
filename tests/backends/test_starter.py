"""The model that comes with the server takes the tools that clients make of their functions."""

from __future__ import annotations

import asyncio
import json
from importlib import resources
from typing import Any

import pytest

from localai.domain.generation import Chat, GenerationRequest, Sampling, ToolSpec
from localai.domain.parts import Message, Role, Text, ToolCall
from tests.worker.answers import answers

TEXT: dict[str, Any] = {"type": "string"}
OPTIONAL: dict[str, Any] = {"anyOf": [TEXT, {"type": "null"}], "default": None}
PARAMETERS: dict[str, dict[str, Any]] = {
    "no type": {"city": {"enum": ["Rome", "Oslo"]}},
    "several types": {"city": {"type": ["string", "null"]}},
    "anything": {"city": {}},
    "an optional one": {"city": TEXT, "unit": OPTIONAL},
    "names of methods": {"city": TEXT, "items": TEXT, "keys": TEXT, "get": TEXT},
}


def test_it_calls_tools_of_every_kind() -> None:
    pytest.importorskip("xllamacpp")
    asked = Message(role=Role.USER, parts=(Text(text="What is the weather in Rome?"),))
    requests = [
        GenerationRequest(
            model="",
            prompt=Chat(messages=(asked,)),
            sampling=Sampling(temperature=0.0),
            tools=(ToolSpec(name="get_weather", parameters=_schema(properties)),),
        )
        for properties in PARAMETERS.values()
    ]
    with resources.as_file(resources.files("localai") / "starter" / "starter.gguf") as model:
        made = asyncio.run(answers(model, *requests))
    for answer in made:
        (call,) = answer.choices[0].parts
        assert isinstance(call, ToolCall)
        assert json.loads(call.arguments) == {"city": "Rome"}


def _schema(properties: dict[str, Any]) -> str:
    return json.dumps({"type": "object", "properties": properties, "required": ["city"]})

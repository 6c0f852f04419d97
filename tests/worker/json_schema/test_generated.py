"""Answers under a schema's grammar, by a model that knows nothing, are valid by another's judgement."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localai.domain.errors import LocalAIError
from localai.domain.events import ChoiceEnded, Delta, Failed, FinishReason
from localai.domain.generation import Completion, GenerationRequest, JsonSchema, Sampling
from localai.engines.manifest import Manifest
from tests.backends.lone import Lone, loaded
from tests.gguf_maker import Shape, make_tiny_llama
from tests.worker.json_schema.schemas import schemas

pytest.importorskip("localai.backends.llama_cpp", reason="xllamacpp is not installed")
ENTRY = Manifest().find("llama-cpp")
# A token is a byte. Noise seldom ends anything of itself, and its bytes above 127 are no UTF-8.
BIASES = dict.fromkeys(b'"]}', 3.0) | dict.fromkeys(range(128, 256), -50.0)
LONG_ENOUGH = 1500  # tokens


class Generator:
    """A model with random weights in a worker, for tests that are no coroutines."""

    def __init__(self, runner: asyncio.Runner, lone: Lone) -> None:
        self._runner, self._lone = runner, lone

    def answer(self, schema: Any, seed: int) -> tuple[str, bool]:
        """An answer under `schema`, and whether it has come to its end."""
        request = GenerationRequest(
            model="m",
            prompt=Completion(text="JSON:"),
            output=JsonSchema(schema=json.dumps(schema)),
            sampling=Sampling(temperature=1.5, seed=seed, logit_bias=BIASES),
            max_tokens=LONG_ENOUGH,
        )
        events = self._runner.run(self._lone.events(request))
        for event in events:
            if isinstance(event, Failed):
                raise event.error
        (end,) = (event for event in events if isinstance(event, ChoiceEnded))
        text = "".join(event.text for event in events if isinstance(event, Delta))
        return text, end.reason is FinishReason.STOP


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generator]:
    folder = tmp_path_factory.mktemp("schemas")
    shape = Shape(layers=1, embedding=128, heads=2, kv_heads=1, feed_forward=128)
    path = make_tiny_llama(folder / "noise.gguf", shape=shape, context_length=2048)

    @contextlib.asynccontextmanager
    async def worker(path: Path) -> AsyncIterator[Lone]:
        settings = {"context_size": 2048, "threads": 1}
        async with loaded(ENTRY, path, options=("parallel:1",), **settings) as lone:
            yield lone

    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        lone = runner.run(stack.enter_async_context(worker(path)))
        yield Generator(runner, lone)
        runner.run(stack.aclose())


@settings(max_examples=80, deadline=None)
@given(schemas, st.integers(0, 2**31))
def test_whatever_is_generated_is_valid(generator: Generator, schema: Any, seed: int) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    text, is_whole = generator.answer(schema, seed)
    if not is_whole:
        return  # noise seldom ends a text; what came is a beginning by the same grammar
    answer = json.loads(text)
    jsonschema.Draft202012Validator(schema).validate(answer)


TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 3},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name", "next"],
        }
    },
}


@pytest.mark.parametrize(
    "schema",
    [
        TREE,
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": "\\d", "minLength": 4, "maxLength": 9},
        {"type": "string", "minLength": 700, "maxLength": 800},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 3, "maxItems": 3},
        {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 2},
        {"type": "object", "patternProperties": {"^x-[a-z]$": {"type": "null"}}, "maxProperties": 3},
        {"type": "object", "propertyNames": {"enum": ["u", "v"]}, "maxProperties": 2},
        {"type": "integer", "multipleOf": 7, "minimum": 0, "maximum": 700},
        {"type": "number", "minimum": -2, "exclusiveMaximum": 3, "multipleOf": 0.25},
        {"not": {"type": ["object", "array", "string", "number"]}},
        {"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}}, "minProperties": 1},
    ],
)  # fmt: skip
def test_what_llama_cpp_leaves_out_is_obeyed(generator: Generator, schema: Any) -> None:
    for seed in range(4):
        text, is_whole = generator.answer(schema, seed)
        if is_whole:
            jsonschema.Draft202012Validator(schema).validate(json.loads(text))


def test_a_schema_that_cannot_be_obeyed_is_an_error(generator: Generator) -> None:
    with pytest.raises(LocalAIError, match="/properties/a/uniqueItems"):
        generator.answer(
            {
                "properties": {
                    "a": {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
                }
            },
            0,
        )

"""POST /v1/embeddings: the endpoint."""

from __future__ import annotations

import base64
import math
from array import array
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from localai.dialects.contract import ErrorReply, Origin
from localai.dialects.fields import INT32_MAX, words
from localai.dialects.json_body import read_body
from localai.dialects.openai.errors import error_reply
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.tasks import Task
from localai.domain.vectors import Embeddings, EmbedRequest, Input

MOST_INPUTS = 2048
FORMATS = ("float", "base64")
_FLOAT_BYTES = 4

FEW = {"minItems": 1, "maxItems": MOST_INPUTS}
Some = Annotated[str, Meta(extra_json_schema={"minLength": 1})]
TokenId = Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": INT32_MAX})]
TokenIds = Annotated[list[TokenId], Meta(extra_json_schema={"minItems": 1})]


class EmbeddingsBody(msgspec.Struct, kw_only=True):
    """The body of an embeddings call."""

    input: Annotated[
        Some | Annotated[list[Some | TokenId | TokenIds], Meta(extra_json_schema=FEW)],
        Meta(description="A text, a list of texts, token ids, or a list of lists of token ids"),
    ]
    model: Annotated[str | None, Meta(description="Name of the model")] = None
    encoding_format: Annotated[
        Annotated[str, words(*FORMATS)] | None, Meta(description="float or base64")
    ] = None
    dimensions: Annotated[
        Annotated[int, Meta(extra_json_schema={"minimum": 1})] | None,
        Meta(description="Cut vectors to this length, for models trained for it"),
    ] = None
    prompt_name: Annotated[
        str | None,
        Meta(
            description="Put the model's own prompt of this name before each text: query, document"
        ),
    ] = None
    truncate: Annotated[
        bool | None, Meta(description="Cut texts that are too long, instead of refusing them")
    ] = None
    user: str | None = None


_decoder = msgspec.json.Decoder(EmbeddingsBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingsCall:
    """A decoded embeddings call."""

    model: str
    request: EmbedRequest
    as_base64: bool
    dimensions: int | None
    task: Task = Task.EMBED

    def encode(self, result: Embeddings, model: str) -> bytes:
        """Spell the vectors, numbered as the inputs were."""
        vectors = [_shortened(vector, self.dimensions) for vector in result.vectors]
        spell = _base64 if self.as_base64 else _floats
        return msgspec.json.encode(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": index, "embedding": spell(vector)}
                    for index, vector in enumerate(vectors)
                ],
                "model": model,
                "usage": {
                    "prompt_tokens": result.prompt_tokens,
                    "total_tokens": result.prompt_tokens,
                },
            }
        )


class EmbeddingsEndpoint:
    """Embeddings."""

    def decode(self, body: bytes, origin: Origin) -> EmbeddingsCall:  # noqa: ARG002 - nothing in it counts
        """Read a request body. Raises RequestError with `param`."""
        asked = read_body(_decoder, body)
        form = asked.encoding_format or "float"
        if form not in FORMATS:
            message = f"encoding_format is {form!r}; it must be float or base64."
            raise InvalidRequest(message, param="encoding_format")
        if asked.dimensions is not None and asked.dimensions < 1:
            message = f"dimensions is {asked.dimensions}; it must be at least 1."
            raise InvalidRequest(message, param="dimensions")
        return EmbeddingsCall(
            model=asked.model or "",
            request=EmbedRequest(
                inputs=_inputs(asked.input),
                prompt_name=asked.prompt_name or None,
                truncate=asked.truncate,
            ),
            as_base64=form == "base64",
            dimensions=asked.dimensions,
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        return error_reply(error)


def _inputs(given: str | list[Any]) -> tuple[Input, ...]:
    """One input per vector: a flat list of numbers is one text in tokens."""
    if isinstance(given, list) and given and all(isinstance(item, int) for item in given):
        given = [given]
    inputs = [given] if isinstance(given, str) else given
    if not 1 <= len(inputs) <= MOST_INPUTS:
        message = f"input has {len(inputs)} entries; it must have 1 to {MOST_INPUTS}."
        raise InvalidRequest(message, param="input")
    return tuple(_input(item, position) for position, item in enumerate(inputs))


def _input(item: str | int | list[int], position: int) -> Input:
    param = f"input[{position}]"
    if isinstance(item, int):
        message = f"{param} is a number among texts; send token ids as a list of their own."
        raise InvalidRequest(message, param=param)
    if not item:
        raise InvalidRequest(f"{param} is empty.", param=param)
    if isinstance(item, str):
        return item
    if min(item) < 0 or max(item) >= 2**31:
        message = f"{param} holds a number that is no token id."
        raise InvalidRequest(message, param=param)
    return tuple(item)


def _shortened(vector: bytes, dimensions: int | None) -> bytes:
    """The first `dimensions` numbers, scaled to length 1 again (arXiv:2205.13147)."""
    if dimensions is None or len(vector) == dimensions * _FLOAT_BYTES:
        return vector
    if dimensions * _FLOAT_BYTES > len(vector):
        has = len(vector) // _FLOAT_BYTES
        message = f"dimensions is {dimensions}; this model has {has}."
        raise InvalidRequest(message, param="dimensions")
    numbers = array("f", vector[: dimensions * _FLOAT_BYTES])
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return array("f", [number / length for number in numbers]).tobytes()


def _base64(vector: bytes) -> str:
    return base64.b64encode(vector).decode()


def _floats(vector: bytes) -> list[float]:
    return array("f", vector).tolist()

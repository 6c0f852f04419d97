"""POST /api/embed and its older form /api/embeddings: texts in, vectors out."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

import msgspec

from localai.dialects.contract import ErrorReply, Origin
from localai.dialects.fields import check_limits
from localai.dialects.json_body import read_body
from localai.dialects.ollama.durations import keep_alive_s
from localai.dialects.ollama.errors import error_reply
from localai.dialects.ollama.requests import EmbedBody
from localai.dialects.ollama.spelling import to_json
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.tasks import Task
from localai.domain.vectors import Embeddings, EmbedRequest

_decoder = msgspec.json.Decoder(EmbedBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedCall:
    """A decoded call of either form; `is_older` is /api/embeddings, which shows one vector.

    `is_load_only`: there is no text; load the model (unload it when `keep_alive_s` is 0), do not
    run the request, and answer with `loaded(model)`. `keep_alive_s` is as in GenerationCall.
    """

    model: str
    request: EmbedRequest
    dimensions: int | None = None
    keep_alive_s: float | None = None
    is_older: bool = False
    task: Task = Task.EMBED

    @property
    def is_load_only(self) -> bool:
        """Whether there is nothing to embed."""
        return not self.request.inputs

    def encode(self, result: Embeddings, model: str) -> bytes:
        """Spell the vectors, in the order of the texts."""
        vectors = [_numbers(vector, self.dimensions) for vector in result.vectors]
        if self.is_older:
            return to_json({"embedding": vectors[0] if vectors else []})
        tokens = result.prompt_tokens
        return to_json({"model": model, "embeddings": vectors, "prompt_eval_count": tokens})

    def loaded(self, model: str) -> bytes:
        """The response body of a call without a text."""
        return self.encode(Embeddings(vectors=(), prompt_tokens=0), model)


class EmbedEndpoint:
    """Embeddings; `is_older` answers in the form of /api/embeddings."""

    def __init__(self, *, is_older: bool = False) -> None:
        self._is_older = is_older

    def decode(self, body: bytes, origin: Origin) -> EmbedCall:  # noqa: ARG002 - nothing in it counts
        """Read a request body. Raises RequestError with `param`."""
        embed = read_body(_decoder, body)
        check_limits(embed)
        return EmbedCall(
            model=embed.model or "",
            request=EmbedRequest(inputs=_texts(embed), truncate=embed.truncate is not False),
            dimensions=embed.dimensions,
            keep_alive_s=keep_alive_s(embed.keep_alive),
            is_older=self._is_older,
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        return error_reply(error)


def _texts(embed: EmbedBody) -> tuple[str, ...]:
    param, asked = ("input", embed.input) if embed.input is not None else ("prompt", embed.prompt)
    if isinstance(asked, str):
        return (asked,) if asked else ()
    for i, text in enumerate(asked or ()):
        if not text:
            raise InvalidRequest(f"{param}[{i}] is empty.", param=f"{param}[{i}]")
    return tuple(asked or ())


def _numbers(vector: bytes, dimensions: int | None) -> list[float]:
    """The first `dimensions` numbers, scaled to length 1 again (arXiv:2205.13147 §3)."""
    numbers = array("f", vector).tolist()
    if dimensions is None or dimensions >= len(numbers):
        return numbers
    kept = numbers[:dimensions]
    length = math.sqrt(sum(number * number for number in kept)) or 1.0
    return [number / length for number in kept]

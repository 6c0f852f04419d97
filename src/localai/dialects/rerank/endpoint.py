"""Both endpoints: one body, two spellings of the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from localai.dialects.contract import ErrorReply, Origin
from localai.dialects.fields import limits
from localai.dialects.json_body import read_body
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.tasks import Task
from localai.domain.vectors import Ranking, RerankRequest

MOST_DOCUMENTS = 2048
FEW = {"minItems": 1, "maxItems": MOST_DOCUMENTS}


class Document(msgspec.Struct):
    """A document as an object."""

    text: str


class RerankBody(msgspec.Struct, kw_only=True):
    """The body of a rerank call."""

    query: Annotated[str, Meta(description="What the documents should answer")]
    documents: Annotated[
        list[str | Document],
        Meta(description="Texts, or objects with a text", extra_json_schema=FEW),
    ]
    model: Annotated[str | None, Meta(description="Name of the model")] = None
    top_n: Annotated[int | None, limits("How many results; all when absent", 1)] = None
    return_documents: Annotated[
        bool | None, Meta(description="Repeat the texts; the default is yes for Jina's form")
    ] = None


_decoder = msgspec.json.Decoder(RerankBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankCall:
    """A decoded rerank call."""

    model: str
    request: RerankRequest
    top_n: int
    returns_documents: bool
    answer_id: str
    is_cohere: bool
    task: Task = Task.RERANK

    def encode(self, result: Ranking, model: str) -> bytes:
        """Spell the results, the best first."""
        order = sorted(range(len(result.scores)), key=lambda index: -result.scores[index])
        results: list[dict[str, Any]] = []
        for index in order[: self.top_n]:
            row: dict[str, Any] = {"index": index, "relevance_score": result.scores[index]}
            if self.returns_documents:
                row["document"] = {"text": self.request.documents[index]}
            results.append(row)
        tokens = result.prompt_tokens
        if self.is_cohere:
            meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
            spelled = {"id": self.answer_id, "results": results, "meta": meta}
        else:
            usage = {"prompt_tokens": tokens, "total_tokens": tokens}
            spelled = {"model": model, "object": "list", "usage": usage, "results": results}
        return msgspec.json.encode(spelled)


class JinaRerank:
    """POST /v1/rerank."""

    is_cohere = False

    def __init__(self, spell_error: Callable[[LocalAIError], ErrorReply]) -> None:
        self._spell_error = spell_error

    def decode(self, body: bytes, origin: Origin) -> RerankCall:
        """Read a request body. Raises RequestError with `param`."""
        asked = read_body(_decoder, body)
        documents = [item if isinstance(item, str) else item.text for item in asked.documents]
        if not 1 <= len(documents) <= MOST_DOCUMENTS:
            message = f"documents has {len(documents)} entries; it must have 1 to {MOST_DOCUMENTS}."
            raise InvalidRequest(message, param="documents")
        if asked.top_n is not None and asked.top_n < 1:
            raise InvalidRequest(f"top_n is {asked.top_n}; it must be at least 1.", param="top_n")
        repeats = asked.return_documents
        return RerankCall(
            model=asked.model or "",
            request=RerankRequest(query=asked.query, documents=tuple(documents)),
            top_n=asked.top_n or len(documents),
            returns_documents=not self.is_cohere if repeats is None else repeats,
            answer_id=origin.answer_id,
            is_cohere=self.is_cohere,
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        return self._spell_error(error)


class CohereRerank(JinaRerank):
    """POST /v2/rerank."""

    is_cohere = True

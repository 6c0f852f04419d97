"""The answers, as the OpenAPI description shows them; tests hold what the encoders send against it.

A field that may be missing has the default UNSET.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType


class RankedDocument(msgspec.Struct, kw_only=True):
    """A document, repeated."""

    text: str


class RankedResult(msgspec.Struct, kw_only=True):
    """How well the document at `index` answers."""

    index: int
    relevance_score: Annotated[float, Meta(description="The higher, the better")]
    document: RankedDocument | UnsetType = UNSET


class Usage(msgspec.Struct, kw_only=True):
    """Token counts."""

    prompt_tokens: int
    total_tokens: int


class JinaRanking(msgspec.Struct, kw_only=True):
    """The documents, the best first."""

    model: str
    object: Literal["list"]
    usage: Usage
    results: list[RankedResult]


class ApiVersion(msgspec.Struct, kw_only=True):
    """The version of Cohere's API."""

    version: Literal["2"]


class BilledUnits(msgspec.Struct, kw_only=True):
    """What Cohere would bill."""

    search_units: int


class AboutCall(msgspec.Struct, kw_only=True):
    """About the call."""

    api_version: ApiVersion
    billed_units: BilledUnits


class CohereRanking(msgspec.Struct, kw_only=True):
    """The documents, the best first."""

    id: str
    results: list[RankedResult]
    meta: AboutCall

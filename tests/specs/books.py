"""The published descriptions as judges of our answers, one for each API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from anthropic.types import (
    DeletedFile,
    FileMetadata,
    Message,
    MessageTokensCount,
    ModelInfo,
    RawMessageStreamEvent,
)
from anthropic.types.shared import ErrorResponse
from pydantic import TypeAdapter

from tests.specs.extensions import EXTENSIONS, PING, page_of
from tests.specs.judge import REFERENCE, Judge

HERE = Path(__file__).parent
SPECS = ("openai", "openresponses", "anthropic", "ollama")


@cache
def schemas(spec: str) -> Mapping[str, Any]:
    """The schemas of an API, by name."""
    if spec == "anthropic":
        return _of_anthropics_client()
    found: dict[str, Any] = json.loads((HERE / f"{spec}.json").read_text())["components"]["schemas"]
    return found


@cache
def judge(spec: str) -> Judge:
    """The judge of an API, who knows what we add to it."""
    return Judge(schemas(spec), [one for one in EXTENSIONS if one.spec == spec])


def _of_anthropics_client() -> Mapping[str, Any]:
    """Anthropic publishes no description under a free license; the types of its client are one."""
    types: Mapping[str, Any] = {
        "Message": Message,
        "MessageStreamEvent": RawMessageStreamEvent,
        "MessageTokensCount": MessageTokensCount,
        "ModelInfo": ModelInfo,
        "FileMetadata": FileMetadata,
        "DeletedFile": DeletedFile,
        "ErrorResponse": ErrorResponse,
    }
    named, common = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(of)) for name, of in types.items()],
        ref_template=REFERENCE + "{model}",
    )
    found: dict[str, Any] = {
        "PingEvent": PING,
        "ModelPage": page_of("ModelInfo"),
        "FilePage": page_of("FileMetadata"),
        **common["$defs"],
    }
    return {name: named[name, "validation"] for name in types} | found

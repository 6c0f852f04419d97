"""Cuts a published API description down to the schemas of what this server sends.

It keeps the named schemas and those they refer to, without prose, and of every union the members
that are spoken here. To renew one, with the document of the commit that ORIGINS names:

    python -m tests.specs.reduce openai path/to/openapi.json
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.dialects.golden_files import pretty

HERE = Path(__file__).parent
PROSE = {"description", "title", "example", "examples", "default", "deprecated", "discriminator"}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a description comes from, and which of its schemas are the answers we send."""

    repository: str
    commit: str
    path: str
    license: str
    roots: tuple[str, ...]


ORIGINS: Mapping[str, Origin] = {
    "openai": Origin(
        repository="https://github.com/openai/openai-openapi",
        commit="f85dbe223d40e1a31cba812ab2d755c7e98a92a3",
        path="openapi.json",
        license="MIT",
        roots=(
            "CreateChatCompletionResponse",
            "CreateChatCompletionStreamResponse",
            "CreateCompletionResponse",
            "CreateEmbeddingResponse",
            "ListModelsResponse",
            "OpenAIFile",
            "ListFilesResponse",
            "DeleteFileResponse",
            "CreateTranscriptionResponseJson",
            "CreateTranscriptionResponseVerboseJson",
            "CreateTranscriptionResponseStreamEvent",
            "CreateTranslationResponseVerboseJson",
            "CreateSpeechResponseStreamEvent",
            "TokenCountsResource",
            "ErrorResponse",
            "Response",
            "ResponseStreamEvent",
            "ResponseItemList",
            "ConversationResource",
            "ConversationItem",
            "ConversationItemList",
            "DeletedConversationResource",
        ),
    ),
    "openresponses": Origin(
        repository="https://github.com/openresponses/openresponses",
        commit="92c12d96d7b61d6d15e2214daa5e9c6000ab6e1c",
        path="public/openapi/2026-04-24/openapi.json",
        license="Apache-2.0",
        roots=("ResponseResource",),
    ),
    "ollama": Origin(
        repository="https://github.com/ollama/ollama",
        commit="fb30760996871fa9460115c753afd2c60d4ab0f7",
        path="docs/openapi.yaml",
        license="MIT",
        roots=(
            "ChatResponse",
            "ChatStreamEvent",
            "GenerateResponse",
            "GenerateStreamEvent",
            "EmbedResponse",
            "ShowResponse",
            "ListResponse",
            "PsResponse",
            "VersionResponse",
            "ErrorResponse",
        ),
    ),
}

# The `type` of items, parts, tools and events that this server sends: other members of unions
# belong to tools that run at a provider.
SPOKEN = {
    *("message", "reasoning", "function_call", "function_call_output"),
    *("input_text", "input_image", "input_file"),
    *("output_text", "reasoning_text", "summary_text", "text", "refusal"),
    *("function", "allowed_tools", "json_object", "json_schema"),
    *("response.created", "response.queued", "response.in_progress"),
    *("response.completed", "response.failed", "response.incomplete", "error"),
    *("response.output_item.added", "response.output_item.done"),
    *("response.content_part.added", "response.content_part.done"),
    *("response.output_text.delta", "response.output_text.done"),
    *("response.reasoning_text.delta", "response.reasoning_text.done"),
    *("response.reasoning.delta", "response.reasoning.done"),  # the same, at Open Responses
    *("response.reasoning_summary_part.added", "response.reasoning_summary_part.done"),
    *("response.reasoning_summary_text.delta", "response.reasoning_summary_text.done"),
    *("transcript.text.delta", "transcript.text.done"),
    *("speech.audio.delta", "speech.audio.done", "duration"),
    *("response.function_call_arguments.delta", "response.function_call_arguments.done"),
}


class Reducer:
    """The schemas of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas: Mapping[str, Any] = document["components"]["schemas"]

    def reduced(self, roots: Iterable[str]) -> dict[str, Any]:
        """Every schema that the roots need, by name."""
        found: dict[str, Any] = {}
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self._plain(self._schemas[name])
                waiting += _references(found[name])
        return dict(sorted(found.items()))

    def _plain(self, schema: Any) -> Any:
        """The schema without prose and without what is not spoken here."""
        if isinstance(schema, list):
            return [self._plain(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        kept = {key: value for key, value in schema.items() if not _is_prose(key)}
        for key in ("anyOf", "oneOf"):
            if key in kept:
                kept[key] = [member for member in kept[key] if self._is_spoken(member)]
                if not kept[key]:
                    return {"not": {}}  # nothing of it is spoken here
        may_be_null = kept.pop("nullable", False)  # OpenAPI 3.0's word, which JSON Schema ignores
        plain = {
            key: {name: self._plain(inner) for name, inner in value.items()}
            if key == "properties"
            else self._plain(value)
            for key, value in kept.items()
        }
        return {"anyOf": [plain, {"type": "null"}]} if may_be_null else plain

    def _is_spoken(self, member: Mapping[str, Any]) -> bool:
        types = self._types(member)
        return not types or not SPOKEN.isdisjoint(types)

    def _types(self, schema: Mapping[str, Any]) -> list[str]:
        """The values that `type` may have in the objects that `schema` describes."""
        if "$ref" in schema:
            return self._types(self._schemas[schema["$ref"].rpartition("/")[2]])
        found = [name for part in schema.get("allOf", ()) for name in self._types(part)]
        named = schema.get("properties", {}).get("type", {})
        return found + list(named.get("enum", ())) + ([named["const"]] if "const" in named else [])


def _is_prose(key: str) -> bool:
    return key in PROSE or key.startswith("x-")


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _roots(origin: Origin, document: Mapping[str, Any]) -> list[str]:
    """The named schemas, and those of all stream events if the document lists them in a path."""
    schemas = document["components"]["schemas"]
    events = [name for name in schemas if name.endswith("StreamingEvent")]
    spoken = Reducer(document)
    return [*origin.roots, *(name for name in events if spoken._is_spoken(schemas[name]))]


def main() -> None:
    """Write the reduced description of one API."""
    name, path = sys.argv[1:]
    origin = ORIGINS[name]
    document = yaml.safe_load(Path(path).read_text())
    schemas = Reducer(document).reduced(_roots(origin, document))
    told = {key: value for key, value in asdict(origin).items() if key != "roots"}
    told["changes"] = "Made by reduce.py: only the schemas that are needed, without their prose."
    whole = {"origin": told, "components": {"schemas": schemas}}
    (HERE / f"{name}.json").write_text(pretty(whole) + "\n")


if __name__ == "__main__":
    main()

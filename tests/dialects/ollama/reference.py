"""The tables of docs/reference/ollama.md, made from the code. To write them anew:

python -m tests.dialects.ollama.reference
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from localai.dialects.fields import INT32_MAX
from localai.dialects.ollama.creation import CreateBody
from localai.dialects.ollama.errors import ERRORS
from localai.dialects.ollama.requests import (
    ChatBody,
    EmbedBody,
    GenerateBody,
    GenerationBody,
    Options,
    ShowBody,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "ollama.md"


def tables() -> Mapping[str, str]:
    """Give the tables by the name that stands in the document's markers."""
    shared = set(GenerationBody.__struct_fields__)
    return {
        "shared": _fields(GenerationBody, set()),
        "options": _fields(Options, set()),
        "chat": _fields(ChatBody, shared),
        "generate": _fields(GenerateBody, shared),
        "embed": _fields(EmbedBody, set()),
        "show": _fields(ShowBody, set()),
        "create": _fields(CreateBody, set()),
        "errors": _errors(),
    }


def with_tables(text: str) -> str:
    """Give the document with its tables as the code says."""
    for name, table in tables().items():
        marked = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = marked.subn(lambda at, table=table: f"{at[1]}\n{table}\n{at[2]}", text)
        assert found == 1, f"{DOCUMENT} has no place for the table {name}"
    return text


def _fields(body: type[msgspec.Struct], left_out: Iterable[str]) -> str:
    schema = msgspec.json.schema(body)["$defs"][body.__name__]
    rows = ["| field | type | limits | what it does |", "|---|---|---|---|"]
    rows += [
        f"| `{name}` | {_type(name, field)} | {_limits(field)} | {field['description']} |"
        for name, field in schema["properties"].items()
        if name not in left_out
    ]
    return "\n".join(rows) + "\n"


_WORDS = {"integer": "whole number", "array": "list"}
_ANY_JSON = {"format": "string or object"}


def _type(name: str, field: Mapping[str, Any]) -> str:
    if name in _ANY_JSON:
        return _ANY_JSON[name]
    options = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    words = [option.get("type", "object") for option in options]
    return " or ".join(_WORDS.get(word, word) for word in words)


def _limits(field: Mapping[str, Any]) -> str:
    least, most = field.get("minimum"), field.get("maximum")
    if "exclusiveMinimum" in field:
        return f"above {field['exclusiveMinimum']}, up to {most}"
    if least is None:
        return ""
    if most == INT32_MAX:
        return f"{least} or more"
    return "64 bits" if most > INT32_MAX else f"{least} to {most}"


def _errors() -> str:
    rows = ["| kind | status |", "|---|---|"]
    rows += [f"| `{kind}` | {status} |" for kind, status in ERRORS.items()]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))

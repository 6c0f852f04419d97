"""The tables of docs/reference/openai.md, made from the code. To write them anew:

python -m tests.dialects.openai.reference
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from localai.dialects.fields import INT32_MAX
from localai.dialects.openai.errors import ERRORS
from localai.dialects.openai.requests import ChatBody, CompletionBody, EditBody, GenerationBody

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "openai.md"
REPEATED = {408, 409, 429}  # besides 500 and above, by OpenAI's own clients


def tables() -> Mapping[str, str]:
    """Give the tables by the name that stands in the document's markers."""
    shared = set(GenerationBody.__struct_fields__)
    return {
        "shared": _fields(GenerationBody, set()),
        "chat": _fields(ChatBody, shared),
        "completions": _fields(CompletionBody, shared),
        "edits": _fields(EditBody, shared),
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
    for name, field in schema["properties"].items():
        if name in left_out:
            continue
        what = field.get("description") or SAID_BELOW[name]
        required = " (required)" if name in schema.get("required", ()) else ""
        rows.append(f"| `{name}` | {_type(field)}{required} | {_limits(field)} | {what} |")
    return "\n".join(rows) + "\n"


SAID_BELOW = {
    "messages": "The conversation: see [Messages](#messages)",
    "prompt": "A text, a list of texts, a list of token ids, or a list of such lists",
    "stream_options": "`include_usage`: send the token counts in a last chunk",
}
_WORDS = {"integer": "whole number", "array": "list"}


def _type(field: Mapping[str, Any]) -> str:
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
    rows = ["| kind | status | type | code | repeated by clients |", "|---|---|---|---|---|"]
    for kind, row in ERRORS.items():
        code = f"`{row.code}`" if row.code else "null"
        repeated = "yes" if row.retry and (row.status in REPEATED or row.status >= 500) else "no"
        rows.append(f"| `{kind}` | {row.status} | `{row.type}` | {code} | {repeated} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))

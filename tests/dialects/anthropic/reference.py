"""The tables of docs/reference/anthropic.md, made from the code. To write them anew:

python -m tests.dialects.anthropic.reference
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from localai.dialects.anthropic.errors import ERRORS
from localai.dialects.anthropic.requests import FOREIGN_BLOCKS, MessagesBody, PromptBody
from localai.dialects.fields import INT32_MAX

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "anthropic.md"
REPEATED = {408, 409, 429}  # besides 500 and above, by Anthropic's own clients
_KINDS = {"integer": "whole number", "array": "list", None: "object"}


def tables() -> Mapping[str, str]:
    """Give the tables by the name that stands in the document's markers."""
    return {
        "fields": "\n".join(_fields()) + "\n",
        "foreign": "\n".join(_foreign()) + "\n",
        "errors": "\n".join(_errors()) + "\n",
    }


def with_tables(text: str) -> str:
    """Give the document with its tables as the code says."""
    for name, table in tables().items():
        marked = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = marked.subn(lambda at, table=table: f"{at[1]}\n{table}\n{at[2]}", text)
        assert found == 1, f"{DOCUMENT} has no place for the table {name}"
    return text


def _fields() -> Iterator[str]:
    counted = set(PromptBody.__struct_fields__)
    schema = msgspec.json.schema(MessagesBody)["$defs"]["MessagesBody"]
    yield "| field | type | limits | counts | what it does |"
    yield "|---|---|---|---|---|"
    for name, field in schema["properties"].items():
        options = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
        kinds = " or ".join(_KINDS.get(one.get("type"), one.get("type")) for one in options)
        required = " (required)" if name in schema["required"] else ""
        counts = "yes" if name in counted else ""
        what = field["description"]
        yield f"| `{name}` | {kinds}{required} | {_limits(options[0])} | {counts} | {what} |"


def _limits(option: Mapping[str, Any]) -> str:
    least, most = option.get("minimum"), option.get("maximum")
    if least is None:
        return ""
    return f"{least} or more" if most == INT32_MAX else f"{least} to {most}"


def _foreign() -> Iterator[str]:
    yield "| block | belongs to |"
    yield "|---|---|"
    for kind, feature in FOREIGN_BLOCKS.items():
        yield f"| `{kind}` | {feature} |"


def _errors() -> Iterator[str]:
    yield "| kind | status | type | repeated by clients |"
    yield "|---|---|---|---|"
    for kind, row in ERRORS.items():
        repeated = "yes" if row.retry and (row.status in REPEATED or row.status >= 500) else "no"
        yield f"| `{kind}` | {row.status} | `{row.type}` | {repeated} |"


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))

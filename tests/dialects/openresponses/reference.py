"""The tables of docs/reference/responses.md, made from the code. To write them anew:

python -m tests.dialects.openresponses.reference
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from localai.dialects.fields import INT32_MAX
from localai.dialects.openresponses import ResponsesBody
from localai.dialects.openresponses.errors import ERRORS

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "responses.md"
REPEATED = {408, 409, 429}  # besides 500 and above, by OpenAI's own clients
_WORDS = {"integer": "whole number", "array": "list"}


def with_tables(text: str) -> str:
    """Give the document with its tables as the code says."""
    for name, table in (("responses", _fields()), ("errors", _errors())):
        marked = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = marked.subn(lambda at, table=table: f"{at[1]}\n{table}\n{at[2]}", text)
        assert found == 1, f"{DOCUMENT} has no place for the table {name}"
    return text


def _fields() -> str:
    schema = msgspec.json.schema(ResponsesBody)["$defs"]["ResponsesBody"]
    rows = ["| field | type | limits | what it does |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        options = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
        words = [one.get("type", "object") for one in options]
        kind = " or ".join(_WORDS.get(word, word) for word in words)
        rows.append(f"| `{name}` | {kind} | {_limits(field)} | {field['description']} |")
    return "\n".join(rows) + "\n"


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
    rows = [
        "| kind | status | type | code | repeated by clients | of a response |",
        "|---|---|---|---|---|---|",
    ]
    for kind, row in ERRORS.items():
        code = f"`{row.code}`" if row.code else "null"
        repeated = "yes" if row.retry and (row.status in REPEATED or row.status >= 500) else "no"
        named = f"| `{kind}` | {row.status} | `{row.type}` | {code} | {repeated} |"
        rows.append(f"{named} `{row.failure}` |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))

"""The tables of docs/reference/audio.md, made from the code. To write them anew:

python -m tests.docs.audio_page
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from localai.dialects.elevenlabs import TextToSpeechBody
from localai.dialects.elevenlabs.errors import ERRORS
from localai.dialects.elevenlabs.speech import OUTPUT_FORMATS
from localai.dialects.native import VadBody
from localai.dialects.openai.speech import SpeechBody
from localai.dialects.openai.transcriptions import TranscriptionForm

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "audio.md"
AGAIN = "python -m tests.docs.audio_page writes the page anew"
_WORDS = {"integer": "whole number", "array": "list"}


def page(text: str) -> str:
    """Give the document with its tables as the code says."""
    tables = {
        "transcription": _fields(TranscriptionForm),
        "speech": _fields(SpeechBody),
        "elevenlabs": _fields(TextToSpeechBody),
        "elevenlabs-errors": _errors(),
        "vad": _fields(VadBody),
    }
    for name, table in tables.items():
        marked = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = marked.subn(lambda at, table=table: f"{at[1]}\n{table}\n{at[2]}", text)
        assert found == 1, f"{DOCUMENT} has no place for the table {name}"
    formats = ", ".join(f"`{name}`" for name in OUTPUT_FORMATS)
    marked = re.compile(r"(<!-- formats -->).*?(<!-- end -->)", re.DOTALL)
    return marked.sub(lambda at: f"{at[1]}{formats}{at[2]}", text)


def _fields(body: type[msgspec.Struct]) -> str:
    schema = msgspec.json.schema(body)["$defs"][body.__name__]
    rows = ["| field | type | limits | what it does |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        required = " (required)" if name in schema.get("required", ()) else ""
        what = field["description"]
        rows.append(f"| `{name}` | {_type(field)}{required} | {_limits(field)} | {what} |")
    return "\n".join(rows) + "\n"


def _type(field: Mapping[str, Any]) -> str:
    options = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    words = [option.get("type", "object") for option in options]
    return " or ".join(_WORDS.get(word, word) for word in words)


def _limits(field: Mapping[str, Any]) -> str:
    found = [option for option in field.get("anyOf", [field]) if "minimum" in option] or [field]
    if "minimum" not in found[0]:
        return ""
    return f"{found[0]['minimum']} to {found[0]['maximum']}"


def _errors() -> str:
    rows = ["| kind | status | `detail.status` |", "|---|---|---|"]
    rows += [f"| `{kind}` | {row.status} | `{row.word}` |" for kind, row in ERRORS.items()]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(page(DOCUMENT.read_text()))

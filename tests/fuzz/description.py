"""Our description, narrowed so that what is made from it reaches deep into a running server.

Names and ids are those that exist, addresses lead nowhere, and work is bounded. `usual` goes
further: fields that decide whether a request is answered at all hold what they usually hold, so
that most requests are answered.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.mmproj_maker import png

PICTURE = base64.b64encode(png()).decode()
ADDRESSES = [f"data:image/png;base64,{PICTURE}", "data:,x", "http://127.0.0.1:9/a.png", "x"]
MOST_ANSWERS = 3

TEXT = {"type": "string", "minLength": 1, "maxLength": 300}
NOTHING = {"type": "null"}
SAID = {
    "type": "object",
    "properties": {"role": {"enum": ["user", "assistant", "system"]}, "content": TEXT},
    "required": ["role", "content"],
    "additionalProperties": False,
}
SAID_ITEMS = {"type": "array", "minItems": 1, "maxItems": 3, "items": SAID}
SCHEMAS: list[Any] = [
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2},
    {"enum": ["a", 1, None]},
    {"type": "string", "pattern": "^(a|b)*$", "maxLength": 5},
    {"anyOf": [{"type": "number"}, {"const": "x"}]},
    {"type": "nothing"},
]
FLAT_TOOL = {"type": "function", "name": "f", "parameters": SCHEMAS[0]}
NESTED_TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMAS[0]}}
TOOLS = {
    "OpenAI": [None, [NESTED_TOOL]],
    "Ollama": [None, [NESTED_TOOL]],
    "Responses": [None, [FLAT_TOOL]],
    "Anthropic": [None, [{"name": "f", "input_schema": SCHEMAS[0]}]],
}
FORMS = [
    {"type": "text"},
    {"type": "json_object"},
    {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMAS[0]}},
]

# Always, whatever the field may hold besides.
BOUNDED: Mapping[str, Any] = {
    **dict.fromkeys(("url", "image_url", "image", "audio_url", "video_url", "video"), ADDRESSES),
    "data": [PICTURE, "aGk=", "!"],
    "images": [None, [], [PICTURE], ["!"]],
    "grammar": [None, "", 'root ::= "a" | "b"', 'root ::= root "a"', "root ::= ("],
    "keep_alive": [None, "5m", 300, -1, "soon", ""],
    "logit_bias": [None, {"5": -100}, {"0": 1.5, "999999": 3}, {"x": 1}],
    "backend": [None, "", "echo", "no-such-backend"],
    "schema": [None, *SCHEMAS],
    "parameters": [None, *SCHEMAS],
    "input_schema": SCHEMAS,
    "grammar_json_functions": [None, *SCHEMAS],
    "max_tokens": [None, 0, 1, 5, 40, -1, 2**31],
}
# Only in the usual form: these decide whether there is an answer.
USUAL: Mapping[str, Any] = {
    **dict.fromkeys(
        (
            *("tool_choice", "function_call", "functions", "suffix", "best_of", "template"),
            *("top_logprobs", "output_format", "output_config", "thinking", "backend", "images"),
            *("mcp_servers", "container", "prediction", "audio", "web_search_options"),
            *("text_format", "text", "modalities", "grammar", "grammar_json_functions"),
        ),
        NOTHING,
    ),
    "messages": SAID_ITEMS,
    "items": SAID_ITEMS,
    "input": TEXT,
    "prompt": TEXT,
    "query": TEXT,
    "documents": {"type": "array", "minItems": 1, "maxItems": 4, "items": TEXT},
    "response_format": {"enum": [None, *FORMS]},
    "stop": {"enum": [None, "two", ["one", "x"]]},
    "stop_sequences": {"enum": [None, ["two"]]},
    "max_tokens": {"enum": [1, 5, 40]},
    "max_completion_tokens": {"enum": [None, 5]},
    "max_output_tokens": {"enum": [None, 5]},
    "keep_alive": {"enum": [None, "5m"]},
    "logit_bias": {"enum": [None, {"5": -100}]},
    "dimensions": {"enum": [None, 3]},
    "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 200}},
    "format": {"enum": [None, "json", SCHEMAS[0]]},
    "metadata": {"enum": [None, {"a": "b"}]},
}
USUAL_IN: Mapping[str, Mapping[str, Any]] = {
    "ResponsesResponsesBody": {"prompt": NOTHING},
    "OllamaEmbedBody": {"prompt": NOTHING},
    "OpenAIEditBody": {"stream": NOTHING},
}
UNFIT = ["embedder", "off", "no-such-model"]
NEEDED = {"model", "input", "prompt", "messages", "items"}


@dataclass(frozen=True)
class Known:
    """What the server has: models by a part of the name of a type, ids by the name in paths."""

    models: Mapping[str, Sequence[str]]
    ids: Mapping[str, Sequence[str]]


def narrowed(document: Mapping[str, Any], known: Known, *, is_usual: bool) -> dict[str, Any]:
    """The description of requests that are worth sending."""
    narrow: dict[str, Any] = copy.deepcopy(dict(document))
    for name, schema in narrow["components"]["schemas"].items():
        if "properties" in schema:
            _bound(name, schema["properties"], known)
            if is_usual:
                _make_usual(name, schema)
    for methods in narrow["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                values = known.ids.get(parameter["name"])
                if values and parameter["in"] == "path":
                    parameter["schema"] = {"enum": values if is_usual else [*values, "nothing"]}
    return narrow


def _bound(name: str, fields: dict[str, Any], known: Known) -> None:
    """Keep addresses and work within limits, and name what exists."""
    for key in BOUNDED.keys() & fields.keys():
        fields[key] = {"enum": BOUNDED[key]}
    for key, path in (("previous_response_id", "response_id"), ("conversation", "conversation_id")):
        if key in fields:
            fields[key] = {"enum": [None, *known.ids[path], "nothing"]}
    for key in {"n", "best_of"} & fields.keys():
        fields[key] = {**fields[key], "maximum": MOST_ANSWERS}
    if "model" in fields:
        fitting = [models for part, models in known.models.items() if part in name]
        fields["model"] = {"enum": [*fitting[0], *UNFIT]}


def _make_usual(name: str, schema: dict[str, Any]) -> None:
    """Leave only what is usually answered."""
    fields = schema["properties"]
    for key in USUAL.keys() & fields.keys():
        fields[key] = USUAL_IN.get(name, {}).get(key, USUAL[key])
    for key, field in USUAL_IN.get(name, {}).items():
        fields[key] = field
    for tag, tools in TOOLS.items():
        if "tools" in fields and name.startswith(tag):
            fields["tools"] = {"enum": tools}
    if "model" in fields:
        fields["model"] = {"enum": fields["model"]["enum"][: -len(UNFIT)]}
    if name.endswith("Body"):
        schema["required"] = sorted({*schema.get("required", ()), *(NEEDED & fields.keys())})
    schema["additionalProperties"] = False

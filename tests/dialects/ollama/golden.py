"""Golden files: a call as a client sends it, and what must come of it, as JSON that reads well.

`golden/requests/*.json` holds bodies and the domain values that they decode to; fields at their
defaults are left out. `golden/answers/*.json` holds a body, events, and the lines and the whole
answer that spell them, without the head that they all have. To write what the code gives now, and to review it as a diff:

    python -m tests.dialects.ollama.golden
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from localai.dialects.contract import Origin
from localai.dialects.ollama import ChatEndpoint, GenerateEndpoint, GenerationCall
from localai.domain import errors, events
from localai.domain.errors import LocalAIError
from localai.domain.events import BlockKind, Event, FinishReason, Timings, TokenLogprob, Usage
from localai.domain.parts import Text
from localai.domain.stream_rules import StreamRules, fold

HERE = Path(__file__).parent / "golden"
REQUESTS = sorted((HERE / "requests").glob("*.json"))
ANSWERS = sorted((HERE / "answers").glob("*.json"))

ENDPOINTS: Mapping[str, ChatEndpoint | GenerateEndpoint] = {
    "chat": ChatEndpoint(),
    "generate": GenerateEndpoint(),
}
HEAD = {"model": "llama", "created_at": "2023-11-14T22:13:20.000000000Z"}
ORIGIN = Origin(answer_id="1", created_unix_s=1700000000, client="someone")


def plain(value: Any) -> Any:
    """Spell a domain value as JSON: its class, and the fields that are not at their defaults."""
    if dataclasses.is_dataclass(value):
        fields = {
            field.name: plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if getattr(value, field.name) != _default(field)
        }
        return {type(value).__name__: fields}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def decoded(endpoint: str, body: Any) -> Any:
    """Spell what a body decodes to, or the error that it is."""
    try:
        call = ENDPOINTS[endpoint].decode(json.dumps(body).encode(), ORIGIN)
    except LocalAIError as error:
        named = {"kind": error.kind, "message": error.sentence}
        return {"error": named | {"param": error.fields.get("param")}}
    (request,) = (plain(request) for request in call.requests)
    request["GenerationRequest"].pop("client")
    gives = {"streams": call.streams, "request": request}
    if call.keep_alive_s is not None:
        gives["keep_alive_s"] = str(call.keep_alive_s)
    if call.is_load_only:
        gives["loaded"] = _without_head(call.loaded("llama"))
    return gives


def event(spelled: list[Any]) -> Event:
    """Read an event: its class and its fields."""
    name, fields = spelled[0], dict(spelled[1])
    if name == "Failed":
        return events.Failed(errors.EngineFailed(fields["message"]))
    readers = {
        "kind": BlockKind,
        "reason": FinishReason,
        "usage": lambda usage: Usage(**usage),
        "timings": lambda times: Timings(**times),
        "logprobs": _tokens,
        "prompt_logprobs": _tokens,
    }
    fields |= {key: readers[key](value) for key, value in fields.items() if key in readers}
    if name == "BlockEnded":
        fields["part"] = Text(text="")
    return getattr(events, name)(**fields)


def _tokens(spelled: list[list[Any]]) -> tuple[TokenLogprob, ...]:
    """Read tokens as [text, probability, likeliest tokens]; a null probability is none at all."""
    return tuple(
        TokenLogprob(
            token_id=number,
            text=text,
            data=text.encode(),
            logprob=float("nan") if logprob is None else logprob,
            top=_tokens(top[0]) if top else (),
        )
        for number, (text, logprob, *top) in enumerate(spelled)
    )


def answered(case: Mapping[str, Any]) -> dict[str, Any]:
    """Spell the events of a case as the stream and as the whole answer that they make."""
    body = json.dumps(case["body"]).encode()
    call = ENDPOINTS[case["endpoint"]].decode(body, ORIGIN)
    rules = StreamRules()
    checked = [rules.feed(event(spelled)) for spelled in case["events"]]
    answer = fold(checked)
    result: dict[str, Any] = {"lines": list(_lines(call, checked))}
    if answer.error is None:
        result["whole"] = _without_head(call.whole_encoder("llama").encode(answer))
    return result


def _lines(call: GenerationCall, checked: list[Event]) -> Iterator[Any]:
    encoder = call.stream_encoder("llama")
    for checked_event in checked:
        for frame in encoder.feed(checked_event):
            assert frame.event == ""
            assert len(frame.data.decode().splitlines()) == 1
            yield _without_head(frame.data)


def _without_head(data: bytes) -> dict[str, Any]:
    """Take away what all lines of an answer share, so that the rest reads well."""
    line: dict[str, Any] = json.loads(data)
    if "error" not in line:
        assert {key: line.pop(key) for key in HEAD} == HEAD
    return line


def pretty(value: Any, indent: int = 0) -> str:
    """Give JSON in which everything that fits on a line stands on one."""
    flat = json.dumps(value)  # ends of lines that are no newlines stay visible
    if not isinstance(value, dict | list) or len(flat) + indent <= 100:
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {pretty(item, indent + 2)}" for key, item in value.items()]
    else:
        items = [pretty(item, indent + 2) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{pad}" + f",\n{pad}".join(items) + f"\n{' ' * indent}{closing}"


def _write() -> None:
    for path in REQUESTS:
        cases = json.loads(path.read_text())
        for case in cases:
            case["gives"] = decoded(case["endpoint"], case["body"])
        path.write_text(pretty(cases) + "\n")
    for path in ANSWERS:
        case = json.loads(path.read_text())
        path.write_text(pretty(case | {"gives": answered(case)}) + "\n")


if __name__ == "__main__":
    _write()

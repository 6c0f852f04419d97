"""What the golden files of all dialects share: domain values as JSON that reads well, and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from localai.dialects.contract import Call, Frame, Origin
from localai.domain import errors, events
from localai.domain.errors import LocalAIError
from localai.domain.events import BlockKind, Event, FinishReason, Timings, TokenLogprob, Usage
from localai.domain.parts import Text
from localai.domain.stream_rules import StreamRules, fold

ORIGIN = Origin(answer_id="1", created_unix_s=1700000000, client="someone")


def plain(value: Any, of_bytes: Callable[[bytes], Any] = bytes) -> Any:
    """Spell a domain value as JSON: its class, and the fields that are not at their defaults.

    `of_bytes` spells bytes, of which JSON has none.
    """
    if dataclasses.is_dataclass(value):
        fields = {
            field.name: plain(getattr(value, field.name), of_bytes)
            for field in dataclasses.fields(value)
            if getattr(value, field.name) != _default(field)
        }
        return {type(value).__name__: fields}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return of_bytes(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item, of_bytes) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item, of_bytes) for item in value]
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def refusal(error: LocalAIError) -> dict[str, Any]:
    """Spell the error that a body is."""
    named = {"kind": error.kind, "message": error.sentence}
    return {"error": named | {"param": error.fields.get("param")}}


class Spelled(NamedTuple):
    """An answer as it is sent: as a stream, and whole.

    `frames` is empty if the call does not stream, `whole` is None if the answer is an error.
    """

    frames: tuple[Frame, ...]
    whole: bytes | None


def spelled(call: Call, written: Sequence[list[Any]], *, is_queued: bool = False) -> Spelled:
    """Spell the events of a golden file; `is_queued` is for an encoder that first tells that."""
    rules = StreamRules()
    checked = [rules.feed(event(one)) for one in written]
    frames: list[Frame] = []
    if call.streams:
        encoder: Any = call.stream_encoder("llama")
        frames += encoder.queued() if is_queued else ()
        frames += [frame for one in checked for frame in encoder.feed(one)]
    answer = fold(checked)
    whole = None if answer.error else call.whole_encoder("llama").encode(answer)
    return Spelled(tuple(frames), whole)


def event(written: list[Any]) -> Event:
    """Read an event: its class and its fields."""
    name, fields = written[0], dict(written[1])
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


def pretty(value: Any, indent: int = 0, *, ascii_only: bool = False) -> str:
    """Give JSON in which everything that fits on a line stands on one."""
    flat = json.dumps(value, ensure_ascii=ascii_only)
    if not isinstance(value, dict | list) or len(flat) + indent <= 100:
        return flat
    pad = " " * (indent + 2)
    inner = [pretty(item, indent + 2, ascii_only=ascii_only) for item in _items(value)]
    if isinstance(value, dict):
        inner = [f"{json.dumps(key)}: {item}" for key, item in zip(value, inner, strict=True)]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{pad}" + f",\n{pad}".join(inner) + f"\n{' ' * indent}{closing}"


def _items(value: dict[str, Any] | list[Any]) -> Sequence[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def write(
    requests: Sequence[Path],
    decoded: Callable[[Mapping[str, Any]], Any],
    answers: Sequence[Path],
    answered: Callable[[Mapping[str, Any]], Any],
    *,
    ascii_only: bool = False,
) -> None:
    """Write into the files what the code gives now."""
    for path in requests:
        cases = json.loads(path.read_text())
        for case in cases:
            case["gives"] = decoded(case)
        path.write_text(pretty(cases, ascii_only=ascii_only) + "\n")
    for path in answers:
        case = json.loads(path.read_text())
        path.write_text(pretty(case | {"gives": answered(case)}, ascii_only=ascii_only) + "\n")

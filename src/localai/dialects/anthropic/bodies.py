"""Bytes to a body struct. Whatever is wrong becomes one RequestError in plain words.

Anthropic's errors have no field for the place, so every sentence begins with its path.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from localai.dialects import json_body
from localai.dialects.anthropic.requests import (
    FOREIGN_BLOCKS,
    INSIDE,
    ContentBlock,
    TextBlock,
    type_words,
)
from localai.domain.errors import InvalidRequest, RequestError, Unsupported

_Body = TypeVar("_Body")

_BOUNDS = {">=": "or more", "<=": "or less"}
_MOST_SHOWN = 2**64  # longer numbers are described, not repeated

_AT = re.compile(r" - at `(?:key in )?`?\$\.?(.*)`$", re.DOTALL)
_KIND = re.compile(r"^Expected `([^`]+)`(?:, got `([^`]+)`)?")
_BOUND = re.compile(r"^Expected `(?:int|float)` (>=|<=) (\S+)")
_STEPS = re.compile(r"[^.\[\]]+")
_TAG = re.compile(r"^Invalid value '(.*)'$", re.DOTALL)
_INSIDE = re.compile(r"\.?(?:source|content\[\d+\])$")
_MISSING = re.compile(r"^Object missing required field `([^`]+)`")


def read_body(decoder: msgspec.json.Decoder[_Body], body: bytes) -> _Body:
    """Decode `body`. Raises RequestError, and nothing else, whatever the bytes are."""
    return json_body.read_body(decoder, body, _explained)


def _explained(text: str, body: bytes) -> RequestError:
    """Say in plain words what msgspec found in `body`."""
    at = _AT.search(text)
    path, what = (at.group(1), text[: at.start()]) if at else ("", text)
    if tag := _TAG.search(what):
        return _unknown_type(path.removesuffix(".type"), tag.group(1), body)
    if missing := _MISSING.search(what):
        path = f"{path}.{missing.group(1)}" if path else missing.group(1)
        return InvalidRequest(f"{path} is missing.", param=path)
    if bound := _BOUND.search(what):
        limit = f"{bound.group(2).removesuffix('.0')} {_BOUNDS[bound.group(1)]}"
        shown = _shown(_value_at(body, path))
        return InvalidRequest(f"{path} is {shown}; it must be {limit}.", param=path)
    if kind := _KIND.search(what):
        return _wrong_kind(path, *kind.groups())
    if "base64" in what:
        return InvalidRequest(f"{path} is not base64.", param=path)
    if "out of range" in what:
        return InvalidRequest(f"{path or 'A number'} is too large a number.", param=path or None)
    return InvalidRequest(f"{path or 'The body'} is wrong: {what}.", param=path or None)


def _unknown_type(path: str, word: str, body: bytes) -> RequestError:
    if feature := FOREIGN_BLOCKS.get(word):
        message = f"{path} is of type {word!r}, which is not supported: it belongs to {feature}."
        return Unsupported(message, feature=word, param=path, hint="Leave it out.")
    within = _INSIDE.search(path)
    around = _value_at(body, path[: within.start()]) if within else None
    kind = around.get("type") if isinstance(around, dict) else None
    usual = TextBlock if path.startswith("system") else ContentBlock
    *most, last = type_words(INSIDE.get(str(kind), usual))
    words = f"{', '.join(most)} or {last}" if most else last
    message = f"{path}.type is {word[:40]!r}; it must be {words}."
    return InvalidRequest(message, param=f"{path}.type")


def _wrong_kind(path: str, expected: str, got: str | None) -> InvalidRequest:
    seen = f", not {_kinds(got)}" if got else ""
    if got == "float":
        seen = f", not {json_body.FRACTION}"
    if not path:
        return json_body.unreadable(f"it must be a JSON object{seen}")
    return InvalidRequest(f"{path} must be {_kinds(expected)}{seen}.", param=path)


def _kinds(names: str) -> str:
    words = [json_body.TYPE_WORDS.get(name, name) for name in names.split(" | ")]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _value_at(body: bytes, path: str) -> Any:
    """What stands at a path such as `messages[0].content`; None where nothing does."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return None
    for step in _STEPS.findall(path):
        try:
            value = value[int(step) if isinstance(value, list) else step]
        except (LookupError, TypeError, ValueError):  # of two equal keys, msgspec read the other
            return None
    return value


def _shown(value: Any) -> str:
    if not isinstance(value, int | float) or abs(value) >= _MOST_SHOWN:
        return "too far from zero"
    return str(value).removesuffix(".0")

"""Bytes to a body struct. Whatever is wrong becomes one RequestError in plain words.

Anthropic's errors have no field for the place, so every sentence begins with its path.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from localai.dialects.anthropic.requests import (
    FOREIGN_BLOCKS,
    INSIDE,
    ContentBlock,
    TextBlock,
    type_words,
)
from localai.domain.errors import InvalidRequest, RequestError, Unsupported

_Body = TypeVar("_Body")

_KINDS = {
    "array": "a list",
    "bool": "true or false",
    "bytes": "a base64 text",
    "float": "a number",
    "int": "a whole number",
    "null": "null",
    "object": "an object",
    "str": "a string",
}
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
    try:
        body.decode()  # msgspec looks only at the strings that it keeps
        return decoder.decode(body)
    except UnicodeDecodeError as error:
        raise _unreadable(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise _unreadable("it is nested too deeply") from None
    except msgspec.ValidationError as error:
        return _read_leniently(decoder, body, error)
    except msgspec.DecodeError as error:
        raise _unreadable(_malformed(body, str(error))) from None


def json_object(raw: msgspec.Raw, param: str) -> str | None:
    """The text of a field that holds a JSON object; None for null. Raises InvalidRequest."""
    data = bytes(raw)
    if data == b"null":
        return None
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"{param} cannot be read: {error}.", param=param) from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"{param} must be an object.", param=param)
    return data.decode()


def _read_leniently(
    decoder: msgspec.json.Decoder[_Body], body: bytes, first: msgspec.ValidationError
) -> _Body:
    """Accept 5.0 for 5, which some JSON writers make of whole numbers."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        raise _explained(str(first), None) from None
    if "got `float`" not in str(first):
        raise _explained(str(first), value)
    try:
        return decoder.decode(msgspec.json.encode(_whole_numbers(value)))
    except msgspec.ValidationError as error:
        raise _explained(str(error), value) from None
    except (msgspec.MsgspecError, RecursionError, OverflowError):
        raise _explained(str(first), value) from None


def _whole_numbers(value: Any) -> Any:
    match value:
        case float() if value.is_integer() and abs(value) < 2**63:
            return int(value)
        case dict():
            return {key: _whole_numbers(item) for key, item in value.items()}
        case list():
            return [_whole_numbers(item) for item in value]
        case _:
            return value


def _explained(text: str, body: Any) -> RequestError:
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


def _unknown_type(path: str, word: str, body: Any) -> RequestError:
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
        seen = ", not a number with a fraction or beyond 64 bits"
    if not path:
        return _unreadable(f"it must be a JSON object{seen}")
    return InvalidRequest(f"{path} must be {_kinds(expected)}{seen}.", param=path)


def _kinds(names: str) -> str:
    words = [_KINDS.get(name, name) for name in names.split(" | ")]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _value_at(body: Any, path: str) -> Any:
    """What stands at a path such as `messages[0].content`; None where nothing does."""
    value = body
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


def _malformed(body: bytes, text: str) -> str:
    if not body.strip():
        return "it is empty"
    if "truncated" in text:
        return "the JSON ends too early"
    return f"it is not JSON: {text.removeprefix('JSON is malformed: ')}"


def _unreadable(why: str) -> InvalidRequest:
    return InvalidRequest(f"failed parsing request body: {why}.")

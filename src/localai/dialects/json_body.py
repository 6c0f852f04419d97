"""Bytes to a body struct. Whatever is wrong becomes one RequestError in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from localai.domain.errors import InvalidRequest, RequestError

_Body = TypeVar("_Body")

Explain = Callable[[str, bytes], RequestError]
"""Says in an API's words what msgspec found: from its sentence, and the body."""

TYPE_WORDS = {
    "array": "a list",
    "bool": "true or false",
    "bytes": "a base64 text",
    "float": "a number",
    "int": "a whole number",
    "null": "null",
    "object": "an object",
    "str": "a string",
}
FRACTION = "a number with a fraction or beyond 64 bits"

_WRONG_TYPE = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_PATH = re.compile(r" - at `(?:key in )?`?\$\.?(.*)`$")


def read_body(
    decoder: msgspec.json.Decoder[_Body], body: bytes, explain: Explain | None = None
) -> _Body:
    """Decode `body`. Raises RequestError, and nothing else, whatever the bytes are.

    `explain` spells what does not fit; without it that is an InvalidRequest.
    """
    try:
        body.decode()  # msgspec looks only at the strings that it keeps
        return decoder.decode(body)
    except UnicodeDecodeError as error:
        raise unreadable(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise unreadable("it is nested too deeply") from None
    except msgspec.ValidationError as error:
        return _read_again(decoder, body, error, explain or _explained)
    except msgspec.DecodeError as error:
        raise unreadable(_malformed(body, str(error))) from None


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


def _read_again(
    decoder: msgspec.json.Decoder[_Body],
    body: bytes,
    first: msgspec.ValidationError,
    explain: Explain,
) -> _Body:
    """Accept 5.0 for 5, which some JSON writers make of whole numbers."""
    if "got `float`" not in str(first):
        raise explain(str(first), body)
    try:
        return decoder.decode(msgspec.json.encode(_whole_numbers(msgspec.json.decode(body))))
    except msgspec.ValidationError as error:
        raise explain(str(error), body) from None
    except (msgspec.MsgspecError, RecursionError, OverflowError):
        raise explain(str(first), body) from None


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


def _explained(text: str, _body: bytes) -> InvalidRequest:
    at = _PATH.search(text)
    path, inside, _ = at.group(1).partition("[...]") if at else ("", "", "")
    if wrong := _WRONG_TYPE.search(text):
        expected = _words(wrong.group(1))
        got = FRACTION if wrong.group(2) == "float" else _words(wrong.group(2))
        if not path:
            return unreadable(f"it must be a JSON object, not {got}")
        what = f"A value in {path}" if inside else path
        return InvalidRequest(f"{what} must be {expected}, not {got}.", param=path)
    if missing := _MISSING.search(text):
        path = f"{path}.{missing.group(1)}" if path else missing.group(1)
        return InvalidRequest(f"{path} is missing.", param=path)
    if "out of range" in text:
        return InvalidRequest(f"{path or 'A number'} is too large a number.", param=path or None)
    what = text[: at.start()] if at else text
    return InvalidRequest(f"{path or 'The body'} is wrong: {what}.", param=path or None)


def _words(types: str) -> str:
    words = [TYPE_WORDS.get(name, name) for name in types.split(" | ")]
    if "a whole number" in words and "a number" in words:
        words.remove("a whole number")
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _malformed(body: bytes, text: str) -> str:
    if not body.strip():
        return "it is empty"
    if "truncated" in text:
        return "the JSON ends too early"
    return f"it is not JSON: {text.removeprefix('JSON is malformed: ')}"


def unreadable(why: str) -> InvalidRequest:
    """The error for a body that is no JSON object."""
    return InvalidRequest(f"failed parsing request body: {why}.")

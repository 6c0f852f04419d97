"""Fields that several APIs have: how a body declares them, and what holds for their values.

A body declares a number with `limits(...)`; `check_limits` enforces it, and the OpenAPI schema and
the reference pages show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Annotated, Final, get_args

import msgspec
from msgspec import Meta, Raw

from localai.domain.errors import InvalidRequest
from localai.domain.generation import ToolSpec

INT32_MAX = 2**31 - 1
MOST_LOGIT_BIAS = 100

_MOST_SHOWN_BITS = 64
_MOST_DIGITS = 18  # of numbers in queries and forms
_MOST_ID_DIGITS = 9  # no vocabulary has a billion tokens


JsonObject = Annotated[
    Raw, Meta(extra_json_schema={"anyOf": [{"type": "object"}, {"type": "null"}]})
]
"""A field that holds a JSON object, which is kept as it was written."""


NULL: Final = Raw(b"null")

no_json: Final = partial(Raw, b"null")
"""The default of a field that holds any JSON."""


def words(*allowed: str) -> Meta:
    """Describe a text that is one of these words. The dialect checks it and says what is allowed."""
    return Meta(extra_json_schema={"enum": list(allowed)})


def limits(
    description: str,
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
) -> Meta:
    """Describe a number: `least` and `most` are allowed values, `above` is not."""
    named = {"minimum": least, "maximum": most, "exclusiveMinimum": above}
    schema = {key: value for key, value in named.items() if value is not None}
    return Meta(description=description, extra_json_schema=schema)


# A field's name, its least and most, and whether the least itself is left out.
_Bound = tuple[str, float | None, float | None, bool]


def check_limits(body: msgspec.Struct, path: str = "") -> None:
    """Raise InvalidRequest for the first number of `body` that is out of its limits.

    `path` is what the errors write before a field's name.
    """
    values = msgspec.structs.astuple(body)
    bounds = _bounds(type(body))
    for place in bounds:
        value = values[place]
        if value is None:
            continue
        name, least, most, is_above = bounds[place]
        too_low = least is not None and (value <= least if is_above else value < least)
        if too_low or (most is not None and value > most):
            raise out_of_bounds(f"{path}{name}", value, least, most, is_above=is_above)


def out_of_bounds(
    param: str, value: float, least: float | None, most: float | None, *, is_above: bool = False
) -> InvalidRequest:
    """The error for a number beyond `least` or `most`; with `is_above`, `least` is beyond too."""
    if is_above:
        allowed = f"more than {least} and at most {most}"
    elif least is not None and value < least and (most is None or most >= INT32_MAX):
        allowed = f"{least} or more"
    else:
        allowed = f"between {least} and {most}"
    return InvalidRequest(f"{param} is {_shown(value)}; it must be {allowed}.", param=param)


@cache
def _bounds(body: type[msgspec.Struct]) -> dict[int, _Bound]:
    """The limits of each limited field of a body, by its place."""
    found = {}
    for place, field in enumerate(msgspec.structs.fields(body)):
        for meta in get_args(field.type):
            schema = getattr(meta, "extra_json_schema", None) or {}
            above = schema.get("exclusiveMinimum")
            least = schema.get("minimum", above)
            if schema:
                found[place] = (field.name, least, schema.get("maximum"), above is not None)
    return found


def _shown(value: float) -> str:
    if isinstance(value, int) and value.bit_length() > _MOST_SHOWN_BITS:
        return "too large a number"
    return str(value).removesuffix(".0")


def whole_number(text: str, param: str, least: int, most: int) -> int:
    """A number written in a query or a form. Raises InvalidRequest beyond its limits."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS):
        message = f"{param} is {text[:40]!r}; it must be a whole number."
        raise InvalidRequest(message, param=param)
    if not least <= int(text) <= most:
        raise out_of_bounds(param, int(text), least, most)
    return int(text)


def stop_texts(stop: str | list[str] | None, param: str, most: int) -> tuple[str, ...]:
    """The texts that end an answer. Raises InvalidRequest when one is empty or they are too many."""
    texts = [stop] if isinstance(stop, str) else stop or []
    if len(texts) > most:
        message = f"{param} has {len(texts)} texts; it may have at most {most}."
        raise InvalidRequest(message, param=param)
    if "" in texts:
        at = param if isinstance(stop, str) else f"{param}[{texts.index('')}]"
        raise InvalidRequest(f"{at} is empty; it must be a text.", param=at)
    return tuple(texts)


def logit_bias(biases: Mapping[str, float] | None) -> dict[int, float] | None:
    """Biases by token id. Raises InvalidRequest for a key that is none, or too large a bias."""
    if biases is None:
        return None
    for key, bias in biases.items():
        if not (key.isascii() and key.isdecimal() and len(key) <= _MOST_ID_DIGITS):
            message = f"logit_bias has the key {key[:40]!r}; keys must be token ids."
            raise InvalidRequest(message, param="logit_bias")
        if not -MOST_LOGIT_BIAS <= bias <= MOST_LOGIT_BIAS:
            message = f"logit_bias of token {key} is {bias:g}; it must be between -100 and 100."
            raise InvalidRequest(message, param="logit_bias")
    return {int(key): bias for key, bias in biases.items()}


def refuse_twins(tools: Sequence[ToolSpec], path: str, inner: str = "") -> None:
    """Raise InvalidRequest for the second tool of a name; `inner` is the name's path in a tool."""
    seen: set[str] = set()
    for i, tool in enumerate(tools):
        if tool.name in seen:
            message = f"{path}[{i}] is the second tool named {tool.name!r}; names must differ."
            raise InvalidRequest(message, param=f"{path}[{i}]{inner}")
        seen.add(tool.name)

"""Form fields beside an uploaded file, as a body struct."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from localai.dialects.fields import check_limits
from localai.domain.errors import InvalidRequest

_Body = TypeVar("_Body", bound=msgspec.Struct)

Form = Mapping[str, Sequence[str]]
"""The values of each field, in the order they came."""

_BRACKETS = "[]"  # what many clients write after the name of a field that may come several times


def read_form(kind: type[_Body], form: Form) -> _Body:
    """Decode the fields of `form`; empty ones count as absent, unknown ones are ignored.

    Of a field that may come once the last value counts. Raises InvalidRequest.
    """
    given = {name.removesuffix(_BRACKETS): values for name, values in form.items()}
    wanted: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        values = [value for value in given.get(field.encode_name, ()) if value.strip()]
        if values:
            wanted[field.encode_name] = values if _is_list(field.type) else values[-1]
    try:
        body = msgspec.convert(wanted, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _explained(str(error), wanted) from None
    for field in msgspec.structs.fields(kind):
        value = getattr(body, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            name = field.encode_name
            message = f"{name} is {wanted[name][:40]!r}; it must be a number."
            raise InvalidRequest(message, param=name)
    check_limits(body)
    return body


def _is_list(kind: Any) -> bool:
    options = (kind, *get_args(kind))
    return any(get_origin(one) is list or _is_list_inside(one) for one in options)


def _is_list_inside(kind: Any) -> bool:
    return any(get_origin(one) is list for one in get_args(kind))


_WANTED = {"bool": "true or false", "float": "a number", "int": "a whole number", "str": "a text"}


def _explained(text: str, wanted: Mapping[str, Any]) -> InvalidRequest:
    what, _, path = text.partition(" - at `$.")
    name = path.rstrip("`").partition("[")[0]
    expected = what.partition("Expected `")[2].partition("`")[0].partition(" | ")[0]
    must = _WANTED.get(expected, expected or "another value")
    shown = str(wanted.get(name, ""))[:40]
    return InvalidRequest(f"{name} is {shown!r}; it must be {must}.", param=name or None)

"""A backend's own settings, from a model file's keys and its `key:value` options."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from localai.domain.errors import SpecInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localai.wire.messages import LoadRequest

Shape = TypeVar("Shape", bound=msgspec.Struct)


def read_options(request: LoadRequest, shape: type[Shape], settings: Iterable[str] = ()) -> Shape:
    """The settings of `shape`: options over the keys named `settings`, which not every engine reads.

    A bare option means true. A text keeps the spaces at its end: a quoted `prompt:query: ` of a model
    for search has one that counts. Raises SpecInvalid for an option that `shape` has not, with the
    nearest name, and for a value of the wrong type.
    """
    known = {field.name: field.type for field in msgspec.structs.fields(shape)}
    values: dict[str, Any] = {
        key: value for key, value in request.settings.items() if key in frozenset(settings)
    }
    for option in request.options:
        written, colon, value = option.partition(":")
        key = written.strip()
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(known)}."
            raise SpecInvalid(f"options: {key!r} is no option of this engine.", hint=hint)
        values[key] = (value.lstrip() if known[key] is str else value.strip()) if colon else True
    try:
        return msgspec.convert(values, shape, strict=False)
    except msgspec.ValidationError as error:
        raise SpecInvalid(
            f"The settings of the model {request.model!r} do not fit: {error}."
        ) from error

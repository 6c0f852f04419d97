"""What the error replies of all APIs have in common; each API has its own table of kinds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

from localai.domain.errors import LocalAIError

_Row = TypeVar("_Row")


def row_of(error: LocalAIError, table: Mapping[str, _Row]) -> _Row:
    """The row of the error's kind, or of the nearest kind above it."""
    kinds = (cls.kind for cls in type(error).__mro__ if issubclass(cls, LocalAIError))
    return next(table[kind] for kind in kinds if kind in table)


def reply_headers(error: LocalAIError, *, retry: bool = True) -> dict[str, str]:
    """The headers of an error reply.

    Without `retry` they tell the clients that repeat requests by themselves not to.
    """
    headers: dict[str, str] = {}
    if error.kind == "not_authorized":
        headers["WWW-Authenticate"] = "Bearer"
    if allowed := error.fields.get("allowed"):
        headers["Allow"] = str(allowed)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if not retry:
        headers["x-should-retry"] = "false"
    return headers

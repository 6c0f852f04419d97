"""Errors that crossed the wire, as themselves again."""

from __future__ import annotations

from typing import Any

from localai.domain.errors import EngineFailed, LocalAIError


def _kinds(root: type[LocalAIError]) -> dict[str, type[LocalAIError]]:
    found = {root.kind: root}
    for child in root.__subclasses__():
        found |= _kinds(child)
    return found


def error_from_fields(kind: str, message: str, hint: str, fields: dict[str, Any]) -> LocalAIError:
    """Rebuild an error that crossed the wire. An unknown kind becomes EngineFailed."""
    cls = _kinds(LocalAIError).get(kind, EngineFailed)
    error = cls.__new__(cls)
    LocalAIError.__init__(error, message, hint=hint, **fields)
    return error

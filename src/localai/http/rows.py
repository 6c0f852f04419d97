"""One row of the table of routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localai.dialects.contract import ErrorReply
from localai.domain.errors import LocalAIError

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRow:
    """One operation. `body` is the msgspec type of its body; `answers.py` has its answers.

    `form` is the type of the fields beside an uploaded file.
    `spell_error` spells errors that come before the endpoint is reached, a missing key for one.
    """

    method: str
    path: str
    endpoint: Any
    summary: str
    tag: str
    body: type | None = None
    body_media_type: str = JSON
    form: type | None = None
    is_alias: bool = False
    media_type: str = JSON
    spell_error: Callable[[LocalAIError], ErrorReply] | None = None
    name: str = ""

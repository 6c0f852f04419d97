"""What a request says beside its body."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from localai.dialects.contract import Origin
from localai.http.gate import bearer, client_name, headers_of, name_of

if TYPE_CHECKING:
    from starlette.types import Scope

    from localai.settings import ServerSettings

_MAX_ID_LENGTH = 128
_ID_BYTES = 16


def origin_of(scope: Scope) -> Origin:
    """The origin of a call that arrives now."""
    headers = headers_of(scope)
    return Origin(
        answer_id=_answer_id(headers.get(b"x-correlation-id", b"")),
        created_unix_s=int(time.time()),
        client=client_name(scope),
        with_timings=b"extra-usage" in headers,
    )


def new_id() -> str:
    """An id that nobody can guess: 32 hexadecimal digits."""
    return os.urandom(_ID_BYTES).hex()


def owner_of(scope: Scope, settings: ServerSettings) -> str:
    """Whose stored responses and files these are: a key's on a server with keys, else everybody's."""
    key = bearer(scope)
    return name_of(key) if settings.api_keys and key else ""


def model_beside_the_body(scope: Scope) -> str:
    """The model in the path or the query, for callers that name none in the body."""
    named: str = scope.get("path_params", {}).get("model", "")
    if named or not scope.get("query_string"):
        return named
    values = parse_qs(scope["query_string"].decode("latin-1")).get("model", [])
    return values[0] if values else ""


def _answer_id(given: bytes) -> str:
    """The caller's correlation id where it is usable, else a new one."""
    if given and len(given) <= _MAX_ID_LENGTH and given.isascii():
        text = given.decode()
        if text.isprintable():
            return text
    return new_id()

"""What a request says beside its body."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from localai.dialects.contract import Origin
from localai.http.gate import bearer, client_name, name_of

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Scope

    from localai.settings import ServerSettings

_MAX_ID_LENGTH = 128


def origin_of(scope: Scope, headers: Headers) -> Origin:
    """The origin of a call that arrives now."""
    return Origin(
        answer_id=_answer_id(headers),
        created_unix_s=int(time.time()),
        client=client_name(headers, scope),
        with_timings="extra-usage" in headers,
    )


def owner_of(headers: Headers, settings: ServerSettings) -> str:
    """Whose stored responses and files these are: a key's on a server with keys, else everybody's."""
    key = bearer(headers)
    return name_of(key) if settings.api_keys and key else ""


def model_beside_the_body(scope: Scope) -> str:
    """The model in the path or the query, for callers that name none in the body."""
    named: str = scope.get("path_params", {}).get("model", "")
    if named:
        return named
    values = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("model", [])
    return values[0] if values else ""


def _answer_id(headers: Headers) -> str:
    """The caller's correlation id where it is usable, else a new one."""
    given = headers.get("x-correlation-id", "")
    if given and len(given) <= _MAX_ID_LENGTH and given.isascii() and given.isprintable():
        return given
    return uuid.uuid4().hex

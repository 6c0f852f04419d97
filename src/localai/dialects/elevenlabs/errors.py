"""Errors as ElevenLabs' clients read them. The one table of kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from localai.dialects.contract import ErrorReply
from localai.dialects.error_replies import reply_headers, row_of
from localai.domain.errors import LocalAIError

VOICE_NOT_FOUND = "voice_not_found"


class ErrorRow(NamedTuple):
    """How one kind is spelled."""

    status: int
    word: str


ERRORS: Mapping[str, ErrorRow] = {
    # The caller
    "request_error": ErrorRow(400, "bad_request"),
    "invalid_request": ErrorRow(400, "invalid_request"),
    "model_not_found": ErrorRow(404, "model_not_found"),
    "model_disabled": ErrorRow(403, "model_disabled"),
    "body_too_large": ErrorRow(413, "body_too_large"),
    "route_not_found": ErrorRow(404, "route_not_found"),
    "method_not_allowed": ErrorRow(405, "method_not_allowed"),
    "body_incomplete": ErrorRow(408, "body_incomplete"),
    "cross_site": ErrorRow(403, "cross_site"),
    "not_authorized": ErrorRow(401, "invalid_api_key"),
    # Too much at once
    "capacity_error": ErrorRow(503, "system_busy"),
    "queue_full": ErrorRow(429, "too_many_concurrent_requests"),
    "timed_out": ErrorRow(504, "timed_out"),
    # The engine and the operator
    "error": ErrorRow(500, "server_error"),
    "backend_not_installed": ErrorRow(501, "backend_not_installed"),
}


def error_reply(error: LocalAIError) -> ErrorReply:
    """Spell an error; one of a voice that is not there is told apart."""
    row = row_of(error, ERRORS)
    if error.kind == "invalid_request" and error.fields.get("param") == "voice":
        row = ErrorRow(404, VOICE_NOT_FOUND)
    detail = {"detail": {"status": row.word, "message": error.sentence}}
    body = msgspec.json.encode(detail)
    return ErrorReply(status=row.status, body=body, headers=reply_headers(error))

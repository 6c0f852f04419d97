"""Errors as Anthropic's clients read them. The one table of kinds; tests compare it with the docs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from localai.dialects.contract import ErrorReply
from localai.dialects.error_replies import reply_headers, row_of
from localai.domain.errors import LocalAIError

_INVALID = "invalid_request_error"
_PERMISSION = "permission_error"
_NOT_FOUND = "not_found_error"
_OVERLOADED = "overloaded_error"
_SERVER = "api_error"

_OVERLOADED_STATUS = 529  # Anthropic's own; its clients have an exception for it


class ErrorRow(NamedTuple):
    """How one kind is spelled.

    Anthropic's clients repeat a request on 408, 409, 429 and 500 and above; where that cannot
    help, `retry` is False and the reply says so in the header x-should-retry.
    """

    status: int
    type: str
    retry: bool = True


ERRORS: Mapping[str, ErrorRow] = {
    # The caller
    "request_error": ErrorRow(400, _INVALID),
    "invalid_request": ErrorRow(400, _INVALID),
    "model_not_found": ErrorRow(404, _NOT_FOUND),
    "model_disabled": ErrorRow(403, _PERMISSION),
    "unsupported": ErrorRow(400, _INVALID),
    "context_too_long": ErrorRow(400, _INVALID),
    "body_too_large": ErrorRow(413, "request_too_large"),
    "entry_not_found": ErrorRow(404, _NOT_FOUND),
    "job_not_found": ErrorRow(404, _NOT_FOUND),
    "route_not_found": ErrorRow(404, _NOT_FOUND),
    "method_not_allowed": ErrorRow(405, _INVALID),
    "body_incomplete": ErrorRow(408, _INVALID),
    "cross_site": ErrorRow(403, _PERMISSION),
    "fetch_failed": ErrorRow(400, _INVALID),
    "file_too_large": ErrorRow(413, "request_too_large"),
    "not_stored": ErrorRow(404, _NOT_FOUND),
    "document_unreadable": ErrorRow(400, _INVALID),
    "source_not_found": ErrorRow(404, _NOT_FOUND),
    "source_forbidden": ErrorRow(403, _PERMISSION),
    "not_authorized": ErrorRow(401, "authentication_error"),
    # Too much at once
    "capacity_error": ErrorRow(_OVERLOADED_STATUS, _OVERLOADED),
    "queue_full": ErrorRow(429, "rate_limit_error"),
    "cooling_down": ErrorRow(_OVERLOADED_STATUS, _OVERLOADED),
    "out_of_memory": ErrorRow(_OVERLOADED_STATUS, _OVERLOADED, retry=False),
    "timed_out": ErrorRow(504, "timeout_error"),
    "storage_full": ErrorRow(507, _SERVER, retry=False),
    "download_failed": ErrorRow(502, _SERVER, retry=False),
    "shutting_down": ErrorRow(_OVERLOADED_STATUS, _OVERLOADED),
    # The engine
    "error": ErrorRow(500, _SERVER),
    "worker_error": ErrorRow(500, _SERVER),
    "start_failed": ErrorRow(500, _SERVER, retry=False),
    "crashed": ErrorRow(500, _SERVER),
    "engine_failed": ErrorRow(500, _SERVER),
    "stream_rule_broken": ErrorRow(500, _SERVER),
    # The operator
    "setup_error": ErrorRow(500, _SERVER, retry=False),
    "spec_invalid": ErrorRow(500, _SERVER, retry=False),
    "model_file_invalid": ErrorRow(500, _SERVER, retry=False),
    "backend_not_installed": ErrorRow(501, _SERVER, retry=False),
    "gallery_failed": ErrorRow(502, _SERVER),
    "install_failed": ErrorRow(500, _SERVER, retry=False),
    "install_busy": ErrorRow(409, _SERVER, retry=False),
    "setting_invalid": ErrorRow(500, _SERVER, retry=False),
    "checksum_mismatch": ErrorRow(500, _SERVER, retry=False),
}


def error_reply(error: LocalAIError) -> ErrorReply:
    """Spell an error that came before the first byte of the answer."""
    row = row_of(error, ERRORS)
    headers = reply_headers(error, retry=row.retry)
    return ErrorReply(status=row.status, body=error_body(error), headers=headers)


def error_body(error: LocalAIError) -> bytes:
    """Spell an error as a body, or as an event in the middle of a stream."""
    named = {"type": row_of(error, ERRORS).type, "message": _message(error)}
    return msgspec.json.encode({"type": "error", "error": named, "request_id": None})


def _message(error: LocalAIError) -> str:
    limit, requested = error.fields.get("limit"), error.fields.get("requested")
    if error.kind == "context_too_long" and limit is not None and requested is not None:
        # Anthropic's words: agents that see them shorten the conversation and go on.
        return f"prompt is too long: {requested} tokens > {limit} maximum. {error.hint}".strip()
    return error.sentence

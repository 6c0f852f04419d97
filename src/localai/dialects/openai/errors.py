"""Errors as OpenAI's clients read them. The one table of kinds; tests compare it with the docs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from localai.dialects.contract import ErrorReply
from localai.dialects.error_replies import reply_headers, row_of
from localai.domain.errors import LocalAIError

_INVALID = "invalid_request_error"
_SERVER = "server_error"


class ErrorRow(NamedTuple):
    """How one kind is spelled.

    OpenAI's clients repeat a request on 408, 409, 429 and 500 and above; where that cannot help,
    `retry` is False and the reply says so in the header x-should-retry.
    """

    status: int
    type: str
    code: str | None
    retry: bool = True


ERRORS: Mapping[str, ErrorRow] = {
    # The caller
    "request_error": ErrorRow(400, _INVALID, None),
    "invalid_request": ErrorRow(400, _INVALID, None),
    "model_not_found": ErrorRow(404, _INVALID, "model_not_found"),
    "model_disabled": ErrorRow(403, "model_disabled", "model_disabled"),
    "unsupported": ErrorRow(400, _INVALID, "unsupported"),
    "context_too_long": ErrorRow(400, _INVALID, "context_length_exceeded"),
    "body_too_large": ErrorRow(413, _INVALID, "body_too_large"),
    "fetch_failed": ErrorRow(400, _INVALID, "fetch_failed"),
    "entry_not_found": ErrorRow(404, _INVALID, "entry_not_found"),
    "job_not_found": ErrorRow(404, _INVALID, "job_not_found"),
    "file_too_large": ErrorRow(413, _INVALID, "file_too_large"),
    "not_stored": ErrorRow(404, _INVALID, "not_found"),
    "document_unreadable": ErrorRow(400, _INVALID, "document_unreadable"),
    "source_not_found": ErrorRow(404, _INVALID, "source_not_found"),
    "source_forbidden": ErrorRow(403, _INVALID, "source_forbidden"),
    "route_not_found": ErrorRow(404, _INVALID, "route_not_found"),
    "method_not_allowed": ErrorRow(405, _INVALID, "method_not_allowed"),
    "body_incomplete": ErrorRow(408, _INVALID, "body_incomplete"),
    "cross_site": ErrorRow(403, _INVALID, "cross_site"),
    "not_authorized": ErrorRow(401, _INVALID, "invalid_api_key"),
    # Too much at once
    "capacity_error": ErrorRow(503, _SERVER, "capacity_error"),
    "queue_full": ErrorRow(429, "rate_limit_error", "queue_full"),
    "cooling_down": ErrorRow(503, _SERVER, "cooling_down"),
    "out_of_memory": ErrorRow(503, _SERVER, "out_of_memory", retry=False),
    "timed_out": ErrorRow(504, _SERVER, "timed_out"),
    "storage_full": ErrorRow(507, _SERVER, "storage_full", retry=False),
    "download_failed": ErrorRow(502, _SERVER, "download_failed", retry=False),
    "shutting_down": ErrorRow(503, _SERVER, "shutting_down"),
    # The engine
    "error": ErrorRow(500, _SERVER, "error"),
    "worker_error": ErrorRow(500, _SERVER, "worker_error"),
    "start_failed": ErrorRow(500, _SERVER, "start_failed", retry=False),
    "crashed": ErrorRow(500, _SERVER, "crashed"),
    "engine_failed": ErrorRow(500, _SERVER, "engine_failed"),
    "stream_rule_broken": ErrorRow(500, _SERVER, "stream_rule_broken"),
    # The operator
    "setup_error": ErrorRow(500, _SERVER, "setup_error", retry=False),
    "spec_invalid": ErrorRow(500, _SERVER, "spec_invalid", retry=False),
    "model_file_invalid": ErrorRow(500, _SERVER, "model_file_invalid", retry=False),
    "backend_not_installed": ErrorRow(501, _SERVER, "backend_not_installed", retry=False),
    "gallery_failed": ErrorRow(502, _SERVER, "gallery_failed"),
    "install_failed": ErrorRow(500, _SERVER, "install_failed", retry=False),
    "install_busy": ErrorRow(409, _SERVER, "install_busy", retry=False),
    "setting_invalid": ErrorRow(500, _SERVER, "setting_invalid", retry=False),
    "checksum_mismatch": ErrorRow(500, _SERVER, "checksum_mismatch", retry=False),
}


def error_reply(error: LocalAIError) -> ErrorReply:
    """Spell an error that came before the first byte of the answer."""
    row = row_of(error, ERRORS)
    headers = reply_headers(error, retry=row.retry)
    return ErrorReply(status=row.status, body=error_body(error), headers=headers)


def error_body(error: LocalAIError) -> bytes:
    """Spell an error as a body, or as an event in the middle of a stream."""
    row = row_of(error, ERRORS)
    named: dict[str, Any] = {
        "message": error.sentence,
        "type": row.type,
        "param": "model" if error.kind == "model_not_found" else error.fields.get("param"),
        "code": row.code,
    }
    return msgspec.json.encode({"error": named})

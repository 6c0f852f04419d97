"""Errors as this API's clients read them. The one table of kinds; tests compare it with the docs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from localai.dialects.contract import ErrorReply
from localai.dialects.error_replies import reply_headers, row_of
from localai.domain.errors import LocalAIError

_INVALID = "invalid_request_error"
_SERVER = "server_error"
_LIMITED = "rate_limit_exceeded"


class ErrorRow(NamedTuple):
    """How one kind is spelled.

    `code` is that of a reply; `failure` is the code of a response that failed, for which the API
    has a closed list. Clients repeat a request on 408, 409, 429 and 500 and above; where that
    cannot help, `retry` is False and the reply says so in the header x-should-retry.
    """

    status: int
    type: str
    code: str | None
    retry: bool = True
    failure: str = _SERVER


ERRORS: Mapping[str, ErrorRow] = {
    # The caller
    "request_error": ErrorRow(400, _INVALID, None, failure="invalid_prompt"),
    "invalid_request": ErrorRow(400, _INVALID, None, failure="invalid_prompt"),
    "model_not_found": ErrorRow(404, _INVALID, "model_not_found", failure="invalid_prompt"),
    "model_disabled": ErrorRow(403, "model_disabled", "model_disabled", failure="invalid_prompt"),
    "unsupported": ErrorRow(400, _INVALID, "unsupported", failure="invalid_prompt"),
    "context_too_long": ErrorRow(
        400, _INVALID, "context_length_exceeded", failure="invalid_prompt"
    ),
    "body_too_large": ErrorRow(413, _INVALID, "body_too_large", failure="invalid_prompt"),
    "fetch_failed": ErrorRow(400, _INVALID, "fetch_failed", failure="invalid_prompt"),
    "entry_not_found": ErrorRow(404, _INVALID, "entry_not_found", failure="invalid_prompt"),
    "job_not_found": ErrorRow(404, _INVALID, "job_not_found", failure="invalid_prompt"),
    "file_too_large": ErrorRow(413, _INVALID, "file_too_large", failure="invalid_prompt"),
    "document_unreadable": ErrorRow(400, _INVALID, "document_unreadable", failure="invalid_prompt"),
    "source_not_found": ErrorRow(404, _INVALID, "source_not_found"),
    "source_forbidden": ErrorRow(403, _INVALID, "source_forbidden"),
    "route_not_found": ErrorRow(404, _INVALID, "route_not_found", failure="invalid_prompt"),
    "method_not_allowed": ErrorRow(405, _INVALID, "method_not_allowed", failure="invalid_prompt"),
    "body_incomplete": ErrorRow(408, _INVALID, "body_incomplete", failure="invalid_prompt"),
    "cross_site": ErrorRow(403, _INVALID, "cross_site", failure="invalid_prompt"),
    "not_authorized": ErrorRow(401, _INVALID, "invalid_api_key", failure="invalid_prompt"),
    # What is kept: these are raised by the store
    "not_stored": ErrorRow(404, _INVALID, "not_found", failure="invalid_prompt"),
    "events_dropped": ErrorRow(
        409, _INVALID, "events_dropped", retry=False, failure="invalid_prompt"
    ),
    # Too much at once
    "capacity_error": ErrorRow(503, _SERVER, "capacity_error"),
    "queue_full": ErrorRow(429, "rate_limit_error", "queue_full", failure=_LIMITED),
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
    named = {"message": error.sentence, "type": row.type, "param": _param(error), "code": row.code}
    body = msgspec.json.encode({"error": named})
    return ErrorReply(status=row.status, body=body, headers=headers)


def error_event(error: LocalAIError) -> dict[str, Any]:
    """Spell an error as the `error` event of a stream, without its number.

    OpenAI's reference has the fields in the event itself; its servers, and Open Responses, send
    them under `error`, which its clients raise. Both are written.
    """
    row = row_of(error, ERRORS)
    named = {"code": row.code, "message": error.sentence, "param": _param(error)}
    return {"type": "error"} | named | {"error": {"type": row.type} | named}


def failure(error: LocalAIError) -> dict[str, Any]:
    """Spell an error as the `error` of a response that failed."""
    return {"code": row_of(error, ERRORS).failure, "message": error.sentence}


def _param(error: LocalAIError) -> Any:
    if error.kind == "model_not_found":
        return "model"
    param = error.fields.get("param")
    return "input" if param == "messages" else param  # a worker says what chat completions say

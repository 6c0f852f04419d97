"""Errors as Ollama's clients read them. The one table of kinds; tests compare it with the docs."""

from __future__ import annotations

from collections.abc import Mapping

from localai.dialects.contract import ErrorReply
from localai.dialects.error_replies import reply_headers, row_of
from localai.dialects.ollama.spelling import to_line
from localai.domain.errors import LocalAIError

ERRORS: Mapping[str, int] = {
    # The caller
    "request_error": 400,
    "invalid_request": 400,
    "model_not_found": 404,
    "model_disabled": 403,
    "unsupported": 400,
    "context_too_long": 400,
    "body_too_large": 413,
    "fetch_failed": 400,
    "job_not_found": 404,
    "entry_not_found": 404,
    "file_too_large": 413,
    "not_stored": 404,
    "document_unreadable": 400,
    "source_not_found": 404,
    "source_forbidden": 403,
    "route_not_found": 404,
    "method_not_allowed": 405,
    "body_incomplete": 408,
    "cross_site": 403,
    "not_authorized": 401,
    # Too much at once
    "capacity_error": 503,
    "queue_full": 503,  # Ollama's own status for a full queue
    "cooling_down": 503,
    "out_of_memory": 503,
    "timed_out": 504,
    "storage_full": 507,
    "download_failed": 502,
    "shutting_down": 503,
    # The engine
    "error": 500,
    "worker_error": 500,
    "start_failed": 500,
    "crashed": 500,
    "engine_failed": 500,
    "stream_rule_broken": 500,
    # The operator
    "setup_error": 500,
    "spec_invalid": 500,
    "model_file_invalid": 500,
    "backend_not_installed": 501,
    "gallery_failed": 502,
    "install_failed": 500,
    "install_busy": 409,
    "setting_invalid": 500,
    "checksum_mismatch": 500,
}


def error_reply(error: LocalAIError) -> ErrorReply:
    """Spell an error that came before the first byte of the answer."""
    headers = reply_headers(error)
    return ErrorReply(status=row_of(error, ERRORS), body=error_body(error), headers=headers)


def error_body(error: LocalAIError) -> bytes:
    """Spell an error as a body, or as a line in the middle of a stream."""
    return to_line({"error": error.sentence})

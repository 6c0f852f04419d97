"""Every kind of error has its status, and says nothing that is the server's alone."""

from __future__ import annotations

import json

import pytest

from localai.dialects.ollama.errors import ERRORS, error_body, error_reply
from localai.domain import errors, source_errors
from localai.domain.errors import LocalAIError

OURS = (errors.__name__, source_errors.__name__)


def kinds(root: type[LocalAIError]) -> set[str]:
    found = set() if root.__module__ not in OURS else {root.kind}
    return found.union(*(kinds(child) for child in root.__subclasses__()))


def test_the_table_is_complete() -> None:
    assert set(ERRORS) == kinds(LocalAIError)


def test_an_error_is_one_sentence() -> None:
    reply = error_reply(errors.InvalidRequest("n is 0.", param="n", hint="Send 1."))
    assert (reply.status, reply.headers) == (400, {})
    assert json.loads(reply.body) == {"error": "n is 0. Send 1."}


def test_an_unknown_model_is_not_found() -> None:
    reply = error_reply(errors.ModelNotFound("lama", near=("llama",)))
    assert reply.status == 404
    assert "'llama'" in json.loads(reply.body)["error"]


@pytest.mark.parametrize(("wait_s", "header"), [(0.01, "1"), (1.2, "2"), (300, "300")])
def test_when_to_try_again(wait_s: float, header: str) -> None:
    reply = error_reply(errors.QueueFull("llama", limit=1, retry_after_s=wait_s))
    assert reply.status == 503
    assert reply.headers["Retry-After"] == header


def test_headers_of_the_door() -> None:
    assert error_reply(errors.NotAuthorized()).headers == {"WWW-Authenticate": "Bearer"}
    refused = error_reply(errors.MethodNotAllowed("PUT", "/api/chat", "POST"))
    assert refused.headers == {"Allow": "POST"}


def test_an_unknown_kind_is_its_parent() -> None:
    class Stranger(errors.CapacityError):
        kind = "stranger"

    assert error_reply(Stranger("It is strange.")).status == ERRORS["capacity_error"]


def test_the_log_of_an_engine_stays_here() -> None:
    error = errors.StartFailed("It did not start.", log_tail="secret")
    assert b"secret" not in error_reply(error).body


def test_an_error_stands_on_one_line() -> None:
    assert error_body(errors.EngineFailed("a\u2028b\nc")) == b'{"error":"a\\u2028b\\nc"}'

"""Every kind of error has its row, and says nothing that is the server's alone."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from openai.types.responses import ResponseError

from localai.dialects.openresponses.errors import ERRORS, error_event, error_reply, failure
from localai.domain import errors, source_errors
from localai.domain.errors import LocalAIError, NotStored
from localai.state.errors import EventsDropped

OURS = (errors.__name__, source_errors.__name__)


def kinds(root: type[LocalAIError]) -> set[str]:
    found = set() if root.__module__ not in OURS else {root.kind}
    return found.union(*(kinds(child) for child in root.__subclasses__()))


def test_the_table_is_complete() -> None:
    assert set(ERRORS) == kinds(LocalAIError) | {EventsDropped.kind}


def test_an_error_is_one_object() -> None:
    reply = error_reply(errors.InvalidRequest("n is 0.", param="n", hint="Send 1."))
    assert (reply.status, reply.headers) == (400, {})
    assert json.loads(reply.body) == {
        "error": {
            "message": "n is 0. Send 1.",
            "type": "invalid_request_error",
            "param": "n",
            "code": None,
        }
    }


def test_a_failed_response_has_a_code_that_the_api_knows() -> None:
    known = get_args(ResponseError.model_fields["code"].annotation)
    assert {row.failure for row in ERRORS.values()} <= set(known)
    assert failure(errors.QueueFull("a", limit=1, retry_after_s=1))["code"] == "rate_limit_exceeded"


def test_a_wait_is_whole_seconds() -> None:
    error = errors.QueueFull("llama", limit=3, retry_after_s=1.2)
    assert error_reply(error).headers == {"Retry-After": "2"}


def test_a_missing_key_and_a_wrong_method_say_what_is_right() -> None:
    assert error_reply(errors.NotAuthorized()).headers == {"WWW-Authenticate": "Bearer"}
    reply = error_reply(errors.MethodNotAllowed("GET", "/v1/responses", "POST"))
    assert (reply.status, reply.headers) == (405, {"Allow": "POST"})


def test_what_is_not_kept_is_not_found() -> None:
    reply = error_reply(NotStored("response", "resp_1"))
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (404, "not_found")
    assert error_reply(EventsDropped(first=5)).status == 409


def test_a_kind_from_elsewhere_is_spelled_like_the_kind_above_it() -> None:
    class CupboardFull(errors.CapacityError):
        kind = "cupboard_full"

    assert error_reply(CupboardFull("The cupboard is full.")).status == 503


@pytest.mark.parametrize(
    "error",
    [
        errors.StartFailed("It did not start.", log_tail="SECRET"),
        errors.Crashed("llama", exit_code=1, log_tail="SECRET"),
        errors.ModelFileInvalid("A file is damaged.", path="/home/SECRET"),
        errors.SpecInvalid("A file is wrong.", problems=("SECRET",)),
    ],
)
def test_what_only_the_operator_may_see_stays_here(error: LocalAIError) -> None:
    assert b"SECRET" not in error_reply(error).body
    assert "SECRET" not in json.dumps([error_event(error), failure(error)])

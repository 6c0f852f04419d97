"""Every kind of error has its row, and says nothing that is the server's alone."""

from __future__ import annotations

import json

import pytest

from localai.dialects.anthropic.errors import ERRORS, error_reply
from localai.domain import errors, source_errors
from localai.domain.error_fields import error_from_fields
from localai.domain.errors import LocalAIError

OURS = (errors.__name__, source_errors.__name__)


def kinds(root: type[LocalAIError]) -> set[str]:
    found = set() if root.__module__ not in OURS else {root.kind}
    return found.union(*(kinds(child) for child in root.__subclasses__()))


def message(error: LocalAIError) -> str:
    return str(json.loads(error_reply(error).body)["error"]["message"])


def test_the_table_is_complete() -> None:
    assert set(ERRORS) == kinds(LocalAIError)


def test_an_error_is_one_object() -> None:
    reply = error_reply(errors.InvalidRequest("top_k is -1.", param="top_k", hint="Send 1."))
    assert reply.status == 400
    assert json.loads(reply.body) == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "top_k is -1. Send 1."},
        "request_id": None,
    }
    assert reply.headers == {}


@pytest.mark.parametrize(("wait_s", "header"), [(0.01, "1"), (1.0, "1"), (1.2, "2"), (300, "300")])
def test_a_wait_is_whole_seconds(wait_s: float, header: str) -> None:
    for error in (
        errors.QueueFull("llama", limit=3, retry_after_s=wait_s),
        errors.CoolingDown("llama", retry_after_s=wait_s, reason="no such file."),
    ):
        assert error_reply(error).headers == {"Retry-After": header}


def test_a_missing_key_says_how_to_send_one() -> None:
    reply = error_reply(errors.NotAuthorized())
    assert (reply.status, reply.headers) == (401, {"WWW-Authenticate": "Bearer"})
    assert "Bearer" in message(errors.NotAuthorized())


def test_a_wrong_method_says_which_are_right() -> None:
    reply = error_reply(errors.MethodNotAllowed("GET", "/v1/messages", "POST"))
    assert (reply.status, reply.headers) == (405, {"Allow": "POST"})


def test_a_long_prompt_is_told_in_the_words_that_agents_know() -> None:
    error = errors.ContextTooLong(limit=8, requested=9)
    assert message(error).startswith("prompt is too long: 9 tokens > 8 maximum. Remove 2 tokens")
    assert message(error_from_fields("context_too_long", "Too long.", "", {})) == "Too long."


def test_a_kind_from_elsewhere_is_spelled_like_the_kind_above_it() -> None:
    class CupboardFull(errors.CapacityError):
        kind = "cupboard_full"

    assert error_reply(CupboardFull("The cupboard is full.")).status == 529


def test_clients_are_told_where_trying_again_cannot_help() -> None:
    reply = error_reply(errors.StartFailed("The worker did not start."))
    assert reply.headers == {"x-should-retry": "false"}


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

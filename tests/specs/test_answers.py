"""What the encoders of every dialect send is what the descriptions of their APIs and ours say."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from localai.dialects import anthropic, ollama, openai, openresponses
from localai.dialects.openai.errors import ERRORS
from localai.domain import errors
from localai.domain.error_fields import error_from_fields
from localai.domain.events import BlockKind, Event, Failed
from localai.domain.stream_rules import StreamRules, fold
from tests.dialects.golden_files import ORIGIN, event
from tests.dialects.openresponses import golden as of_openresponses
from tests.domain.streams import Wanted, answers
from tests.specs.books import judge
from tests.specs.replies import check_reply, published
from tests.specs.samples import ENDPOINTS, golden, golden_answers, json_reply, others, replies


@pytest.mark.parametrize(
    ("name", "path"),
    list(golden_answers()),
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)
def test_golden_answers(name: str, path: Path) -> None:
    for reply in golden(name, path):
        check_reply(reply)


def test_other_answers() -> None:
    for reply in others():
        check_reply(reply)


ASKED = {
    "openai/chat": {"messages": [{"role": "user", "content": "Hi"}], "n": 3},
    "openai/completions": {"prompt": "Hi", "n": 3},
    "openresponses": {"input": "Hi"},
    "anthropic": {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    "ollama/chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "ollama/generate": {"prompt": "Hi"},
}


def check_events(name: str, events: Iterable[Event]) -> None:
    """Hold the stream and the whole answer that `events` make against their descriptions."""
    _, endpoint = ENDPOINTS[name]
    rules = StreamRules()
    checked = [rules.feed(one) for one in events]
    call = endpoint.decode(json.dumps(ASKED[name] | {"stream": True}).encode(), ORIGIN)
    encoder = call.stream_encoder("llama")
    frames = [frame for one in checked for frame in encoder.feed(one)]
    folded = fold(checked)
    whole = None if folded.error else call.whole_encoder("llama").encode(folded)
    for reply in replies(name, frames, whole):
        check_reply(reply)


@pytest.mark.parametrize("name", ASKED)
@settings(max_examples=30, deadline=None)
@given(answers(n_choices=1))
def test_any_answer(name: str, wanted: Wanted) -> None:
    check_events(name, wanted.events)
    broken = Failed(errors.EngineFailed("It broke."))
    check_events(name, [*wanted.events[: len(wanted.events) // 2], broken])


@pytest.mark.parametrize("name", ["openai/chat", "openai/completions"])
@settings(max_examples=30, deadline=None)
@given(answers(kinds=(BlockKind.TEXT, BlockKind.TOOL_CALL), n_choices=3))
def test_any_answer_of_several_choices(name: str, wanted: Wanted) -> None:
    check_events(name, wanted.events)


SPELLERS = {
    "/v1/chat/completions": openai.error_reply,
    "/v1/responses": openresponses.error_reply,
    "/v1/messages": anthropic.error_reply,
    "/api/chat": ollama.error_reply,
}


@pytest.mark.parametrize("path", SPELLERS)
@pytest.mark.parametrize("kind", sorted(ERRORS))
def test_every_kind_of_error(path: str, kind: str) -> None:
    error = error_from_fields(kind, "It is wrong.", "Make it right.", {})
    reply = SPELLERS[path](error)
    for sent in published(json_reply("POST", path, reply.body, reply.status)):
        judge(sent.spec).check(sent.schema, sent.value)


def test_a_response_that_does_not_come_to_its_end() -> None:
    call = of_openresponses.decode(of_openresponses.LEAST | {"background": True, "stream": True})
    encoder = call.stream_encoder("llama")
    rules = StreamRules()
    for written in (["Started", {"prompt_tokens": 3}], ["BlockStarted", {**FIRST, "kind": "text"}]):
        encoder.feed(rules.feed(event(written)))
    cancelled = encoder.stop(None)
    queued = call.queued("llama")
    error = errors.EngineFailed("The server stopped.")
    failed, frames = openresponses.ResponsesSpelling().cut_off(queued, 7, error)
    for reply in (
        *replies("openresponses", cancelled, encoder.response),
        *replies("openresponses", [], queued),
        *replies("openresponses", frames, failed),
    ):
        check_reply(reply)


FIRST = {"choice": 0, "block": 0}
ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "Hi"},
    {"role": "developer", "content": [{"type": "input_text", "text": "Be short."}]},
    {"role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    {
        "role": "user",
        "content": [{"type": "input_image", "image_url": "data:image/png;base64,aaaa"}],
    },
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
    {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "Rain"},
]


@pytest.mark.parametrize("item", ITEMS, ids=json.dumps)
def test_what_is_kept_of_the_input(item: dict[str, Any]) -> None:
    items = of_openresponses.decode({"input": [item]}).input_items
    page = openresponses.encode_items(items, has_more=False)
    check_reply(json_reply("GET", "/v1/responses/resp_1/input_items", page))
    check_reply(json_reply("GET", "/v1/conversations/conv_1/items", page))
    ((item_id, data),) = items
    check_reply(json_reply("GET", f"/v1/conversations/conv_1/items/{item_id}", data))

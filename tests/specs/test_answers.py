"""What the encoders of every dialect send is what the published descriptions of the APIs say."""

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
from localai.domain.events import BlockKind, Event, Failed
from localai.domain.stream_rules import StreamRules, fold
from tests.dialects.golden_files import ORIGIN, event
from tests.dialects.openresponses import golden as of_openresponses
from tests.domain.streams import Wanted, answers
from tests.specs.books import judge
from tests.specs.samples import ENDPOINTS, Sent, golden, golden_answers, others, sent


def check(found: Iterable[Sent]) -> None:
    for one in found:
        judge(one.spec).check(one.schema, one.value)


@pytest.mark.parametrize(
    ("name", "path"),
    list(golden_answers()),
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)
def test_golden_answers(name: str, path: Path) -> None:
    check(golden(name, path))


def test_other_answers() -> None:
    check(others())


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
    endpoint, described = ENDPOINTS[name]
    rules = StreamRules()
    checked = [rules.feed(one) for one in events]
    call = endpoint.decode(json.dumps(ASKED[name] | {"stream": True}).encode(), ORIGIN)
    encoder = call.stream_encoder("llama")
    frames = [frame.data for one in checked for frame in encoder.feed(one)]
    folded = fold(checked)
    whole = None if folded.error else call.whole_encoder("llama").encode(folded)
    check(sent(described, frames, whole))


@pytest.mark.parametrize("name", ENDPOINTS)
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


@pytest.mark.parametrize("kind", ERRORS)
def test_every_kind_of_error(kind: str) -> None:
    error = errors.error_from_fields(kind, "It is wrong.", "Make it right.", {})
    judge("openai").check("ErrorResponse", json.loads(openai.error_reply(error).body))
    judge("openai").check("ErrorResponse", json.loads(openresponses.error_reply(error).body))
    judge("anthropic").check("ErrorResponse", json.loads(anthropic.error_reply(error).body))
    judge("ollama").check("ErrorResponse", json.loads(ollama.error_reply(error).body))


def test_a_response_that_does_not_come_to_its_end() -> None:
    call = of_openresponses.decode(of_openresponses.LEAST | {"background": True, "stream": True})
    _, described = ENDPOINTS["openresponses"]
    encoder = call.stream_encoder("llama")
    rules = StreamRules()
    for written in (["Started", {"prompt_tokens": 3}], ["BlockStarted", {**FIRST, "kind": "text"}]):
        encoder.feed(rules.feed(event(written)))
    cancelled = [frame.data for frame in encoder.stop(None)]
    check(sent(described, cancelled, encoder.response))
    queued = call.queued("llama")
    check(sent(described, (), queued))
    error = errors.EngineFailed("The server stopped.")
    failed, frames = openresponses.ResponsesSpelling().cut_off(queued, 7, error)
    check(sent(described, [frame.data for frame in frames], failed))


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
    page = json.loads(openresponses.encode_items(items, has_more=False))
    judge("openai").check("ResponseItemList", page)
    judge("openai").check("ConversationItemList", page)
    judge("openai").check("ConversationItem", page["data"][0])

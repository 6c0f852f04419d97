"""What bodies mean and how answers are spelled, case by case; `golden.py` says how to change them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localai.dialects.contract import OneShotEndpoint
from localai.domain.errors import InvalidRequest
from localai.domain.tasks import Task
from localai.domain.vectors import TokenCount
from tests.dialects.anthropic.golden import ANSWERS, COUNT, REQUESTS, answered, decoded
from tests.dialects.golden_files import ORIGIN

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['what']}")
    for path in REQUESTS
    for case in json.loads(path.read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_a_body_means(case: dict[str, Any]) -> None:
    assert decoded(case) == case["gives"]


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_events_are_spelled(path: Path) -> None:
    case = json.loads(path.read_text())
    assert answered(case) == case["gives"]


def test_a_count_is_spelled() -> None:
    endpoint: OneShotEndpoint = COUNT
    body = {"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}
    call = endpoint.decode(json.dumps(body).encode(), ORIGIN)
    assert (call.task, call.model) == (Task.COUNT, "llama")
    counted = call.encode(TokenCount(prompt_tokens=2095), "llama")
    assert json.loads(counted) == {"input_tokens": 2095}
    reply = endpoint.error(InvalidRequest("messages is empty."))
    assert reply.status == 400

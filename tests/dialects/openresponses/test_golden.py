"""What bodies mean and how answers are spelled, case by case; `golden.py` says how to change them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.dialects.openresponses.golden import ANSWERS, REQUESTS, answered, decoded

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['what']}")
    for path in REQUESTS
    for case in json.loads(path.read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_a_body_means(case: dict[str, Any]) -> None:
    assert decoded(case["body"]) == case["gives"]


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_events_are_spelled(path: Path) -> None:
    case = json.loads(path.read_text())
    assert answered(case) == case["gives"]

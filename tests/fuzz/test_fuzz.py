"""A short run of requests made from our own description; `make fuzz` makes a long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.harness import fill, fuzz
from tests.live import LiveServer

REQUESTS = 200


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_requests_made_from_the_description(tmp_path: Path) -> None:
    with LiveServer(fill(tmp_path / "models"), "--data-path", str(tmp_path / "data")) as server:
        findings = fuzz(server, REQUESTS, 1)
    assert not findings.failures, str(findings)
    assert findings.statuses[200] > findings.requests / 4, "too few got an answer to look at"

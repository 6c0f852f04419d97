"""Logs: one line per decision, as text or as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from localai.observe.log import configure, logger


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Whatever a test configures, the others see nothing of it."""
    root = logging.getLogger("localai")
    state = (root.handlers[:], root.propagate, root.level)
    yield
    root.handlers[:], root.propagate = state[0], state[1]
    root.setLevel(state[2])


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="info", log_format="default")
    logger("localai.a").info("loading %s", "m")
    logger("localai.a").debug("a prompt")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("INFO    loading m")


def test_json_with_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="debug", log_format="json")
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        logger("localai.b").exception("it failed: %s", "ü\n")
    line = json.loads(capsys.readouterr().err)
    assert line["level"] == "error"
    assert line["room"] == "localai.b"
    assert line["message"] == "it failed: ü\n"
    assert "ZeroDivisionError" in line["traceback"]
    assert line["time"].endswith("Z")


@pytest.mark.parametrize(
    ("level", "shown"), [("error", 1), ("warn", 2), ("info", 3), ("debug", 4), ("trace", 4)]
)
def test_levels(capsys: pytest.CaptureFixture[str], level: str, shown: int) -> None:
    configure(level=level, log_format="text")
    log = logger("localai.c")
    for say in (log.error, log.warning, log.info, log.debug):
        say("x")
    assert len(capsys.readouterr().err.splitlines()) == shown


def test_configuring_twice_does_not_say_everything_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for _ in range(2):
        configure(level="info", log_format="text")
    logger("localai.d").info("once")
    assert capsys.readouterr().err.count("once") == 1

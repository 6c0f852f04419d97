"""What tests of several rooms share: one running server, and servers of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests import side_by_side
from tests.live import LiveServer, fill_models
from tests.specs.recording import PATHS, VIOLATIONS

# A busy machine is slow, and that is no failure. What is tried is the same each time, so that a change is
# blamed for nothing but what it did; `--hypothesis-profile=wander --randomly-seed=7` looks further.
hypothesis.settings.register_profile("patient", deadline=None, derandomize=True)
hypothesis.settings.register_profile("wander", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Say how many processes `-n auto` is."""
    return side_by_side.processes()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> side_by_side.Sharing:
    """Say which of them gets which tests."""
    return side_by_side.Sharing(config, log)


StartServer = Callable[..., LiveServer]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of the shared server; nobody changes them."""
    return fill_models(tmp_path_factory.mktemp("shared") / "models")


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[LiveServer]:
    """One server for every test that leaves it as it was."""
    with LiveServer(models) as running:
        yield running


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start servers that end with the test."""
    started: list[LiveServer] = []

    def start(folder: Path, *arguments: str, **more: Any) -> LiveServer:
        running = LiveServer(folder, *arguments, **more)
        started.append(running)
        return running.__enter__()

    yield start
    for running in started:
        running.stop()


@pytest.fixture(autouse=True)
def answers_are_what_their_apis_say(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that got an answer from a server which a published description forbids.

    One that stands behind the table of features must have got an answer at all.
    """
    PATHS.clear()
    yield
    if request.node.get_closest_marker("covers"):
        assert PATHS, "a test that covers a feature asks a live server"
    found = "\n".join(VIOLATIONS)
    VIOLATIONS.clear()
    assert not found, found

"""The engines that `make engines` has installed for tests, beside the packages of this environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from localai.engines.environments import Environments
from localai.engines.manifest import BackendEntry
from localai.engines.stock import Stock

FOLDER = Path(sys.prefix) / "engines"
ENVIRONMENTS = Environments(FOLDER)


def stock() -> Stock:
    """The engines of the tests."""
    return Stock(FOLDER, {})


def skip_without(entry: BackendEntry) -> None:
    """Skip a test, with the reason, when its engine is not installed."""
    if not entry.is_bundled and ENVIRONMENTS.find(entry) is None:
        pytest.skip(f"the engine of {entry.name} is not installed: make engines")

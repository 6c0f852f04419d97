"""A test of several APIs runs once for each that its mark names."""

from __future__ import annotations

import pytest

from tests.features.apis import APIS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give `api` and `streams` their values."""
    if "api" in metafunc.fixturenames:
        marks = metafunc.definition.iter_markers("covers")
        names = dict.fromkeys(name for mark in marks for name in mark.args[1].split())
        metafunc.parametrize("api", [pytest.param(APIS[name], id=name) for name in names])
    if "streams" in metafunc.fixturenames:
        metafunc.parametrize("streams", [False, True], ids=["whole", "streamed"])

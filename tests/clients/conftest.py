"""What the clients talk to: a server with a model for everything, and one that wants a key."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

import pytest

from tests.clients.models import fill
from tests.live import LiveServer, clean_environment, echo_yaml, wait_until, write_models
from tests.mmproj_maker import png


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for all clients; none of them changes it, or leaves work behind."""
    with LiveServer(fill(tmp_path_factory.mktemp("clients") / "models")) as running:
        yield running
        wait_until(lambda: running.running("endless") == 0, "the end of calls that were left")


@pytest.fixture(scope="session")
def told(
    server: LiveServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, str]]:
    """The environment of a client: where the servers are, and nothing of other services."""
    folder = write_models(
        tmp_path_factory.mktemp("locked") / "models", {"echo.yaml": echo_yaml("echo")}
    )
    with LiveServer(folder, "--api-keys", "right") as locked:
        yield clean_environment(
            LOCALAI_URL=server.url,
            LOCALAI_LOCKED_URL=locked.url,
            LOCALAI_PICTURE=base64.b64encode(png()).decode(),
            NO_PROXY="127.0.0.1",
            PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",  # some libraries bring plugins that take seconds
        )

"""A file of weights, and a server on this machine that has it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.downloads.file_server import FileServer, running
from tests.gguf_maker import make_scripted
from tests.live import SPOKEN


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "m.gguf"
    make_scripted(path, SPOKEN)
    return path.read_bytes()


@pytest.fixture
def files(weights: bytes) -> Iterator[FileServer]:
    with running() as server:
        server.add("/talker.gguf", weights)
        yield server

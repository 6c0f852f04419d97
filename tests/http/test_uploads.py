"""Uploads: any form, any end, and nothing is ever left behind."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.http.sounding import BACKENDS, fill, form, open_upload, upload
from tests.live import LiveServer, read_until, wait_until
from tests.sounds import silence, wav

QUIET = wav(silence(1))


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that takes files of one megabyte."""
    folder = fill(tmp_path_factory.mktemp("limited") / "models")
    with LiveServer(folder, *BACKENDS, "--file-upload-limit", "1") as running:
        yield running


def uploads(server: LiveServer) -> Path:
    return server.folder.parent / "data" / "uploads"


def left(server: LiveServer) -> list[Path]:
    return list(uploads(server).iterdir())


def test_a_file_over_the_limit(limited: LiveServer) -> None:
    assert upload(limited, wav(silence(31))[:999_000]).status == 200
    reply = upload(limited, wav(silence(40)))
    assert (reply.status, reply.error["code"]) == (413, "body_too_large")
    assert "limit of 1 MB" in reply.error["message"]
    assert "--file-upload-limit" in reply.error["message"]
    assert left(limited) == []


def part(name: str, value: str = "", more: str = "") -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


FILE = part("file", QUIET.decode("latin-1"), '; filename="a.wav"')
END = "--b--\r\n"
BROKEN = {
    "no part": END,
    "nothing": "",
    "no boundary": "hello",
    "no end": part("model", "tones") + FILE,
    "no headers": "--b\r\n\r\nabc\r\n" + END,
    "a bad header": "--b\r\nConte nt: x\r\n\r\nabc\r\n" + END,
    "two files": FILE + FILE + END,
    "a long field": part("prompt", "a" * 1_100_000) + FILE + END,
    "many fields": part("a", "b") * 300 + FILE + END,
    "no file": part("model", "tones") + END,
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_forms(limited: LiveServer, name: str) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = limited.post("/v1/audio/transcriptions", BROKEN[name].encode("latin-1"), kind)
    assert reply.status in {400, 413}
    assert reply.error["message"].endswith((".", "--file-upload-limit."))
    assert left(limited) == []


@pytest.mark.parametrize(
    "kind", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=b", "\xff"]
)
def test_bodies_that_are_no_form(limited: LiveServer, kind: str) -> None:
    headers = {"Content-Type": kind}
    reply = limited.post("/v1/audio/transcriptions", b'{"file": "x"}', headers)
    assert reply.status == 400
    assert "must be a form with a file" in reply.error["message"]


def test_forms_as_clients_write_them(limited: LiveServer) -> None:
    """Fields after the file, other files beside it, a file without a name, an epilogue."""
    kind = {"Content-Type": 'Multipart/Form-Data; boundary="b"'}
    for body in (
        FILE + part("model", "tones") + END,
        part("cover", "abc", '; filename="a.png"') + part("model", "tones") + FILE + END,
        part("model", "tones") + part("file", QUIET.decode("latin-1")) + END,
        part("model", "tones") + FILE + END + "an epilogue",
    ):
        reply = limited.post("/v1/audio/transcriptions", body.encode("latin-1"), kind)
        assert reply.status == 200, body[:100]


def test_leaving_in_the_middle_of_a_file(limited: LiveServer) -> None:
    with open_upload(limited, wav(silence(20)), sent=300_000):
        time.sleep(0.2)
        assert left(limited) == []  # it has no name even while it is there
    reply = upload(limited, QUIET)
    assert reply.status == 200


def test_a_kill_leaves_nothing(tmp_path: Path, start_server: StartServer) -> None:
    server = start_server(fill(tmp_path / "models"), *BACKENDS)
    with open_upload(server, wav(silence(60)), sent=1_000_000):
        wait_until(lambda: uploads(server).is_dir(), "the upload")
        server.stop(signal.SIGKILL)
    assert left(server) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, start_server: StartServer) -> None:
    server = start_server(fill(tmp_path / "models"), *BACKENDS)
    uploads(server).parent.mkdir(exist_ok=True)
    uploads(server).write_text("in the way")
    reply = upload(server, QUIET)
    assert (reply.status, reply.error["type"]) == (503, "server_error")
    assert "cannot be kept in" in reply.error["message"]


def test_a_large_file_stays_out_of_memory(tmp_path: Path, start_server: StartServer) -> None:
    """Twenty minutes of samples, 38 MB: neither server nor worker may hold it."""
    server = start_server(fill(tmp_path / "models"), *BACKENDS)
    assert upload(server, QUIET).status == 200

    def memory() -> float:
        worker = server.metric("localai_worker_memory_bytes", model="tones")
        return server.metric("localai_server_memory_bytes") + worker

    before = memory()
    if not before:
        pytest.skip("this system does not tell the memory of a process")
    with open_upload(server, wav(silence(1200))) as connection:
        peak = 0.0
        while server.running("tones") or not peak:
            peak = max(peak, memory())
            time.sleep(0.02)
        assert b"200 OK" in read_until(connection, b"\r\n\r\n")
    assert max(peak, memory()) - before < 30_000_000


def test_a_key_is_asked_for_before_the_file(tmp_path: Path, start_server: StartServer) -> None:
    server = start_server(fill(tmp_path / "models"), *BACKENDS, "--api-keys", "secret")
    kind, body = form({"model": "tones"}, QUIET)
    reply = server.post("/v1/audio/transcriptions", body, {"Content-Type": kind})
    assert reply.status == 401
    assert not uploads(server).exists()

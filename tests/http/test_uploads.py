"""Files that come with a question: any form, any end, and nothing is left behind."""

from __future__ import annotations

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
    with LiveServer(folder, *BACKENDS, "--file-limit", "1") as running:
        yield running


def left(server: LiveServer) -> list[Path]:
    """What lies in the folder of uploads."""
    return list((server.folder.parent / "data").rglob("*.part"))


def test_a_file_over_the_limit(limited: LiveServer) -> None:
    assert upload(limited, wav(silence(31))[:999_000]).status == 200
    for seconds in (33, 90):
        reply = upload(limited, wav(silence(seconds)))
        assert (reply.status, reply.error["code"]) == (413, "file_too_large")
        assert "limit of 1 MB" in reply.error["message"]
    assert left(limited) == []


def part(name: str, value: str = "", more: str = "") -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


FILE = part("file", QUIET.decode("latin-1"), '; filename="a.wav"')
END = "--b--\r\n"
BROKEN = {
    "nothing": "",
    "no boundary": "hello",
    "no end": part("model", "tones") + FILE,
    "two files": FILE + FILE + END,
    "no file": part("model", "tones") + END,
    "an empty file": part("file", "", '; filename="a.wav"') + END,
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_forms(limited: LiveServer, name: str) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    for path in ("/v1/audio/transcriptions", "/v1/vad"):
        reply = limited.post(path, BROKEN[name].encode("latin-1"), kind)
        assert reply.status == 400
        assert reply.error["message"].endswith(".")
    assert left(limited) == []


def test_bodies_that_are_no_form(limited: LiveServer) -> None:
    for kind in (
        "",
        "application/json",
        "multipart/form-data",
        "multipart/mixed; boundary=b",
        "\xff",
    ):
        for body in (b'{"file": "x"}', bytes(900_000)):
            reply = limited.post("/v1/audio/transcriptions", body, {"Content-Type": kind})
            assert reply.status == 400
            assert "multipart/form-data" in reply.error["message"]


def test_forms_as_clients_write_them(limited: LiveServer) -> None:
    """Fields after the file, other parts beside it, a file without a name, a field twice."""
    kind = {"Content-Type": 'Multipart/Form-Data; boundary="b"'}
    for body in (
        FILE + part("model", "tones") + END,
        part("cover", "abc", '; filename="a.png"') + part("model", "tones") + FILE + END,
        part("model", "tones") + part("file", QUIET.decode("latin-1")) + END,
        part("model", "nothing") + part("model", "tones") + FILE + END + "an epilogue",
    ):
        reply = limited.post("/v1/audio/transcriptions", body.encode("latin-1"), kind)
        assert reply.status == 200, body[:100]
    both = "".join(part("timestamp_granularities[]", name) for name in ("word", "segment"))
    body = part("model", "tones") + both + FILE + END
    answer = limited.post("/v1/audio/transcriptions", body.encode("latin-1"), kind).json
    assert {"words", "segments"} <= answer.keys()


def test_leaving_in_the_middle_of_a_file(limited: LiveServer) -> None:
    with open_upload(limited, wav(silence(20)), sent=300_000):
        wait_until(lambda: left(limited), "the upload")
    wait_until(lambda: not left(limited), "its end")
    assert upload(limited, QUIET).status == 200


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
    assert left(server) == []

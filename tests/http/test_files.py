"""Uploaded files: in OpenAI's form and in Anthropic's, whole or not at all, without filling the memory."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest

from tests.conftest import StartServer
from tests.live import (
    PATIENCE_S,
    LiveServer,
    Reply,
    echo_yaml,
    read_until,
    wait_until,
    write_models,
)
from tests.pdf_maker import make_pdf

LIMIT_MB = 60
MB = 1_000_000
BOUNDARY = "----a-boundary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
ANTHROPIC = {"anthropic-version": "2023-06-01"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = write_models(
        tmp_path_factory.mktemp("files") / "models", {"echo.yaml": echo_yaml("echo")}
    )
    with LiveServer(folder, "--file-limit", str(LIMIT_MB)) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(server: LiveServer) -> Iterator[None]:
    """Begin every test without files."""
    yield
    for file in server.get("/v1/files").json["data"]:
        server.request("DELETE", f"/v1/files/{file['id']}")
    wait_until(lambda: not on_disk(server), "the end of what was refused")


@contextlib.contextmanager
def anthropics(server: LiveServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


def part(name: str, data: bytes | str, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + (data.encode() if isinstance(data, str) else data) + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def upload(
    server: LiveServer, data: bytes = b"hello", name: str = "a.txt", **headers: str
) -> Reply:
    body = form(part("purpose", "user_data"), part("file", data, name))
    return server.post("/v1/files", body, FORM | headers)


def on_disk(server: LiveServer) -> set[str]:
    folder = server.folder.parent / "data" / "files"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@pytest.mark.covers("`/v1/files`", "openai")
def test_openais_client_keeps_files(server: LiveServer) -> None:
    with server.openai() as client:
        made = client.files.create(
            file=("notes.txt", b"hello"),
            purpose="user_data",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
        assert (made.filename, made.bytes, made.purpose) == ("notes.txt", 5, "user_data")
        assert (made.object, made.status) == ("file", "processed")
        assert made.expires_at == made.created_at + 3600
        assert client.files.retrieve(made.id) == made
        assert client.files.content(made.id).read() == b"hello"
        assert client.files.delete(made.id).model_dump() == {
            "id": made.id,
            "deleted": True,
            "object": "file",
        }
        for ask in (client.files.retrieve, client.files.delete, client.files.content):
            with pytest.raises(openai.NotFoundError, match="There is no file"):
                ask(made.id)
    assert made.id not in on_disk(server)


def test_openais_client_turns_the_pages_of_a_list(server: LiveServer) -> None:
    with server.openai() as client:
        made = [
            client.files.create(file=(f"{n}.jsonl", b"{}"), purpose="evals" if n % 2 else "batch")
            for n in range(5)
        ]
        ids = [file.id for file in made]
        assert [file.id for file in client.files.list(limit=2, order="asc")] == ids
        assert [file.id for file in client.files.list(limit=2)] == ids[::-1]
        assert [file.id for file in client.files.list(purpose="evals")] == [ids[3], ids[1]]
        page = client.files.list(limit=3, after=ids[4])
        assert ([file.id for file in page.data], page.has_more) == (ids[3:0:-1], True)
        for file_id in ids:
            client.files.delete(file_id)
        assert client.files.list().data == []


def test_anthropics_client_keeps_files(server: LiveServer) -> None:
    with anthropics(server) as client:
        made = client.beta.files.upload(
            file=("report.pdf", make_pdf(["text"]), "application/pdf"), expires_in_seconds=7200
        )
        assert (made.filename, made.mime_type, made.type) == (
            "report.pdf", "application/pdf", "file",
        )  # fmt: skip
        assert made.expires_at is not None
        assert (made.expires_at - made.created_at).total_seconds() == 7200
        assert client.beta.files.retrieve_metadata(made.id) == made
        assert client.files.retrieve_metadata(made.id).size_bytes == made.size_bytes
        assert client.beta.files.download(made.id).read() == make_pdf(["text"])
        others = [client.files.upload(file=(f"{n}.txt", b"x")).id for n in range(3)]
        listed = [file.id for file in client.beta.files.list(limit=1)]
        assert listed == [*others[::-1], made.id]
        assert [file.id for file in client.files.list(ids=[others[1], "file-no"])] == [others[1]]
        assert client.beta.files.list(scope_id="sesn_1").data == []
        older = server.get(f"/v1/files?limit=2&after_id={others[2]}", **ANTHROPIC).json
        assert [file["id"] for file in older["data"]] == [others[1], others[0]]
        assert (older["first_id"], older["last_id"]) == (others[1], others[0])
        assert older["has_more"] is True
        for file_id in (made.id, *others):
            assert client.beta.files.delete(file_id).type == "file_deleted"
        with pytest.raises(anthropic.NotFoundError, match="There is no file"):
            client.beta.files.delete(made.id)


def test_both_apis_speak_of_the_same_files(server: LiveServer) -> None:
    with anthropics(server) as theirs, server.openai() as ours:
        made = theirs.beta.files.upload(file=("a.txt", b"hello"))
        shown = ours.files.retrieve(made.id)
        assert (shown.filename, shown.bytes, shown.purpose) == ("a.txt", 5, "user_data")
        ours.files.delete(made.id)
    assert server.get("/files").json["data"] == [], "and the paths need no /v1"


def test_a_download_is_never_a_page(server: LiveServer) -> None:
    made = upload(server, b"<script>alert(1)</script>", 'a"\u00fc.html').json["id"]
    reply = server.get(f"/v1/files/{made}/content")
    assert reply.body == b"<script>alert(1)</script>"
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment; filename*=UTF-8''a%")
    head = server.request("HEAD", f"/v1/files/{made}/content")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "25")
    assert server.request("DELETE", f"/v1/files/{made}").status == 200


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../../etc/passwd", "passwd"),
        ("/etc/shadow", "shadow"),
        ("..\\\\..\\\\boot.ini", "boot.ini"),
        ("..", "unnamed.bin"),
        ("", "unnamed.bin"),
    ],
)
def test_no_name_leaves_the_folder(server: LiveServer, given: str, kept: str) -> None:
    before = set(server.folder.parent.rglob("*"))
    made = upload(server, name=given).json
    assert made["filename"] == kept
    new = set(server.folder.parent.rglob("*")) - before - {server.folder.parent / "data"}
    assert {path.name for path in new if path.parent.name == "files"} == {made["id"]}
    assert all("data" in path.parts for path in new)
    assert server.request("DELETE", f"/v1/files/{made['id']}").json["deleted"] is True


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/..%2f..%2fresponses.db/content",
        "/v1/files/%2e%2e/content",
        "/v1/files/file-1%00/content",
        "/v1/files/file-unknown",
    ],
)
def test_no_id_leaves_the_folder(server: LiveServer, path: str) -> None:
    for method in ("GET", "DELETE"):
        assert server.request(method, path).status in {404, 405}


FILE = part("file", "hello", "a.txt")
PURPOSE = part("purpose", "user_data")


def expires(seconds: str, anchor: str = "created_at") -> bytes:
    return part("expires_after[anchor]", anchor) + part("expires_after[seconds]", seconds)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (form(FILE), "purpose is missing"),
        (form(FILE, part("purpose", "nonsense")), "purpose is 'nonsense'"),
        (form(PURPOSE), "file is missing"),
        (form(), "file is missing"),
        (form(PURPOSE, part("file", "", "a.txt")), "file is empty"),
        (form(PURPOSE, FILE, FILE), "two files"),
        (form(PURPOSE, FILE, expires("59")), "between 3600 and 2592000"),
        (form(PURPOSE, FILE, expires("soon")), "must be a whole number"),
        (form(PURPOSE, FILE, expires("3600", "last_used")), "must be created_at"),
        (form(PURPOSE, FILE, part("expires_after[anchor]", "created_at")), "seconds] is missing"),
        (form(part("purpose", "x" * 70_000), FILE), "longer than"),
        (form(*[PURPOSE] * 100, FILE), "more than 64 parts"),
        (form(PURPOSE, FILE)[:-20], "ends before its last boundary"),
        (form(PURPOSE, FILE)[:60], "ends before its last boundary"),
        (b"", "ends before its last boundary"),
        (b"no form at all", "cannot be read"),
        (form(PURPOSE, FILE).replace(b"name=", b"noname="), "has no name"),
        (form(PURPOSE, FILE).replace(b"Content-D", b"Content D"), "cannot be read"),
        (os.urandom(3_000_000), "cannot be read"),
    ],
)
def test_a_bad_form_is_refused_and_leaves_nothing(
    server: LiveServer, body: bytes, says: str
) -> None:
    before = on_disk(server)
    reply = server.post("/v1/files", body, FORM)
    assert reply.status == 400, reply.body
    assert says in reply.error["message"]
    wait_until(lambda: on_disk(server) == before, "the end of what was refused")


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "multipart/form-data", f"multipart/form-data; boundary={'x' * 999}", ""],
)
def test_a_body_that_is_no_form_is_refused(server: LiveServer, content_type: str) -> None:
    reply = server.post("/v1/files", form(PURPOSE, FILE), {"Content-Type": content_type})
    assert reply.status == 400
    theirs = server.post("/v1/files", form(FILE), ANTHROPIC | {"Content-Type": content_type})
    assert theirs.json["type"] == "error"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 400),
        ("limit=10001", 400),
        ("limit=many", 400),
        ("limit=99999999999999999999", 400),
        ("order=up", 400),
        ("after=file-unknown", 404),
        ("purpose=unknown", 200),
        ("limit=&order=&after=", 200),
    ],
)
def test_a_query_has_limits(server: LiveServer, query: str, status: int) -> None:
    assert server.get(f"/v1/files?{query}").status == status


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "page=2",
        "before_id=file-1",
        "ids=a&limit=2",
        "&".join(f"ids[]={n}" for n in range(101)),
    ],
)
def test_anthropics_query_has_limits(server: LiveServer, query: str) -> None:
    reply = server.get(f"/v1/files?{query}", **ANTHROPIC)
    assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")


def begin(server: LiveServer, *headers: str) -> socket.socket:
    lines = ["POST /v1/files HTTP/1.1", "Host: test", f"Content-Type: {FORM['Content-Type']}"]
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
    connection.sendall("\r\n".join([*lines, *headers, "", ""]).encode())
    return connection


def test_what_is_announced_too_large_is_refused_before_it_is_sent(server: LiveServer) -> None:
    with begin(server, "Content-Length: 100000000", "Expect: 100-continue") as connection:
        answer = read_until(connection, b"}}")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"limit of 60 MB" in answer


def test_what_becomes_too_large_is_refused_and_removed(server: LiveServer) -> None:
    before = on_disk(server)
    body = form(PURPOSE, part("file", bytes((LIMIT_MB + 2) * MB), "big"))
    reply = server.post("/v1/files", body, FORM)
    assert (reply.status, reply.error["code"]) == (413, "file_too_large")
    with begin(server, "Transfer-Encoding: chunked") as connection:
        piece = PURPOSE + part("file", bytes(MB), "big")[:-2]
        for _ in range(LIMIT_MB + 2):
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            piece = bytes(MB)
        connection.sendall(b"0\r\n\r\n")
        assert read_until(connection, b"}}").startswith(b"HTTP/1.1 413")
    wait_until(lambda: on_disk(server) == before, "the end of what was refused")


def test_an_upload_that_breaks_off_leaves_nothing(server: LiveServer) -> None:
    before = on_disk(server)
    with begin(server, "Content-Length: 50000000") as connection:
        connection.sendall(PURPOSE + part("file", bytes(5 * MB), "half"))
        wait_until(lambda: on_disk(server) - before, "the first bytes on the disk")
    wait_until(lambda: on_disk(server) == before, "the end of what broke off")
    assert upload(server, name="next").status == 200


def peak_bytes(pid: int) -> int:
    """The most resident memory since `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def forget_peak(pid: int) -> int:
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_bytes(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is Linux's to tell")
def test_a_large_file_does_not_fill_the_memory(server: LiveServer) -> None:
    upload(server, bytes(MB))  # imports and buffers
    data = io.BytesIO(os.urandom(50 * MB))
    before = forget_peak(server.process.pid)
    with server.openai() as client:
        made = client.files.create(file=("big.bin", data), purpose="user_data")
        assert made.bytes == 50 * MB
        assert client.files.content(made.id).read() == data.getvalue()
        client.files.delete(made.id)
    assert peak_bytes(server.process.pid) - before < 10 * MB


def test_requests_are_answered_while_a_file_comes(server: LiveServer) -> None:
    with begin(server, "Content-Length: 50000000") as connection:
        connection.sendall(PURPOSE + part("file", bytes(5 * MB), "half"))
        assert server.say("echo", "still there?").json["choices"][0]["message"]["content"]


def test_files_survive_a_restart_until_their_time_has_come(
    tmp_path: Path, start_server: StartServer
) -> None:
    folder = write_models(tmp_path / "models", {"echo.yaml": echo_yaml("echo")})
    first = start_server(folder, "--files-ttl", "1s")
    short = upload(first).json
    assert short["expires_at"] == short["created_at"] + 1
    body = form(PURPOSE, part("file", b"to stay", "a.txt"), expires("3600"))
    made = first.post("/v1/files", body, FORM).json
    gone = f"/v1/files/{short['id']}"
    wait_until(lambda: first.get(gone).status == 404, "the end of the file")
    first.stop()
    second = start_server(folder)
    assert second.get("/v1/files").json["data"] == [made]
    assert second.get(f"/v1/files/{made['id']}/content").body == b"to stay"
    assert on_disk(second) == {made["id"]}


def test_files_belong_to_a_key(tmp_path: Path, start_server: StartServer) -> None:
    folder = write_models(tmp_path / "models", {"echo.yaml": echo_yaml("echo")})
    running = start_server(folder, "--api-keys", "mine,yours")
    mine, yours = ({"Authorization": f"Bearer {key}"} for key in ("mine", "yours"))
    made = upload(running, **mine).json["id"]
    assert running.get(f"/v1/files/{made}", **mine).status == 200
    assert running.get("/v1/files", **yours).json["data"] == []
    content = [{"type": "file", "file": {"file_id": made}}]
    body = {"model": "echo", "messages": [{"role": "user", "content": content}]}
    assert running.post("/v1/chat/completions", body, mine).status == 200
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        assert running.request(method, f"/v1/files/{made}{path}", headers=yours).status == 404
    refused = running.post("/v1/chat/completions", body, yours)
    assert (refused.status, refused.error["param"]) == (404, "messages[0].content[0].file.file_id")
    assert running.get("/v1/files").status == 401


def test_the_description_has_the_form(server: LiveServer) -> None:
    described = server.get("/openapi.json").json
    body = described["paths"]["/v1/files"]["post"]["requestBody"]["content"]
    name = body["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]
    shown = described["components"]["schemas"][name]
    assert shown["properties"]["file"]["format"] == "binary"
    assert set(shown["required"]) == {"file", "purpose"}

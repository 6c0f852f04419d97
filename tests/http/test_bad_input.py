"""What comes over the wire and is no proper request. After each the server still answers."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.live import PATIENCE_S, LiveServer, read_to_end, read_until, wait_until

PATH = "/v1/chat/completions"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(autouse=True)
def still_answers(server: LiveServer) -> Iterator[None]:
    """Whatever a test of this file sends, the server goes on."""
    yield
    reply = server.say("team/echo", "still here")
    assert (reply.status, server.process.poll()) == (200, None)
    assert reply.json["choices"][0]["message"]["content"] == "still here"
    wait_until(lambda: server.running("team/echo") == 0, "the end of every call")


@contextlib.contextmanager
def raw(server: LiveServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        yield connection


def sent(server: LiveServer, data: bytes, *, hang_up: bool = False) -> bytes:
    """The answer to raw bytes; `hang_up` says that nothing more comes."""
    with raw(server) as connection:
        connection.sendall(data)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        return read_to_end(connection)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b"{'model': 1}", b'{"messages": \xff\xfe}', b'{"model": "\xc3"}',
     b"\x00" * 100, b'{"messages": [{"role": "user", "content": "\\ud800"}]}' + b"x", b"NaN"],
)  # fmt: skip
def test_a_body_that_is_no_json_object(server: LiveServer, body: bytes) -> None:
    for path in (PATH, "/v1/completions", "/v1/edits"):
        reply = server.post(path, body)
        assert reply.status == 400
        assert reply.error["type"] == "invalid_request_error"
        assert reply.error["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "wizard", "content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 10**40}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 10**6}, "n"),
        ({"stop": [""]}, "stop"),
        ({"logit_bias": {"A": 1}}, "logit_bias"),
        ({"top_logprobs": 5}, "top_logprobs"),
        ({"stream": "yes"}, "stream"),
        ({"model": 7}, "model"),
    ],
)
def test_a_wrong_field_is_named(server: LiveServer, fields: dict[str, Any], param: str) -> None:
    reply = server.post(PATH, {"model": "team/echo", "messages": HI} | fields)
    assert reply.status == 400
    assert reply.error["param"].startswith(param.partition("[")[0])
    assert reply.error["message"]


def test_deep_json(server: LiveServer) -> None:
    for depth in (500, 100_000):
        deep = b"[" * depth + b"]" * depth
        reply = server.post(PATH, b'{"model": "team/echo", "messages": ' + deep + b"}")
        assert reply.status == 400
        reply = server.post(
            PATH,
            b'{"model": "team/echo", "x": '
            + deep
            + b', "messages": '
            + json.dumps(HI).encode()
            + b"}",
        )
        assert reply.status in {200, 400}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("backend", ["no-such-engine", "echo"])
def test_an_engine_that_cannot_run_the_model(
    server: LiveServer, backend: str, *, stream: bool
) -> None:
    for _ in range(2):  # the second time the engine rests from its failed start
        reply = server.say("text", "Hi", backend=backend, stream=stream)
        assert (reply.status, reply.error["param"]) == (400, "backend")
        assert backend in reply.error["message"]


def test_a_body_over_the_limit_is_refused_readably(server: LiveServer) -> None:
    with server.openai() as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(
            model="team/echo", messages=[{"role": "user", "content": "x" * 50_000_000}]
        )
    assert caught.value.status_code == 413
    assert caught.value.code == "body_too_large"
    assert "15 MB" in caught.value.message


def test_a_chunked_body_over_the_limit(server: LiveServer) -> None:
    piece = b"x" * 1_000_000
    chunk = f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    with raw(server) as connection:
        connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(20):
            connection.sendall(chunk)
        connection.sendall(b"0\r\n\r\n")
        assert b" 413 " in read_until(connection, b"}").partition(b"\r\n")[0]


def test_a_chunked_body_is_read(server: LiveServer) -> None:
    body = json.dumps({"model": "team/echo", "messages": HI}).encode()
    data = b"".join(b"1\r\n%b\r\n" % body[at : at + 1] for at in range(len(body))) + b"0\r\n\r\n"
    answer = sent(
        server, f"{HEAD}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + data
    )
    assert b" 200 " in answer.partition(b"\r\n")[0]


def test_an_upload_that_ends_in_the_middle(server: LiveServer) -> None:
    with raw(server) as connection:
        connection.sendall(f'{HEAD}Content-Length: 1000\r\n\r\n{{"model":'.encode())
    with raw(server) as connection:
        connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{{".encode())


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,  # TLS to a plain port
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBroken header\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nConnection: close\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ],
)
def test_garbage_is_no_request(server: LiveServer, data: bytes) -> None:
    try:
        answer = sent(server, data, hang_up=True)
    except (BrokenPipeError, ConnectionResetError):
        return  # the server closed the connection before it had read everything
    status = answer.partition(b"\r\n")[0]
    assert answer == b"" or status.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))


def test_a_body_longer_than_it_says(server: LiveServer) -> None:
    body = json.dumps({"model": "team/echo", "messages": HI}).encode()
    answer = sent(server, f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body + b"surplus")
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))


def test_an_unknown_path_has_near_ones(server: LiveServer) -> None:
    reply = server.post("/v1/chat/completion", {})
    assert reply.status == 404
    assert reply.error["code"] == "route_not_found"
    assert "/v1/chat/completions" in reply.error["message"]


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", PATH, "POST"), ("DELETE", PATH, "POST"),
                                                         ("POST", "/v1/models", "GET"), ("PUT", "/healthz", "GET")])  # fmt: skip
def test_a_wrong_method(server: LiveServer, method: str, path: str, allowed: str) -> None:
    reply = server.request(method, path)
    assert reply.status == 405
    assert allowed in reply.headers["allow"]
    assert reply.error["code"] == "method_not_allowed"


@pytest.mark.parametrize("length", [5_000, 60_000])
def test_a_very_long_address(server: LiveServer, length: int) -> None:
    reply = server.get("/v1/models/" + "x" * length)
    assert reply.status in {404, 400, 414, 431}
    assert len(reply.body) < length


def test_odd_characters_in_an_address(server: LiveServer) -> None:
    for path in (
        "/v1/models/%00",
        "/v1/models/%ff%fe",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "//v1//models",
        "/%2e%2e/",
    ):
        assert server.get(path).status in {400, 404}


def test_a_model_name_that_leads_out_of_the_folder(server: LiveServer) -> None:
    for name in ("../text.gguf", "/etc/passwd", "text.gguf/../text.gguf", "x" * 100_000, "\u0000"):
        reply = server.say(name, "Hi")
        assert reply.status == 404
        assert reply.error["code"] == "model_not_found"


def test_half_a_request_line_at_a_time(server: LiveServer) -> None:
    body = json.dumps({"model": "team/echo", "messages": HI}).encode()
    data = f"{HEAD}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with raw(server) as connection:
        for at in range(0, len(data), 7):
            connection.sendall(data[at : at + 7])
        assert read_to_end(connection).startswith(b"HTTP/1.1 200")


def test_two_requests_at_once_on_one_connection(server: LiveServer) -> None:
    body = json.dumps({"model": "team/echo", "messages": HI}).encode()
    one = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with raw(server) as connection:
        connection.sendall(one + one.replace(b"Host: test", b"Host: test\r\nConnection: close"))
        assert read_to_end(connection).count(b"HTTP/1.1 200") == 2

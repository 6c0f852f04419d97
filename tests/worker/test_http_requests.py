"""Reading one request after the other: what was read before changes nothing."""

from __future__ import annotations

import itertools

import pytest

from localai.worker.http_requests import Refused, Request, RequestReader

HEADS = [
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX: 1\r\n\r\nhello",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nX: 1\r\n\r\nhey",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nX: 2\r\n\r\nhey",
    b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nX: 2\r\n\r\nhey",
    b"POST /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nhey",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nhey",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\nhi",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2 \r\n\r\nhi",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: x\r\ncontent-length: 2\r\n\r\nhi",
    b"POST /a HTTP/1.0\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
    b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi",
    b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
]


def read(reader: RequestReader, message: bytes) -> Request | str:
    """The request in `message`, or why it is none."""
    reader.feed(message)
    try:
        request = reader.head()
        assert request is not None
        body = reader.body()
        assert body is not None
    except Refused as refused:
        return f"{refused.status} {refused}"
    request.body = body
    return request


def alone(message: bytes) -> Request | str:
    """What a reader of its own makes of it."""
    return read(RequestReader(most_body_bytes=100), message)


@pytest.mark.parametrize("first", HEADS)
def test_a_request_means_the_same_after_any_other(first: bytes) -> None:
    for second, third in itertools.product(HEADS, repeat=2):
        reader = RequestReader(most_body_bytes=100)
        for message in (first, second, third):
            made = read(reader, message)
            assert repr(made) == repr(alone(message))
            if isinstance(made, str):  # nothing is read after it
                break


def test_a_body_is_not_kept_for_the_next_head() -> None:
    reader = RequestReader(most_body_bytes=1 << 20)
    first = read(reader, b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
    second = read(reader, b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert (first.body, second.body) == (b"hi", b"")
    assert first.headers["content-length"] == "2"
    assert second.headers["content-length"] == "0"

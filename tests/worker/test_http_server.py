"""The HTTP server of a worker, on real sockets: strict in what it reads, exact in what it says."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from localai.worker.http_requests import Refused, Request
from localai.worker.http_server import Exchange, Limits
from tests.wire.scripted import LOOPS
from tests.worker.served import (
    CHUNKED,
    GET,
    POST,
    TEXT,
    Running,
    close,
    repeat,
    stream,
    until,
    with_server,
)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("request_bytes", [POST, CHUNKED, GET], ids=["length", "chunks", "no body"])
def test_a_request_cut_anywhere_is_read_whole(request_bytes: bytes, loop: str) -> None:
    message = close(request_bytes)
    body = b"POST /a hello" if b"POST" in message else b"GET /a "

    async def test(found: Running) -> None:
        cuts = [(message[:cut], message[cut:]) for cut in range(len(message))]
        cuts.append(tuple(bytes([byte]) for byte in message))
        said = await asyncio.gather(*(found.say(*pieces, pause_s=0.001) for pieces in cuts))
        for answer in said:
            assert answer.startswith(b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
            assert answer.endswith(b"\r\n\r\n" + body)

    with_server(repeat, test, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_requests_that_come_together_are_answered_in_order(loop: str) -> None:
    async def slow_first(exchange: Exchange) -> None:
        await asyncio.sleep(0.05 if exchange.request.path == "/1" else 0)
        await repeat(exchange)

    async def test(found: Running) -> None:
        together = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(1, 30))
        answer = await found.say(together + b"\r\n" + close(POST))  # an empty line is allowed
        paths = [f"GET /{n} ".encode() for n in range(1, 30)]
        places = [answer.index(path) for path in paths]
        assert places == sorted(places)
        assert answer.endswith(b"POST /a hello")

    with_server(slow_first, test, loop=loop)


def test_a_flood_behind_a_running_request_is_not_read() -> None:
    """What is sent before the answer to the last request waits in the caller's socket."""

    async def wait(exchange: Exchange) -> None:
        await go.wait()
        await repeat(exchange)

    go = asyncio.Event()

    async def test(found: Running) -> None:
        reader, writer = await found.open()
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while sent < 50_000_000:
                    writer.write(GET * 1000)
                    await writer.drain()
                    sent += 1000
        assert len(GET) * sent < 5_000_000
        go.set()
        for _ in range(sent):
            await reader.readuntil(b"GET /a ")
        writer.transport.abort()

    with_server(wait, test)


# ---- what is refused

HOST = b"Host: x\r\n"
BAD = {
    "another protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "no HTTP": (b"hello\r\n\r\n", 400),
    "small method": (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 400),
    "no path": (b"GET HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "absolute path": (b"GET http://x/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    "only LF": (b"GET / HTTP/1.1\nHost: x\n\n\r\n\r\n", 400),
    "LF in a header": (b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
    "NUL in a header": (b"GET / HTTP/1.1\r\nHost: \0\r\n\r\n", 400),
    "folded header": (b"GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", 400),
    "space in a name": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello", 400),
    "no colon": (b"GET / HTTP/1.1\r\nHost: x\r\nnothing\r\n\r\n", 400),
    "no name": (b"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
    "length +5": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello", 400),
    "length 0x5": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello", 400),
    "length 5, 5": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
    "empty length": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nhello", 400),
    "length ٥": ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ٥\r\n\r\nhello".encode(), 400),
    "too long": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", 413),
    "far too long": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n" % (b"9" * 40), 400),
    "length and chunks": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "chunks in 1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "other coding": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "coding twice": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    "chunk -1": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
    "chunk 0x1": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n", 400),
    "chunk too long": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3E9\r\n", 413),
    "huge chunk": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n" % (b"f" * 15), 413),
    "chunk without end": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
    "size without end": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 300, 400),
    "trailers": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: y\r\n\r\n", 400),
    "many small chunks": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 1001, 413),
    "large head": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 12_000, 431),
    "large line": (b"GET /" + b"a" * 70_000, 431),
    "large whole head": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
}  # fmt: skip


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("unix", [True, False])
def test_what_is_not_right_is_refused_and_the_connection_closed(
    loop: str,
    unix: bool,  # noqa: FBT001 - pytest gives it by name
    caplog: pytest.LogCaptureFixture,
) -> None:
    handled: list[str] = []

    async def never(exchange: Exchange) -> None:
        handled.append(exchange.request.path)

    async def test(found: Running) -> None:
        said = await asyncio.gather(*(found.say(message + POST) for message, _ in BAD.values()))
        for name, answer in zip(BAD, said, strict=True):
            status = BAD[name][1]
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (name, answer)
            assert answer.count(b"HTTP/1.1 ") == 1, (name, answer)
        assert handled == []
        await until(lambda: not found.server.connections)

    with_server(never, test, loop=loop, unix=unix, limits=Limits(body_bytes=1000))
    assert not caplog.records


def test_a_header_of_spaces_takes_no_time() -> None:
    """Patterns that look back and forth would need minutes for this."""
    evil = [
        b"GET / HTTP/1.1\r\nHost: x\r\nA:" + b" " * 65_000 + b"b" + b"\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b" + b" \t" * 32_000 + b"\x01\r\n\r\n",
        b"GET /" + b"?" * 65_000 + b" \r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1"
        + b" " * 250
        + b"x\r\n",
        b"\r\n" * 100_000 + b"x",
    ]

    async def test(found: Running) -> None:
        for message in evil:
            assert b" 400 " in await found.say(message)

    with_server(repeat, test)


def test_who_may_not_come_in_is_told_before_the_body_is_read() -> None:
    def admit(request: Request) -> None:
        if request.headers.get("authorization") != "Bearer secret":
            raise Refused(401, "no")

    async def test(found: Running) -> None:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
        assert b" 401 " in await found.say(head)
        assert b" 401 " in await found.say(
            head, bytes(10_000_000)
        )  # one that sends it all the same
        good = close(POST).replace(b"Host", b"Authorization: Bearer secret\r\nHost")
        assert b" 200 " in await found.say(good)

    with_server(repeat, test, admit=admit)


def test_a_caller_that_waits_to_be_asked_for_its_body() -> None:
    head, body = close(POST).split(b"\r\n\r\n")

    async def test(found: Running) -> None:
        answer = await found.say(head + b"\r\nExpect: 100-continue\r\n\r\n", body, pause_s=0.02)
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        large = head.replace(b"Content-Length: 5", b"Content-Length: 5000")
        refused = await found.say(large + b"\r\nExpect: 100-continue\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 413 ")

    with_server(repeat, test, limits=Limits(body_bytes=1000))


# ---- streams


def test_a_stream_is_chunked_and_the_connection_kept() -> None:
    async def test(found: Running) -> None:
        reader, writer = await found.open()
        for _ in range(3):
            writer.write(GET)
            answer = await reader.readuntil(b"\r\n0\r\n\r\n")
            assert answer == (
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"
            )
        writer.transport.abort()

    with_server(stream, test)


def test_for_an_old_caller_the_end_of_the_connection_is_the_end() -> None:
    """nginx asks in HTTP/1.0 unless it is told otherwise."""

    async def test(found: Running) -> None:
        for more in (b"", b"Connection: keep-alive\r\n"):
            answer = await found.say(b"GET / HTTP/1.0\r\n" + more + b"\r\n")
            assert answer == (
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n"
                b"one two three"
            )

    with_server(stream, test)


def test_an_end_without_a_beginning() -> None:
    async def at_once(exchange: Exchange) -> None:
        exchange.end(b"all", TEXT)

    async def test(found: Running) -> None:
        assert (await found.say(close(GET))).endswith(b"\r\n\r\n3\r\nall\r\n0\r\n\r\n")

    with_server(at_once, test)


@pytest.mark.parametrize("how", ["nothing", "half", "raises"])
def test_a_handler_that_does_not_end_its_answer_ends_the_connection(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(exchange: Exchange) -> None:
        if how != "nothing":
            await exchange.send(b"half", TEXT)
        if how == "raises":
            raise ZeroDivisionError

    async def test(found: Running) -> None:
        answer = await found.say(GET)
        assert b"0\r\n\r\n" not in answer
        assert found.server.connections == set()

    with_server(broken, test)
    assert bool(caplog.records) is (how == "raises")


# ---- callers that leave, sleep or crawl

"""The client of a worker's port, against servers that do everything wrong, on real sockets."""

from __future__ import annotations

import asyncio

import pytest

from localai.wire.http_client import CutShort, HttpClient, NotHttp, NotReached
from tests.wire.scripted import LOOPS, Line, Scripted, answering, ask, with_server

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhe\r\n3;name=value\r\nllo\r\n0\r\nTrailer: x\r\n\r\n"
)
TO_THE_END = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + LENGTH
NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
WHOLE = {
    "length": (LENGTH, (200, b"hello")),
    "chunks": (CHUNKED, (200, b"hello")),
    "to the end": (TO_THE_END, (200, b"hello")),
    "HTTP/1.0": (OLD, (200, b"hello")),
    "100 first": (CONTINUED, (200, b"hello")),
    "no body": (NOTHING, (204, b"")),
    "an error": (REFUSED, (503, b"")),
}

# The scripted server may be ended with a connection that it had not looked at yet.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("form", WHOLE)
def test_an_answer_cut_anywhere_is_read_whole(form: str, loop: str) -> None:
    """Every cut into two, and into single bytes; each on a connection of its own."""
    message, expected = WHOLE[form]

    async def script(line: Line) -> None:
        path = (await line.request()).split()[1]
        cut = int(path[1:])
        pieces = [message[:cut], message[cut:]] if cut else [bytes([byte]) for byte in message]
        for piece in pieces:
            await line.say(piece)
            await asyncio.sleep(0.002 if cut else 0)

    async def test(server: Scripted, client: HttpClient) -> None:
        asked = [ask(client, f"/{cut}") for cut in range(len(message))]
        assert await asyncio.gather(*asked) == [expected] * len(message)

    with_server(script, test, loop=loop)


@pytest.mark.parametrize("form", WHOLE)
def test_half_an_answer_is_never_a_whole_one(form: str) -> None:
    message, (_, body) = WHOLE[form]

    async def script(line: Line) -> None:
        cut = int((await line.request()).split()[1][1:])
        await line.say(message[:cut])
        line.writer.close()

    async def test(server: Scripted, client: HttpClient) -> None:
        async def half(cut: int) -> None:
            try:
                status, got = await ask(client, f"/{cut}")
            except CutShort as error:
                assert error.has_begun is (cut > 0)
            else:  # only where the end of the connection is the end of the answer
                assert form == "to the end"
                assert status == 200
                assert body.startswith(got)

        await asyncio.gather(*(half(cut) for cut in range(len(message))))

    with_server(script, test)


def test_what_comes_together_is_given_together() -> None:
    lines = b"".join(
        b"%x\r\n%b\r\n" % (len(text), text) for text in (b"one\n", b"two\n", b"three\n")
    )

    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + lines)
        await line.hung_up()

    async def test(server: Scripted, client: HttpClient) -> None:
        async with await client.post("/x", b"") as answer:
            assert await answer.piece() == b"one\ntwo\nthree\n"

    with_server(script, test)


@pytest.mark.parametrize("unix", [True, False])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_is_kept(loop: str, unix: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    async def script(line: Line) -> None:
        while await line.request():
            await line.say(CHUNKED)

    async def test(server: Scripted, client: HttpClient) -> None:
        for _ in range(10):
            assert await ask(client) == (200, b"hello")
        assert len(server.lines) == 1
        await asyncio.gather(*(ask(client) for _ in range(100)))
        assert len(server.lines) <= 101
        await asyncio.gather(*(ask(client) for _ in range(100)))

    with_server(script, test, loop=loop, unix=unix)


def test_what_is_sent() -> None:
    seen: list[bytes] = []

    async def script(line: Line) -> None:
        while request := await line.request():
            seen.append(request)
            await line.say(NOTHING)

    async def test(server: Scripted, client: HttpClient) -> None:
        await ask(client, "/a/b", b'{"c": 1}')
        async with await client.get("/health"):
            pass
        host = b"localhost"
        assert seen[0] == (
            b"POST /a/b HTTP/1.1\r\nHost: %b\r\nAuthorization: Bearer secret\r\n"
            b'Content-Type: application/json\r\nContent-Length: 8\r\n\r\n{"c": 1}' % host
        )
        assert seen[1] == (
            b"GET /health HTTP/1.1\r\nHost: %b\r\nAuthorization: Bearer secret\r\n\r\n" % host
        )

    with_server(script, test)


# ---- connections that end


@pytest.mark.parametrize("unix", [True, False])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("answer", [OLD, TO_THE_END, REFUSED])
def test_a_connection_that_ends_is_not_kept(answer: bytes, loop: str, unix: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    async def test(server: Scripted, client: HttpClient) -> None:
        for _ in range(3):
            await ask(client)
        assert len(server.lines) == 3

    with_server(answering(answer), test, loop=loop, unix=unix)


@pytest.mark.parametrize("unix", [True, False])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("pause_s", [0.0, 0.05])
def test_closed_while_idle_is_no_error(pause_s: float, loop: str, unix: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    """The server answers once per line and hangs up without a word, before or while it is asked."""

    async def test(server: Scripted, client: HttpClient) -> None:
        for _ in range(20):
            assert await ask(client) == (200, b"hello")
            await asyncio.sleep(pause_s)

    with_server(answering(LENGTH), test, loop=loop, unix=unix)


@pytest.mark.parametrize("unix", [True, False])
def test_closed_with_the_request_unread_is_no_error(unix: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    async def script(line: Line) -> None:
        await line.request()
        await line.say(LENGTH)
        if line.number == 0:
            await asyncio.sleep(0.2)  # the next request lies in the socket by now
            line.hang_up()
        else:
            await line.hung_up()

    async def test(server: Scripted, client: HttpClient) -> None:
        assert await ask(client) == (200, b"hello")
        server.lines[0].writer.transport.pause_reading()  # type: ignore[attr-defined]  # a reading transport
        assert await ask(client) == (200, b"hello")
        assert len(server.lines) == 2

    with_server(script, test, unix=unix)


@pytest.mark.parametrize("unix", [True, False])
def test_a_kept_line_that_ends_without_an_answer_is_tried_once_more(unix: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    """The request was read, so it may have begun: one more try, and no third."""
    seen: list[int] = []

    async def script(line: Line) -> None:
        while await line.request():
            seen.append(line.number)
            if len(seen) in (2, 4, 5):
                return
            await line.say(LENGTH)

    async def test(server: Scripted, client: HttpClient) -> None:
        assert await ask(client) == (200, b"hello")  # 1
        assert await ask(client) == (200, b"hello")  # 2 on the kept line, 3 on a fresh one
        with pytest.raises(CutShort) as caught:  # 4 on the kept line, 5 on a fresh one
            await ask(client)
        assert not caught.value.has_begun
        assert seen == [0, 0, 1, 1, 2]

    with_server(script, test, unix=unix)


def test_a_fresh_line_is_tried_once() -> None:
    seen: list[int] = []

    async def script(line: Line) -> None:
        await line.request()
        seen.append(line.number)

    async def test(server: Scripted, client: HttpClient) -> None:
        with pytest.raises(CutShort):
            await ask(client)
        assert seen == [0]

    with_server(script, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_request_that_was_read_by_a_server_that_died_is_not_said_to_be_unread(loop: str) -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(LENGTH)
        await line.request()
        server_of[0].vanish()

    server_of: list[Scripted] = []

    async def test(server: Scripted, client: HttpClient) -> None:
        server_of.append(server)
        assert await ask(client) == (200, b"hello")
        with pytest.raises(CutShort):
            await ask(client)
        with pytest.raises(NotReached):
            await ask(client)

    with_server(script, test, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_request_that_nobody_read_did_not_reach(loop: str) -> None:
    async def script(line: Line) -> None:
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a reading transport
        await asyncio.sleep(0.2)
        line.hang_up()

    async def test(server: Scripted, client: HttpClient) -> None:
        with pytest.raises(NotReached):
            await ask(client)
        with pytest.raises(NotReached):  # larger than what a socket takes
            await ask(client, body=bytes(1 << 24))

    with_server(script, test, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("unix", [True, False])
def test_nobody_listens(loop: str, unix: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    async def test(server: Scripted, client: HttpClient) -> None:
        server.vanish()
        with pytest.raises(NotReached, match="cannot be reached"):
            await ask(client)

    with_server(answering(), test, loop=loop, unix=unix)


# ---- servers that lie


GARBAGE = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
    "zeros": bytes(100),
    "a header without a name": b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a chunk without a size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n",
    "a chunk too long": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
    "another protocol after all": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_told_and_the_line_dropped(what: str, loop: str) -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(GARBAGE[what])
        assert await line.hung_up()

    async def test(server: Scripted, client: HttpClient) -> None:
        for count in (1, 2):
            with pytest.raises(NotHttp):
                await ask(client)
            assert len(server.lines) == count

    with_server(script, test, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_head_without_an_end(loop: str) -> None:
    sent = 0

    async def script(line: Line) -> None:
        nonlocal sent
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\n")
        while True:
            await line.say(b"A: b\r\n" * 1000)
            sent += 6000

    async def test(server: Scripted, client: HttpClient) -> None:
        with pytest.raises(NotHttp, match="65536"):
            await ask(client)
        assert sent < 10_000_000

    with_server(script, test, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("pause_s", [0.0, 0.05])
def test_more_than_was_asked_for(pause_s: float, loop: str) -> None:
    async def script(line: Line) -> None:
        await line.request()
        if pause_s:
            await line.say(LENGTH)
            await asyncio.sleep(pause_s)
            await line.say(LENGTH)
        else:
            await line.say(LENGTH + LENGTH)
        assert await line.hung_up()

    async def test(server: Scripted, client: HttpClient) -> None:
        for count in (1, 2):
            assert await ask(client) == (200, b"hello")
            await asyncio.sleep(3 * pause_s)
            assert len(server.lines) == count

    with_server(script, test, loop=loop)


# ---- readers and writers that are slow, or leave

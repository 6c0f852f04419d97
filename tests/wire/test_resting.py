"""An answer that is left unread for a moment: what comes meanwhile comes together."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable

import pytest

from localai.wire.http_client import Answer, CutShort, HttpClient
from tests.wire.scripted import LOOPS, Line, Scripted, ask, with_server

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello"
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\na"
REST_S = 0.2
pytestmark = pytest.mark.skipif(
    not hasattr(select, "EPOLLRDHUP"), reason="this kernel tells an end only with what comes before"
)


@pytest.mark.parametrize("loop", LOOPS)
def test_what_comes_in_a_rest_comes_together(loop: str) -> None:
    """Also the end of the answer; the connection is free then, and reads at once."""

    async def script(line: Line) -> None:
        await line.request()
        await line.say(BEGUN)
        for byte in (b"b", b"c", b"d", b"e", b"f"):
            await asyncio.sleep(0.01)
            await line.say(byte)
        await line.request()
        await line.say(LENGTH)

    async def test(server: Scripted, client: HttpClient) -> None:
        got: list[bytes] = []
        async with await client.post("/x", b"") as answer:

            def take(piece: bytes) -> None:
                got.append(piece)
                answer.rest(REST_S)

            await answer.follow(take)
        assert got == [b"a", b"bcdef"]
        loop_time = asyncio.get_running_loop().time
        began_s = loop_time()
        assert await ask(client) == (200, b"hello")
        assert loop_time() - began_s < REST_S
        assert len(server.lines) == 1

    with_server(script, test, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", ["given up", "closed"])
def test_leaving_in_a_rest_hangs_up_at_once(how: str, loop: str) -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(BEGUN)
        assert await line.hung_up()
        gone.set()

    async def test(server: Scripted, client: HttpClient) -> None:
        async with await client.post("/x", b"") as answer:
            assert await answer.piece() == b"a"
            answer.rest(60.0)
            if how == "closed":
                await client.close()
        await asyncio.wait_for(gone.wait(), 5.0)

    gone = asyncio.Event()
    with_server(script, test, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("unix", [True, False])
@pytest.mark.parametrize("rest", [b"bcdef", b"bc"])
@pytest.mark.parametrize("rest_s", [60.0, 0.01])
def test_the_end_does_not_wait_for_the_end_of_a_rest(
    rest: bytes,
    rest_s: float,
    loop: str,
    unix: bool,  # noqa: FBT001 - pytest gives it by name
) -> None:
    """Neither that of an answer, with which the other side hangs up, nor that of its process.

    One that comes after a rest is told twice, and counts once.
    """

    async def script(line: Line) -> None:
        await line.request()
        await line.say(BEGUN)
        await asyncio.sleep(0.05)
        await line.say(rest)
        line.writer.close()

    async def test(server: Scripted, client: HttpClient) -> None:
        got: list[bytes] = []
        for _ in range(2):
            async with await client.post("/x", b"") as answer:

                def take(piece: bytes, answer: Answer = answer) -> None:
                    got.append(piece)
                    answer.rest(rest_s)

                async with asyncio.timeout(5.0):
                    if len(rest) == 5:
                        await answer.follow(take)
                    else:
                        with pytest.raises(CutShort):
                            await answer.follow(take)
            assert got == [b"a", rest]
            got.clear()

    with_server(script, test, loop=loop, unix=unix)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("unix", [True, False])
def test_much_that_comes_in_a_rest_is_not_lost(loop: str, unix: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    """More than is read at once, and more than is kept for a taker that wants to wait."""
    size, block = 5_000_000, 50_000

    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // block):
            await line.say(bytes(block))

    async def test(server: Scripted, client: HttpClient) -> None:
        got: list[int] = []
        async with await client.post("/x", b"") as answer:

            def take(piece: bytes) -> Awaitable[None] | None:
                got.append(len(piece))
                if len(got) < 20:
                    answer.rest(0.02)
                return asyncio.sleep(0.05) if len(got) % 7 == 3 else None

            await answer.follow(take)
        assert sum(got) == size

    with_server(script, test, loop=loop, unix=unix)

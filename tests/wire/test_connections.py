"""The life of a client's connections: read slowly, given up, followed, opened again, closed."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from localai.wire.http_client import CutShort, HttpClient, NotHttp, NotReached
from localai.wire.incoming import TakeBytes
from tests.wire.scripted import LOOPS, Line, Scripted, answering, ask, run, with_server

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello"
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nfull"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
# The scripted server may be ended with a connection that it had not looked at yet.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.mark.parametrize("loop", LOOPS)
def test_an_answer_that_nobody_reads_does_not_fill_the_memory(loop: str) -> None:
    size, block = 50_000_000, 100_000
    sent = 0

    async def script(line: Line) -> None:
        nonlocal sent
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            await line.say(bytes(block))
            sent += block

    async def test(server: Scripted, client: HttpClient) -> None:
        async with await client.post("/x", b"") as answer:
            await until_still(lambda: sent)
            assert sent < 10_000_000  # what the kernel takes for both ends, and a little here
            assert len(await answer.whole()) == size

    with_server(script, test, loop=loop)


async def until_still(probe: Callable[[], int]) -> None:
    """Wait until a number stays the same for a while."""
    before = -1
    while before != probe():
        before = probe()
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("loop", LOOPS)
def test_leaving_early_hangs_up(loop: str) -> None:
    noticed = asyncio.Event

    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        assert await line.hung_up()
        gone.set()

    async def test(server: Scripted, client: HttpClient) -> None:
        nonlocal gone
        gone = noticed()
        async with await client.post("/x", b"") as answer:
            assert await answer.piece() == b"a"
        await gone.wait()
        with pytest.raises(CutShort):
            await answer.piece()

    gone: asyncio.Event
    with_server(script, test, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"])
def test_cancelling_hangs_up(begun: bytes, loop: str) -> None:
    async def script(line: Line) -> None:
        await line.request()
        if begun:
            await line.say(begun)
        assert await line.hung_up()
        gone.append(True)

    gone: list[bool] = []

    async def test(server: Scripted, client: HttpClient) -> None:
        asking = asyncio.create_task(ask(client))
        while not server.lines:  # noqa: ASYNC110 - in another task
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        while not gone:  # noqa: ASYNC110 - in another task
            await asyncio.sleep(0.01)

    with_server(script, test, loop=loop)


def open_files() -> int:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("this system does not list a process's open files")
    return len(list(folder.iterdir()))


@contextlib.contextmanager
def deaf_port() -> contextlib.AbstractContextManager[str]:
    """An address that accepts no connection and refuses none: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", port))
            fillers.append(filler)
        yield f"http://127.0.0.1:{port}"
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("loop", LOOPS)
def test_connecting_has_a_limit_and_can_be_cancelled(loop: str) -> None:
    async def test(address: str) -> None:
        impatient = HttpClient(address, connect_s=0.2)
        with pytest.raises(NotReached, match=r"within 0\.2 s"):
            await impatient.get("/x")
        before = open_files()
        with pytest.raises(NotReached):
            await impatient.get("/x")
        patient = HttpClient(address)
        asking = asyncio.create_task(ask(patient))
        await asyncio.sleep(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(0.05)
        assert open_files() == before

    with deaf_port() as address:
        run(test(address), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_closing_cuts_what_runs(loop: str) -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na")
        await line.hung_up()

    async def test(server: Scripted, client: HttpClient) -> None:
        answer = await client.post("/x", b"")
        reading = asyncio.create_task(answer.whole())
        await asyncio.sleep(0.05)
        await client.close()
        with pytest.raises(CutShort):
            await reading
        with pytest.raises(NotReached):
            await client.get("/x")

    with_server(script, test, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("unix", [True, False])
def test_a_large_request_arrives(loop: str, unix: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    body = os.urandom(1 << 20) * 20
    seen: list[bytes] = []

    async def script(line: Line) -> None:
        while request := await line.request():
            seen.append(request)
            await line.say(LENGTH)

    async def test(server: Scripted, client: HttpClient) -> None:
        for _ in range(2):
            assert await ask(client, body=body) == (200, b"hello")
        assert [request.endswith(body) for request in seen] == [True, True]
        assert len(server.lines) == 1

    with_server(script, test, loop=loop, unix=unix)


def test_no_line_is_used_again_while_a_refused_request_is_still_in_it() -> None:
    async def script(line: Line) -> None:
        await line.say(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        await line.hung_up()

    async def test(server: Scripted, client: HttpClient) -> None:
        for count in (1, 2):
            assert await ask(client, body=bytes(1 << 24)) == (413, b"no")
            assert len(server.lines) == count

    with_server(script, test)


def test_a_finished_connection_leaves_nothing_behind() -> None:
    """No cycle of objects waits for the garbage collector."""
    import gc
    import weakref

    async def test(server: Scripted, client: HttpClient) -> None:
        gone = []
        for _ in range(5):
            async with await client.post("/x", b"") as answer:
                await answer.whole()
                gone.append(weakref.ref(answer._connection))
            del answer
        await asyncio.sleep(0.05)
        assert [found for ref in gone if (found := ref()) is not None] == []

    gc.collect()
    gc.disable()
    try:
        with_server(answering(REFUSED), test)
    finally:
        gc.enable()


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


FROM_THE_HEAD = [True, False]  # whether the request names the taker already


async def followed(client: HttpClient, path: str, take: TakeBytes, *, from_the_head: bool) -> None:
    """Follow the answer to one POST."""
    asked = client.post(path, b"", take) if from_the_head else client.post(path, b"")
    async with await asked as answer:
        await answer.follow(take)


@pytest.mark.parametrize("from_the_head", FROM_THE_HEAD)
@pytest.mark.parametrize("loop", LOOPS)
def test_an_answer_is_followed(loop: str, from_the_head: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    """Each piece at once, what follows a pause of the reader after it, and the end."""

    async def script(line: Line) -> None:
        await line.request()
        await line.say(CHUNKED)
        for number in range(50):
            await line.say(chunk(b"%d " % number))
            await asyncio.sleep(0.001 if number % 3 else 0)
        await line.say(b"0\r\n\r\n")
        await line.hung_up()

    async def test(server: Scripted, client: HttpClient) -> None:
        for every in (0, 1, 7):
            got = b""
            busy = False

            async def rest() -> None:
                nonlocal busy
                await asyncio.sleep(0.003)
                busy = False

            def take(piece: bytes, every: int = every) -> Awaitable[None] | None:
                nonlocal got, busy
                assert not busy
                got += piece
                if every and got.count(b" ") % every == 0:
                    busy = True
                    return rest()
                return None

            await followed(client, "/x", take, from_the_head=from_the_head)
            assert got == b"".join(b"%d " % number for number in range(50))

    with_server(script, test, loop=loop)


@pytest.mark.parametrize("from_the_head", FROM_THE_HEAD)
def test_following_ends_as_the_answer_does(from_the_head: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    hung_up = asyncio.Event()

    async def script(line: Line) -> None:
        path = (await line.request()).split()[1]
        await line.say(CHUNKED + chunk(b"one"))
        if path == b"/cut":
            await asyncio.sleep(0.02)
            line.hang_up()
        elif path == b"/noise":
            await line.say(b"zzz\r\n")
        elif await line.hung_up():
            hung_up.set()

    async def test(server: Scripted, client: HttpClient) -> None:
        got: list[bytes] = []
        for path, error in (("/cut", CutShort), ("/noise", NotHttp)):
            with pytest.raises(error):
                await followed(client, path, got.append, from_the_head=from_the_head)
        assert got == [b"one", b"one"]

        def refuse(piece: bytes) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await followed(client, "/", refuse, from_the_head=from_the_head)
        await asyncio.wait_for(hung_up.wait(), 5)

    with_server(script, test)


def test_what_comes_with_the_head_is_taken_at_once() -> None:
    """Before whoever asked is woken; and only where the status says that it is an answer."""

    async def script(line: Line) -> None:
        while request := await line.request():
            refuses = request.split()[1] == b"/no"
            await line.say(FULL if refuses else CHUNKED + chunk(b"one") + b"0\r\n\r\n")

    async def test(server: Scripted, client: HttpClient) -> None:
        got: list[bytes] = []
        async with await client.post("/yes", b"", got.append) as answer:
            assert got == [b"one"]
            await answer.follow(got.append)
        assert got == [b"one"]
        async with await client.post("/no", b"", got.append) as answer:
            assert answer.status == 503
            assert await answer.whole() == b"full"
        assert got == [b"one"]

    with_server(script, test)


@pytest.mark.parametrize("from_the_head", FROM_THE_HEAD)
def test_a_taker_that_fails_later_hangs_up(from_the_head: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    hung_up = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        await line.say(CHUNKED + chunk(b"one"))
        await asyncio.sleep(0.02)
        await line.say(chunk(b"two"))
        if await line.hung_up():
            hung_up.set()

    async def test(server: Scripted, client: HttpClient) -> None:
        got: list[bytes] = []

        def take(piece: bytes) -> None:
            got.append(piece)
            if piece == b"two":
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await followed(client, "/", take, from_the_head=from_the_head)
        assert got == [b"one", b"two"]
        await asyncio.wait_for(hung_up.wait(), 5)

    with_server(script, test)


@pytest.mark.parametrize("from_the_head", FROM_THE_HEAD)
def test_a_follower_that_waits_does_not_fill_the_memory(from_the_head: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    sent = 0

    async def script(line: Line) -> None:
        nonlocal sent
        await line.request()
        await line.say(CHUNKED)
        with contextlib.suppress(TimeoutError):
            while True:
                await asyncio.wait_for(line.say(chunk(b"x" * 50_000)), 0.3)
                sent += 50_000
        await line.hung_up()

    async def test(server: Scripted, client: HttpClient) -> None:
        never = asyncio.get_running_loop().create_future()
        following = followed(client, "/", lambda _: never, from_the_head=from_the_head)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(following, 1.0)
        assert sent < 20_000_000

    with_server(script, test)


@pytest.mark.parametrize("unix", [True, False])
def test_the_next_connection_is_opened_ahead(unix: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    """For a server that hangs up after each answer; one that was never used is not renewed."""

    async def test(server: Scripted, client: HttpClient) -> None:
        for asked in range(1, 4):
            assert await ask(client) == (200, b"hello")
            async with asyncio.timeout(5):
                while len(server.lines) == asked:  # noqa: ASYNC110 - the other side cannot tell
                    await asyncio.sleep(0.005)
        server.lines[-1].hang_up()
        await asyncio.sleep(0.05)
        assert len(server.lines) == 4
        assert await ask(client) == (200, b"hello")

    with_server(answering(LENGTH), test, unix=unix, reopens=True)


def test_who_hangs_up_early_has_the_next_connection_ready() -> None:
    """One, however many were hung up."""

    async def script(line: Line) -> None:
        if await line.request():
            await line.say(CHUNKED + chunk(b"one"))
            await line.hung_up()

    async def test(server: Scripted, client: HttpClient) -> None:
        answers = [await client.post("/", b"") for _ in range(20)]
        for answer in answers:
            answer.close()
        async with asyncio.timeout(5):
            while len(server.lines) == 20:  # noqa: ASYNC110 - the other side cannot tell
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        assert len(server.lines) == 21
        async with await client.post("/", b"") as answer:
            assert await answer.piece() == b"one"
        assert len(server.lines) in {21, 22}

    with_server(script, test, reopens=True)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("from_the_head", FROM_THE_HEAD)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_wait_of_a_follower_that_is_given_up_is_not_left_behind(
    loop: str,
    from_the_head: bool,  # noqa: FBT001 - pytest gives it by name
) -> None:
    """The very moment it begins; a coroutine that nobody awaits would be told to the log."""
    left: list[Any] = []

    async def script(line: Line) -> None:
        await line.request()
        await line.say(CHUNKED + chunk(b"a"))
        await line.hung_up()

    async def test(server: Scripted, client: HttpClient) -> None:
        def take(_piece: bytes) -> Awaitable[None]:
            following.cancel()
            left.append(asyncio.sleep(0))
            return left[-1]

        following = asyncio.create_task(followed(client, "/x", take, from_the_head=from_the_head))
        with pytest.raises(asyncio.CancelledError):
            await following
        assert [inspect.getcoroutinestate(wait) for wait in left] == [inspect.CORO_CLOSED]

    with_server(script, test, loop=loop)

"""The life of a worker's HTTP connections: callers that leave, are slow, or say nothing."""

from __future__ import annotations

import asyncio
import http.client
import logging
import shutil
import subprocess

import pytest

from localai.worker.http_server import Exchange, Limits
from tests.live import PATIENCE_S
from tests.wire.scripted import LOOPS
from tests.worker.served import (
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
@pytest.mark.parametrize("how", ["reset", "close", "half"])
def test_hanging_up_cancels_before_the_next_piece(how: str, loop: str) -> None:
    said: list[int] = []
    cancelled = asyncio.Event

    async def endless(exchange: Exchange) -> None:
        try:
            for count in range(100_000):
                await exchange.send(b"more", TEXT)
                said.append(count)
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            gone.set()
            raise

    async def test(found: Running) -> None:
        nonlocal gone
        gone = cancelled()
        reader, writer = await found.open()
        writer.write(POST)
        await reader.readuntil(b"more")
        match how:
            case "reset":
                writer.transport.abort()
            case "close":
                writer.close()
            case _:
                writer.write_eof()
        before = len(said)
        await asyncio.wait_for(gone.wait(), PATIENCE_S)
        assert len(said) - before <= 1
        await until(lambda: not found.server.connections)
        writer.transport.abort()

    gone: asyncio.Event
    with_server(endless, test, loop=loop)


@pytest.mark.parametrize("cut", [1, 20, len(POST) - 6, len(POST) - 1])
def test_half_a_request_is_never_handled(cut: int, caplog: pytest.LogCaptureFixture) -> None:
    handled: list[Exchange] = []

    async def note(exchange: Exchange) -> None:
        handled.append(exchange)

    async def test(found: Running) -> None:
        _, writer = await found.open()
        writer.write(POST[:cut])
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await until(lambda: not found.server.connections)
        assert handled == []

    with_server(note, test)
    assert not caplog.records


@pytest.mark.parametrize("loop", LOOPS)
def test_a_caller_that_never_reads_is_cut_off_and_fills_no_memory(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = 0
    ended: list[type[BaseException]] = []

    async def endless(exchange: Exchange) -> None:
        nonlocal sent
        try:
            while True:
                await exchange.send(bytes(50_000), TEXT)
                sent += 50_000
                await asyncio.sleep(0)
        except BaseException as error:
            ended.append(type(error))
            raise

    async def test(found: Running) -> None:
        _, writer = await found.open()
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a reading transport
        writer.write(GET)
        await until(lambda: ended)
        assert ended == [asyncio.CancelledError]
        assert sent < 10_000_000
        await until(lambda: not found.server.connections)
        writer.transport.abort()

    with caplog.at_level(logging.WARNING):
        with_server(endless, test, loop=loop, limits=Limits(read_s=0.5))
    assert "unread for 0.5 s" in caplog.text


@pytest.mark.parametrize("loop", LOOPS)
def test_a_caller_that_reads_slowly_is_served(loop: str) -> None:
    size = 8_000_000

    async def large(exchange: Exchange) -> None:
        for _ in range(size // 50_000):
            await exchange.send(bytes(50_000), TEXT)
        exchange.end(b"", TEXT)

    async def test(found: Running) -> None:
        reader, writer = await found.open()
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a reading transport
        writer.write(close(GET))
        got = 0
        while got < size:
            writer.transport.resume_reading()  # type: ignore[attr-defined]  # a reading transport
            got += len(await reader.read(400_000))
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a reading transport
            await asyncio.sleep(0.05)  # over the whole answer, longer than the limit
        writer.transport.abort()

    with_server(large, test, loop=loop, limits=Limits(read_s=0.7))


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    async def test(found: Running) -> None:
        assert await found.say(sent) == b""

    with_server(repeat, test, limits=Limits(head_s=0.2))


def test_a_body_that_does_not_come_ends_the_connection() -> None:
    async def test(found: Running) -> None:
        assert await found.say(POST[:-1]) == b""
        crawling = [close(POST)[:-5], *(bytes([byte]) for byte in b"hello")]
        assert b" 200 " in await found.say(*crawling, pause_s=0.15)  # each piece in time

    with_server(repeat, test, limits=Limits(body_s=0.6))


def test_a_kept_connection_may_be_idle_but_not_slow() -> None:
    async def test(found: Running) -> None:
        reader, writer = await found.open()
        for _ in range(2):
            writer.write(POST)
            await reader.readuntil(b"hello")
            await asyncio.sleep(0.6)  # three times what a head may take
        writer.write(b"GET")
        assert await reader.read() == b""
        writer.close()

    with_server(repeat, test, limits=Limits(head_s=0.2))


@pytest.mark.parametrize("loop", LOOPS)
def test_closing_lets_running_answers_end(loop: str) -> None:
    async def slow(exchange: Exchange) -> None:
        await exchange.send(b"one ", TEXT)
        await asyncio.sleep(0.3 if exchange.request.path == "/a" else PATIENCE_S)
        exchange.end(b"two", TEXT)

    async def test(found: Running) -> None:
        idle = asyncio.create_task(found.say())
        quick = asyncio.create_task(found.say(GET))
        endless = asyncio.create_task(found.say(GET.replace(b"/a", b"/b")))
        await until(lambda: len([c for c in found.server.connections if c.task]) == 2)
        await found.server.close(grace_s=2.0)
        assert await idle == b""
        assert (await quick).endswith(b"3\r\ntwo\r\n0\r\n\r\n")
        assert (await endless).endswith(b"4\r\none \r\n")
        with pytest.raises(OSError):
            await found.open()

    with_server(slow, test, loop=loop)


def test_five_hundred_callers_at_once() -> None:
    async def together(exchange: Exchange) -> None:
        waiting.append(exchange)
        if len(waiting) == 500:
            everybody.set()
        await everybody.wait()
        await stream(exchange)

    waiting: list[Exchange] = []

    async def test(found: Running) -> None:
        nonlocal everybody
        everybody = asyncio.Event()
        said = await asyncio.gather(*(found.say(close(POST)) for _ in range(500)))
        assert all(answer.endswith(b"three\r\n0\r\n\r\n") for answer in said)

    everybody: asyncio.Event
    with_server(together, test)


# ---- other people's clients


def test_curl_and_pythons_own_client_are_served() -> None:
    large = b"x" * 3_000_000  # for this curl waits to be told 100

    async def both(exchange: Exchange) -> None:
        if exchange.request.path == "/stream":
            await stream(exchange)
        else:
            exchange.reply(200, str(len(exchange.request.body)).encode(), TEXT)

    async def test(found: Running) -> None:
        def ask() -> None:
            connection = http.client.HTTPConnection(*found.address, timeout=PATIENCE_S)
            for _ in range(3):  # one connection
                connection.request("POST", "/stream", b"x")
                assert connection.getresponse().read() == b"one two three"
                connection.request("POST", "/a", iter([b"abc", b"de"]), encode_chunked=True)
                assert connection.getresponse().read() == b"5"
            connection.close()

        await asyncio.to_thread(ask)
        if shutil.which("curl") is None:
            return
        url = "http://{}:{}".format(*found.address)
        for more in ((), ("--http1.0",), ("-H", "Transfer-Encoding: chunked")):
            command = ["curl", "-sS", "--data-binary", "@-", *more, f"{url}/a"]
            if "--http1.0" in more:
                command += ["-H", "Expect:"]
            done = await asyncio.to_thread(
                subprocess.run,
                command,
                input=large,
                capture_output=True,
                check=True,
                timeout=PATIENCE_S,
            )
            assert done.stdout == b"3000000"

    with_server(both, test, unix=False)

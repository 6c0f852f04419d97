"""Pieces that come close together go out together; the first and the last never wait."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from localai.worker.senders import Senders

MEDIA_TYPE = "text/plain"


class Heard:
    """An exchange that notes what is sent, and when."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended: bytes | None = None
        self.is_full = False
        self.waits = 0

    def put(self, data: bytes, media_type: str) -> None:
        assert media_type == MEDIA_TYPE
        assert self.ended is None
        self.pieces.append(data)

    def end(self, data: bytes, media_type: str) -> None:
        assert media_type == MEDIA_TYPE
        self.ended = data

    async def room(self) -> None:
        self.waits += 1


async def send(sender: Any, piece: bytes) -> None:
    pending = sender.send(piece)
    if pending is not None:
        await pending


def sender_to(heard: Heard, senders: Senders) -> Any:
    exchange: Any = heard
    return senders.sender(exchange, MEDIA_TYPE)


def test_the_first_and_the_last_do_not_wait() -> None:
    async def test() -> None:
        heard = Heard()
        sender = sender_to(heard, Senders())
        await send(sender, b"1")
        assert heard.pieces == [b"1"]
        for piece in (b"2", b"3"):
            await send(sender, piece)
        assert heard.pieces == [b"1"]
        sender.end(b"4")
        sender.close()
        assert heard.ended == b"234"
        await asyncio.sleep(0.05)
        assert heard.pieces == [b"1"]

    asyncio.run(test())


def test_nothing_follows_the_last() -> None:
    """Its call ends a turn of the event loop later, and the timer may come in between."""

    async def test() -> None:
        heard = Heard()
        sender = sender_to(heard, Senders())
        for piece in (b"1", b"2"):
            await send(sender, piece)
        sender.end(b"3")
        await asyncio.sleep(0.05)
        assert heard.pieces == [b"1"]
        assert heard.ended == b"23"

    asyncio.run(test())


def test_what_is_held_goes_out_soon_and_in_order() -> None:
    async def test() -> None:
        senders = Senders()
        heard = [Heard() for _ in range(3)]
        sending = [sender_to(one, senders) for one in heard]
        for number in range(30):
            for sender in sending:
                await send(sender, b"%d " % number)
            if number % 10 == 9:
                await asyncio.sleep(0.05)
        for one in heard:
            assert b"".join(one.pieces) == b"".join(b"%d " % number for number in range(30))
            assert len(one.pieces) == 6  # each ten: one at once, nine together
            assert one.ended is None

    asyncio.run(test())


def test_what_comes_after_that_time_takes_along_what_was_held() -> None:
    """And nobody is woken by a timer that has nothing left to do."""

    async def test() -> None:
        senders, heard = Senders(), Heard()
        sender = sender_to(heard, senders)
        await send(sender, b"1")
        await send(sender, b"2")
        assert senders.is_waiting
        time.sleep(0.03)  # noqa: ASYNC251 - so that no timer can run
        await send(sender, b"3")
        assert heard.pieces == [b"1", b"23"]
        assert not senders.is_waiting

    asyncio.run(test())


def test_nothing_is_sent_for_an_answer_that_was_given_up() -> None:
    async def test() -> None:
        senders, heard, other = Senders(), Heard(), Heard()
        gone, there = sender_to(heard, senders), sender_to(other, senders)
        for sender in (gone, there):
            await send(sender, b"1")
            await send(sender, b"2")
        gone.close()
        await asyncio.sleep(0.05)
        assert heard.pieces == [b"1"]
        assert other.pieces == [b"1", b"2"]

    asyncio.run(test())


def test_a_caller_who_does_not_read_is_waited_for() -> None:
    async def test() -> None:
        heard = Heard()
        sender = sender_to(heard, Senders())
        await send(sender, b"1")
        heard.is_full = True
        await send(sender, b"2")
        assert heard.waits == 1

    asyncio.run(test())

"""Watches connections that are not read at present, for nothing but their end.

A kernel that can tell the end of a connection apart from what comes on it is needed: Linux'.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import Callable

_AT_ONCE_BYTES = 1 << 16


def arrived(descriptor: int) -> bytes:
    """What the kernel has of a connection that does not block; nothing for one that is broken."""
    pieces: list[bytes] = []
    with contextlib.suppress(OSError):  # no more has come
        while piece := os.read(descriptor, _AT_ONCE_BYTES):
            pieces.append(piece)
            if len(piece) < _AT_ONCE_BYTES:
                break
    return b"".join(pieces)


class Ends:
    """The connections of one event loop whose end is watched, by their descriptors."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: dict[int, Callable[[], None]] = {}

    def watch(self, descriptor: int, ended: Callable[[], None]) -> bool:
        """Call `ended` once the other side has hung up. False where no kernel would tell."""
        if descriptor in self._watched:
            return True
        if not hasattr(select, "EPOLLRDHUP"):
            return False
        if self._epoll is None:
            self._epoll = select.epoll()
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._epoll.fileno(), self._look)
        self._epoll.register(descriptor, select.EPOLLRDHUP)
        self._watched[descriptor] = ended
        return True

    def forget(self, descriptor: int) -> None:
        """Watch this one no more, before it is closed."""
        if self._watched.pop(descriptor, None) is not None and self._epoll is not None:
            with contextlib.suppress(OSError):  # it was closed already
                self._epoll.unregister(descriptor)

    def close(self) -> None:
        """Watch nothing any more."""
        for descriptor in list(self._watched):
            self.forget(descriptor)
        if self._epoll is not None and self._loop is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _look(self) -> None:
        assert self._epoll is not None
        for descriptor, _ in self._epoll.poll(0):
            ended = self._watched[descriptor]
            self.forget(descriptor)
            ended()

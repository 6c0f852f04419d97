"""How often the answer of an engine is looked at.

An engine sends each token by itself. Where it makes them on all cores, every wake-up of another
thread runs with cold caches and holds one core up, while the others wait for it: for a small model
that is a twentieth of its speed. What comes within the time of a picture is read together; the end of
an answer, with which the engine hangs up, never waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_MOST_S: Final = 0.033  # a film's time for a picture
_FEWEST: Final = 2  # lines that are worth a rest
_ENOUGH: Final = 64  # lines for one: the kernel keeps some hundred, then the engine must wait
_LOOK_BACK: Final = 256  # lines: an engine gets slower as its context fills
_STILL_S: Final = 0.1  # so long without a line, and the engine has done something else


class Pace:
    """The pace of one answer. `clock` gives seconds that only grow."""

    __slots__ = ("_began_s", "_clock", "_count", "_read_s")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._count = 0  # of lines since `_began_s`
        self._began_s = 0.0
        self._read_s = 0.0

    def rest_s(self, lines: int) -> float:
        """For how many seconds to leave the answer unread, now that so many `lines` have come.

        The first ones never wait, and those of a slow engine come alone anyway.
        """
        now_s = self._clock()
        is_first = now_s - self._read_s > _STILL_S
        self._read_s = now_s
        if is_first:
            self._began_s = now_s
            self._count = 0
            return 0.0
        self._count += lines
        took_s = now_s - self._began_s
        if self._count > _LOOK_BACK:
            self._count //= 2
            took_s /= 2
            self._began_s += took_s
        if self._count * _MOST_S <= _FEWEST * took_s:
            return 0.0
        return min(_MOST_S, took_s * _ENOUGH / self._count)

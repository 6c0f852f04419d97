"""When the answer of an engine is left unread for a moment."""

from __future__ import annotations

import bisect
import itertools

import pytest

from localai.worker.llama_server.pace import Pace
from tests.clock import Clock

MOST_S = 0.033


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


def played(clock: Clock, answer: Pace, *, count: int, every_s: float) -> list[float]:
    """The seconds since the first line at which each line is read, of an engine at work."""
    began_s = clock.now_s
    made_s = [began_s + number * every_s for number in range(count)]
    read_s: list[float] = []
    while len(read_s) < count:
        clock.now_s = max(clock.now_s, made_s[len(read_s)])
        lines = bisect.bisect_right(made_s, clock.now_s) - len(read_s)
        read_s += [clock.now_s - began_s] * lines
        clock.now_s += answer.rest_s(lines)
    return read_s


def late(read_s: list[float], every_s: float) -> list[float]:
    return [moment_s - number * every_s for number, moment_s in enumerate(read_s)]


def test_lines_come_together(clock: Clock) -> None:
    """Four or five at a time, none much later than it was made, the first two at once."""
    lates = late(read_s := played(clock, Pace(clock), count=96, every_s=0.007), 0.007)
    assert max(lates[:2]) < 1e-9
    assert max(lates) < MOST_S
    assert len(set(read_s)) < 25


@pytest.mark.parametrize("every_s", [0.0168, 0.03, 0.2])
def test_a_slow_engine_is_read_at_once(every_s: float, clock: Clock) -> None:
    read_s = played(clock, Pace(clock), count=100, every_s=every_s)
    assert max(late(read_s, every_s)) < 1e-9


@pytest.mark.parametrize("progress", [1, 40])
def test_the_time_of_a_long_prompt_does_not_count(progress: int, clock: Clock) -> None:
    """Whether its lines of progress come seldom or often."""
    answer = Pace(clock)
    for _ in range(progress):
        assert not answer.rest_s(1)
        clock.now_s += 20.0 / progress
    read_s = played(clock, answer, count=96, every_s=0.007)
    assert max(late(read_s, 0.007)) < MOST_S
    assert len(set(read_s)) < 25


@pytest.mark.parametrize("every_s", [0.0, 0.00001, 0.0001])
def test_a_fast_engine_never_waits_for_its_reader(every_s: float, clock: Clock) -> None:
    read_s = played(clock, Pace(clock), count=20_000, every_s=every_s)
    together = [len(list(lines)) for _, lines in itertools.groupby(read_s[10:])]
    assert not every_s or max(together) <= 66


def test_an_engine_that_gets_slower_is_read_at_once_again(clock: Clock) -> None:
    answer = Pace(clock)
    played(clock, answer, count=5000, every_s=0.002)
    clock.now_s += 0.03
    slow = late(played(clock, answer, count=500, every_s=0.03), 0.03)
    assert max(slow[300:]) < 1e-9


def test_pieces_without_a_line(clock: Clock) -> None:
    answer = Pace(clock)
    for _ in range(1000):
        assert not answer.rest_s(0)
        assert not answer.rest_s(0)
        clock.now_s += 0.001

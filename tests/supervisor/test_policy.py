"""Pure decisions: when a failing model is tried again, and who leaves for another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.supervisor.policy import Backoff, Resident, capacity, to_evict


def fail(backoff: Backoff, now_s: float, revision: str = "r1") -> float:
    backoff.failed(now_s=now_s, reason="why", revision=revision)
    return backoff.remaining_s(now_s=now_s, revision=revision)


def test_the_pause_doubles_to_five_minutes() -> None:
    backoff = Backoff(first_s=10)
    assert [fail(backoff, 1000.0 * step) for step in range(8)] == [
        10,
        20,
        40,
        80,
        160,
        300,
        300,
        300,
    ]


def test_the_pause_passes() -> None:
    backoff = Backoff(first_s=10)
    fail(backoff, 100)
    assert backoff.remaining_s(now_s=104, revision="r1") == 6
    assert backoff.remaining_s(now_s=111, revision="r1") == 0
    assert backoff.reason == "why"


def test_no_pause_is_asked_for() -> None:
    backoff = Backoff(first_s=0)
    assert [fail(backoff, 1), fail(backoff, 2)] == [0, 0]


def test_other_files_are_tried_at_once_and_begin_anew() -> None:
    backoff = Backoff(first_s=10)
    for step in range(3):
        fail(backoff, step)
    assert backoff.remaining_s(now_s=3, revision="r2") == 0
    assert fail(backoff, 3, "r2") == 10


def test_the_first_crash_is_free_the_second_is_not() -> None:
    backoff = Backoff(first_s=10)
    backoff.crashed(now_s=100, uptime_s=5, reason="x", revision="r1")
    assert backoff.remaining_s(now_s=100, revision="r1") == 0
    backoff.crashed(now_s=110, uptime_s=5, reason="x", revision="r1")
    assert backoff.remaining_s(now_s=110, revision="r1") == 10
    backoff.crashed(now_s=200, uptime_s=5, reason="x", revision="r1")
    assert backoff.remaining_s(now_s=200, revision="r1") == 20


def test_a_long_healthy_life_forgives_what_was_before() -> None:
    backoff = Backoff(first_s=10)
    for now_s in (100, 110, 120):
        backoff.crashed(now_s=now_s, uptime_s=1, reason="x", revision="r1")
    backoff.crashed(now_s=9000, uptime_s=3600, reason="x", revision="r1")
    assert backoff.remaining_s(now_s=9000, revision="r1") == 0


def test_crashes_of_other_files_do_not_count() -> None:
    backoff = Backoff(first_s=10)
    backoff.crashed(now_s=100, uptime_s=5, reason="x", revision="r1")
    backoff.crashed(now_s=110, uptime_s=5, reason="x", revision="r2")
    assert backoff.remaining_s(now_s=110, revision="r2") == 0


def resident(name: str, used_s: float, *, busy: bool = False, pinned: bool = False) -> Resident:
    return Resident(name=name, last_used_s=used_s, is_busy=busy, is_pinned=pinned)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(-1, []), (0, []), (1, ["old"]), (2, ["old", "mid"]), (3, ["old", "mid", "new"]), (9, ["old", "mid", "new"])],
)  # fmt: skip
def test_the_least_recently_used_leave(count: int, expected: list[str]) -> None:
    residents = [resident("new", 3), resident("old", 1), resident("mid", 2)]
    assert to_evict(residents, count) == expected


def test_who_does_nothing_leaves_before_who_does() -> None:
    residents = [resident("a", 1, busy=True), resident("b", 3), resident("c", 2, busy=True)]
    assert to_evict(residents, 3) == ["b", "a", "c"]


def test_there_is_always_one_place_beside_those_that_stay() -> None:
    pinned = [resident("a", 1, pinned=True), resident("b", 2, pinned=True)]
    assert capacity(0, pinned) == 0
    assert [capacity(limit, pinned) for limit in (1, 2, 3, 4)] == [3, 3, 3, 4]
    assert capacity(1, [resident("a", 1)]) == 1


residents = st.lists(
    st.builds(
        resident,
        st.text("abcdef", min_size=1),
        st.floats(0, 100),
        busy=st.booleans(),
        pinned=st.booleans(),
    ),
    unique_by=lambda one: one.name,
)


@given(residents, st.integers(0, 5))
def test_who_is_pinned_stays(present: list[Resident], count: int) -> None:
    leaving = to_evict(present, count)
    assert {one.name for one in present if one.is_pinned}.isdisjoint(leaving)
    able = sum(not one.is_pinned for one in present)
    assert len(leaving) == len(set(leaving)) == min(count, able)

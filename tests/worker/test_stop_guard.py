"""Stop sequences in a stream: nothing of one goes out, and nothing else is kept back for long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from localai.domain.events import BlockKind, Delta
from localai.worker.stop_guard import StopGuard

letters = st.text("ab", max_size=4)


def run(pieces: list[str], stops: tuple[str, ...]) -> tuple[str, str | None]:
    """What goes out, and the stop sequence that ended it."""
    guard = StopGuard(stops)
    out = ""
    for piece in pieces:
        out += "".join(delta.text for delta in guard.feed(Delta(0, 0, BlockKind.TEXT, piece)))
        if guard.found is not None:
            return out, guard.found
    return out + "".join(delta.text for delta in guard.release()), None


@given(st.lists(letters, max_size=8), st.lists(letters.filter(bool), min_size=1, max_size=3))
def test_it_cuts_before_the_first_stop(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    out, found = run(pieces, tuple(stops))
    if found is None:
        assert out == text
        assert not any(stop in text for stop in stops)
    else:
        assert text.startswith(out + found)
        assert not any(stop in out for stop in stops)


def test_what_cannot_begin_a_stop_goes_out_at_once() -> None:
    guard = StopGuard(("stop",))
    assert [delta.text for delta in guard.feed(Delta(0, 0, BlockKind.TEXT, "abc"))] == ["abc"]
    assert guard.feed(Delta(0, 0, BlockKind.TEXT, " st")) == []
    assert [delta.text for delta in guard.feed(Delta(0, 0, BlockKind.TEXT, "ay"))] == [" st", "ay"]

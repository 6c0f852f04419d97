"""Long audio in windows that are cut where it is quiet."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
from numpy.typing import NDArray

from localai.domain.audio import Segment, Word
from localai.domain.events import Progress
from localai.worker.audio import RATE_HZ, Sound, Window, by_windows
from tests.sounds import joined, silence, sine, wav


def windows_of(samples: NDArray[np.float32]) -> list[Window]:
    async def run() -> list[Window]:
        sound = await Sound.open(io.BytesIO(wav(samples)))
        found = [window async for window in sound.windows()]
        await sound.close()
        return found

    return asyncio.run(run())


def test_nothing_is_lost_or_said_twice() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 100 * RATE_HZ).clip(-1, 1).astype(np.float32)
    found = windows_of(noise)
    assert np.allclose(np.concatenate([window.samples for window in found]), noise, atol=1e-4)
    starts_s = np.cumsum([0.0, *(window.duration_s for window in found)])[:-1]
    assert [window.start_s for window in found] == pytest.approx(list(starts_s))
    assert all(15 <= window.duration_s <= 30 for window in found[:-1])


def test_a_cut_lies_in_a_pause() -> None:
    """Words of 1.2 s with pauses of 0.3 s; and one long word that would reach over the end."""
    word, pause = sine(1.2), silence(0.3)
    spoken = joined(*[word, pause] * 18, sine(6.0), *[pause, word] * 30)
    found = windows_of(spoken)
    assert len(found) > 2
    for window in found[1:]:
        at = int(window.start_s * RATE_HZ)
        assert np.abs(spoken[at - 800 : at + 800]).max() == 0
    assert found[1].start_s < 27.01  # before the long word


def test_the_latest_pause_is_taken_so_that_windows_are_long() -> None:
    assert windows_of(silence(100))[0].duration_s > 29


def test_short_audio_is_one_window() -> None:
    (only,) = windows_of(sine(0.3))
    assert (only.start_s, only.duration_s, only.is_silent) == (0.0, pytest.approx(0.3), False)


def heard(samples: NDArray[np.float32], segments: list[Segment]) -> list[Segment | Progress]:
    async def run() -> list[Segment | Progress]:
        sound = await Sound.open(io.BytesIO(wav(samples)))

        async def hear(window: Window) -> list[Segment]:
            return segments

        found = [event async for event in by_windows(sound, hear)]
        await sound.close()
        return found

    return asyncio.run(run())


def test_times_are_those_of_the_file_and_stay_in_their_window() -> None:
    words = (Word(text="a", start_s=1.0, end_s=2.0), Word(text="b", start_s=1.5, end_s=99.0))
    told = [
        Segment(text=" a b", start_s=1.0, end_s=2.0, words=words),
        Segment(text=" c", start_s=0.5, end_s=0.1),
        Segment(text=" d", start_s=-3.0, end_s=1000.0),
    ]
    found = [event for event in heard(sine(50), told) if isinstance(event, Segment)]
    assert len(found) == 6
    edge_s = found[3].start_s - 1.0
    assert 15 < edge_s <= 30
    for first, begin_s, end_s in ((0, 0.0, edge_s), (3, edge_s, 50.0)):
        for segment in found[first : first + 3]:
            assert begin_s <= segment.start_s <= segment.end_s <= end_s + 0.001
        spoken = found[first].words
        assert [word.start_s - begin_s for word in spoken] == pytest.approx([1.0, 2.0], abs=0.002)
    starts = [segment.start_s for segment in found]
    assert starts == sorted(starts)


def test_silence_is_not_asked_about() -> None:
    found = heard(joined(silence(61), sine(5)), [Segment(text=" x", start_s=0, end_s=1)])
    assert [event.text for event in found if isinstance(event, Segment)] == [" x"]
    progress = [event for event in found if isinstance(event, Progress)]
    assert len(progress) == 3  # one for each window, so that a watcher sees life
    assert progress[-1] == Progress("listening", 66, 66)

"""The audio of a request, as a backend gets it: samples in windows, never all at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from localai.domain.audio import Segment, Word
from localai.domain.events import Progress
from localai.worker.threads import in_own_thread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from localai.worker.audio.decoding import Decoder

    Samples = NDArray[np.float32]

RATE_HZ: Final = 16_000
WINDOW_S: Final = 30.0  # what Whisper hears at once (arXiv:2212.04356, 2.2)
_SHORTEST_PART: Final = 0.5  # of a window that is cut where it is quiet
_STAGE: Final = "listening"


@dataclass(frozen=True, slots=True)
class Window:
    """Mono samples at 16 kHz, float32 from -1 to 1, and where they begin."""

    start_s: float
    samples: Samples
    is_silent: bool

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.samples) / RATE_HZ


class Sound:
    """An audio file that is being heard, once, from the beginning to the end."""

    def __init__(self, decoder: Decoder, first: Samples, rest: Iterator[Samples]) -> None:
        """Made by `open`."""
        self._decoder = decoder
        self._first: Samples | None = first
        self._rest = rest
        self.heard_s = 0.0

    @classmethod
    async def open(cls, file: BinaryIO) -> Self:
        """Begin to decode. Raises InvalidRequest when there is no audio in `file`."""
        from localai.worker.audio.decoding import Decoder

        def begin() -> tuple[Decoder, Samples, Iterator[Samples]]:
            decoder = Decoder(file, RATE_HZ)
            blocks = decoder.blocks()
            try:
                return decoder, next(blocks), blocks
            except BaseException:
                decoder.close()
                raise

        return cls(*await in_own_thread(begin))

    async def close(self) -> None:
        """Free the decoder."""
        await in_own_thread(self._decoder.close)

    @property
    def progress(self) -> Progress:
        """How far it has been heard, in seconds."""
        expected_s = max(self._decoder.expected_s or 0.0, self.heard_s)
        return Progress(_STAGE, int(self.heard_s), int(expected_s))

    async def blocks(self) -> AsyncGenerator[Samples, None]:
        """All samples, in blocks of about ten seconds."""
        while (block := await in_own_thread(self._next)) is not None:
            self.heard_s += len(block) / RATE_HZ
            yield block

    async def windows(self, *, longest_s: float = WINDOW_S) -> AsyncGenerator[Window, None]:
        """All samples in windows of at most `longest_s`, cut where it is quiet."""
        import numpy as np

        from localai.worker.audio.quiet import is_silent, quiet_place

        longest = int(longest_s * RATE_HZ)
        held = np.zeros(0, np.float32)
        start = 0
        async with aclosing(self.blocks()) as blocks:
            async for block in blocks:
                held = np.concatenate([held, block])
                while len(held) > longest:
                    cut = quiet_place(held, int(longest * _SHORTEST_PART), longest, RATE_HZ)
                    yield Window(start / RATE_HZ, held[:cut], is_silent(held[:cut]))
                    start += cut
                    held = held[cut:]
        if len(held):
            yield Window(start / RATE_HZ, held, is_silent(held))

    def _next(self) -> Samples | None:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._rest, None)


async def by_windows(
    sound: Sound, hear: Callable[[Window], Awaitable[Sequence[Segment]]]
) -> AsyncGenerator[Segment | Progress, None]:
    """Hear `sound` window by window; a window with nothing to hear is passed over.

    `hear` gives times from the window's beginning; here they become the file's.
    """
    latest_s = 0.0
    async with aclosing(sound.windows()) as windows:
        async for window in windows:
            for segment in [] if window.is_silent else await hear(window):
                moved = _moved(segment, window, latest_s)
                latest_s = moved.start_s
                yield moved
            yield sound.progress


def _moved(segment: Segment, window: Window, latest_s: float) -> Segment:
    """A segment at its place in the file. Models guess times: they are kept inside the window."""

    def place(time_s: float, least_s: float) -> float:
        inside_s = window.start_s + min(max(time_s, 0.0), window.duration_s)
        return round(float(max(inside_s, least_s)), 3)  # engines like to give numpy's numbers

    start_s = place(segment.start_s, latest_s)
    words: list[Word] = []
    for word in segment.words:
        word_start_s = place(word.start_s, words[-1].end_s if words else start_s)
        end_s = place(word.end_s, word_start_s)
        words.append(replace(word, start_s=word_start_s, end_s=end_s))
    end_s = place(segment.end_s, max(start_s, words[-1].end_s if words else start_s))
    return replace(segment, start_s=start_s, end_s=end_s, words=tuple(words))

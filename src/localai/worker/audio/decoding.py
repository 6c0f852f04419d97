"""Any audio file that FFmpeg reads, as mono samples."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import av
import numpy as np

from localai.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

_PARAM: Final = "file"
_BLOCK_S: Final = 10
_FRAME_S: Final = 0.5
_MOST_BROKEN_PACKETS: Final = 1000  # in a row; then the rest is no audio
# A file is only a file: a playlist or a session description in it opens nothing else.
_OPTIONS: Final = {"protocol_whitelist": "none"}


class Decoder:
    """One open audio file. Everything here blocks, so it belongs in a thread."""

    def __init__(self, file: BinaryIO, rate_hz: int) -> None:
        """Open `file`. Raises InvalidRequest when there is no audio in it."""
        self._rate_hz = rate_hz
        try:
            self._container = av.open(
                file, mode="r", options=_OPTIONS, metadata_errors="ignore", buffer_size=1 << 16
            )
        except (av.error.FFmpegError, ValueError, OSError, MemoryError) as error:
            raise _unreadable(file) from error
        streams = self._container.streams.audio
        if not streams:
            self.close()
            message = "The file has no audio track."
            raise InvalidRequest(message, param=_PARAM, hint="Send a file with sound in it.")
        self._stream = streams[0]
        self.expected_s = _duration_s(self._container, self._stream)

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        self._container.close()

    def blocks(self) -> Iterator[Samples]:
        """All samples, float32 from -1 to 1, in blocks of about ten seconds.

        Damaged parts are left out, as players do. Raises InvalidRequest when nothing is left.
        """
        pieces: list[Samples] = []
        size = 0
        has_any = False
        for piece in self._pieces():
            pieces.append(piece)
            size += len(piece)
            if size >= _BLOCK_S * self._rate_hz:
                yield _joined(pieces)
                pieces, size = [], 0
                has_any = True
        if size:
            yield _joined(pieces)
        elif not has_any:
            message = "There is no audio in the file that can be decoded."
            raise InvalidRequest(message, param=_PARAM, hint="It may be damaged, or cut off.")

    def _pieces(self) -> Iterator[Samples]:
        """What the frames give at our rate."""
        resampler = self._resampler()
        for frame in _larger(self._frames()):
            frame.pts = None  # samples count: what follows a gap moves up, as players do it
            try:
                resampled = resampler.resample(frame)
            except ValueError:  # the file goes on with another rate or other channels
                yield from _rest(resampler)
                resampler = self._resampler()
                resampled = resampler.resample(frame)
            yield from map(_samples, resampled)
        yield from _rest(resampler)

    def _resampler(self) -> Any:
        return av.AudioResampler(format="flt", layout="mono", rate=self._rate_hz)

    def _frames(self) -> Iterator[Any]:
        broken = 0
        packets = self._container.demux(self._stream)
        while broken < _MOST_BROKEN_PACKETS:
            try:
                packet = next(packets)
            except (StopIteration, av.error.EOFError):
                return
            except (av.error.FFmpegError, ValueError):
                broken += 1
                continue
            try:
                yield from packet.decode()
                broken = 0
            except (av.error.FFmpegError, ValueError):
                broken += 1


def _larger(frames: Iterator[Any]) -> Iterator[Any]:
    """The same sound in frames of half a second: files come in pieces as short as a hundredth.

    Each frame costs the same, whatever its length.
    """
    gathered = av.AudioFifo()
    for frame in frames:
        frame.pts = None
        try:
            gathered.write(frame)
        except ValueError:  # it goes on with another rate, other channels or another kind of sample
            yield from _whole(gathered)
            gathered = av.AudioFifo()
            gathered.write(frame)
        if gathered.samples >= _FRAME_S * frame.sample_rate:
            yield from _whole(gathered)
    yield from _whole(gathered)


def _whole(gathered: av.AudioFifo) -> Iterator[Any]:
    frame = gathered.read() if gathered.samples else None
    if frame is not None:
        yield frame


def _rest(resampler: Any) -> Iterator[Samples]:
    with contextlib.suppress(av.error.FFmpegError, ValueError):
        yield from map(_samples, resampler.resample(None))


def _samples(frame: av.AudioFrame) -> Samples:
    """A copy: the frame's own memory is used again."""
    return np.frombuffer(frame.planes[0], np.float32, frame.samples).copy()


def _joined(pieces: list[Samples]) -> Samples:
    samples = np.concatenate(pieces)
    if np.isfinite(samples.sum()):  # one that is not makes the sum so
        return samples
    return np.nan_to_num(samples, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)


def _duration_s(container: Any, stream: Any) -> float | None:
    """What the file says of its length, which may be wrong."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration / av.time_base)
    return None


def _unreadable(file: BinaryIO) -> InvalidRequest:
    file.seek(0, 2)
    size = file.tell()
    if not size:
        return InvalidRequest("The file is empty.", param=_PARAM, hint="Send an audio file.")
    return InvalidRequest(
        f"The file ({size} bytes) is no audio that FFmpeg can read, whatever its name says.",
        param=_PARAM,
        hint="Send for example WAV, MP3, M4A, FLAC, OGG or WebM; it may also have been cut off.",
    )

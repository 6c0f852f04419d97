"""Audio for tests: made here, written in any format with FFmpeg."""

from __future__ import annotations

import io
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000

# name -> FFmpeg's container and codec; what people send
FORMATS = {
    "mp3": ("mp3", "libmp3lame"), "m4a": ("ipod", "aac"), "mp4": ("mp4", "aac"),
    "aac": ("adts", "aac"), "flac": ("flac", "flac"), "ogg": ("ogg", "libopus"),
    "webm": ("webm", "libopus"), "mkv": ("matroska", "libmp3lame"), "wav": ("wav", "pcm_s16le"),
    "wav-float": ("wav", "pcm_f32le"), "wav-24": ("wav", "pcm_s24le"), "mulaw": ("wav", "pcm_mulaw"),
    "aiff": ("aiff", "pcm_s16be"), "caf": ("caf", "pcm_s16le"), "ac3": ("ac3", "ac3"),
    "wma": ("asf", "wmav2"), "mp2": ("mp2", "mp2"), "avi": ("avi", "libmp3lame"),
    "mov": ("mov", "aac"), "ts": ("mpegts", "aac"), "wv": ("wv", "wavpack"), "tta": ("tta", "tta"),
    "au": ("au", "pcm_s16be"), "w64": ("w64", "pcm_s16le"),
}  # fmt: skip


@dataclass(frozen=True)
class Bytes:
    """A file in memory, as what the door hands on."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    async def read(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), 50_000):
            yield self.data[start : start + 50_000]


def sine(seconds: float, *, hertz: float = 440.0, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """A tone at a third of full loudness."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    return (np.sin(2 * np.pi * hertz * times) / 3).astype(np.float32)


def silence(seconds: float, *, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """Nothing at all."""
    return np.zeros(int(seconds * rate_hz), np.float32)


def wav(samples: NDArray[np.float32], *, rate_hz: int = RATE_HZ) -> bytes:
    """A mono, 16-bit WAV file."""
    data = (samples * 32767).astype("<i2").tobytes()
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + form
    return head + b"data" + struct.pack("<I", len(data)) + data


def written(
    name: str, samples: NDArray[np.float32], *, rate_hz: int = RATE_HZ, channels: int = 1
) -> bytes:
    """The samples in one of FORMATS."""
    import av

    container, codec = FORMATS[name]
    file = io.BytesIO()
    rate = 48_000 if codec in {"libopus", "ac3", "mp2"} else rate_hz
    layout = "mono" if channels == 1 else "stereo"
    with av.open(file, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=rate, layout=layout)
        if "pcm" not in codec:
            stream.bit_rate = 64_000
        resampler = av.AudioResampler(stream.codec_context.format.name, layout, rate)
        for frame in [*resampler.resample(_frame(samples, rate_hz)), *resampler.resample(None)]:
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def heard(data: bytes, **how: Any) -> tuple[NDArray[np.float32], int]:
    """The samples of a file and their rate, by FFmpeg's own judgement."""
    import av

    with av.open(io.BytesIO(data), **how) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("flt", "mono", stream.rate)
        pieces = [
            piece.to_ndarray().reshape(-1)
            for frame in [*container.decode(stream), None]
            for piece in resampler.resample(frame)
        ]
        return np.concatenate(pieces), stream.rate


def pitch_hz(samples: NDArray[np.float32], rate_hz: int) -> float:
    """The loudest frequency."""
    spectrum = np.abs(np.fft.rfft(samples))
    return float(spectrum.argmax()) * rate_hz / len(samples)


def joined(*pieces: NDArray[np.float32]) -> NDArray[np.float32]:
    """One after the other."""
    return np.concatenate(pieces)


def _frame(samples: NDArray[np.float32], rate_hz: int) -> Any:
    import av

    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
    frame.sample_rate = rate_hz
    return frame


def texts(segments: Sequence[Any]) -> str:
    """What a list of segments says."""
    return "".join(segment.text for segment in segments).strip()

"""What a voice says, written as MP3, Opus, AAC, FLAC, WAV or plain samples while it speaks."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from localai.domain.audio import AudioEncoding
from localai.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from localai.domain.audio import SynthesisRequest

_PIECE_BYTES: Final = 1 << 16
_SAMPLE_BYTES: Final = 2
_UNKNOWN_LENGTH: Final = 0xFFFFFFFF  # what players take for "until the end"
_HEADER_REST: Final = 36  # bytes of a WAV header after the length of the whole
_LOW_RATE_HZ: Final = 24_000
_LOW_BIT_RATE: Final = 64_000  # enough for speech at a low rate
_TELL_THEIR_LENGTH: Final = (AudioEncoding.WAV, AudioEncoding.FLAC)


@dataclass(frozen=True, slots=True)
class _Format:
    """How an encoding is made. `rate_hz` is used when the caller names none; 0 is the voice's own.

    `container` and `codec` are FFmpeg's names; both are empty where plain samples are enough.
    """

    media_type: str
    rate_hz: int = 0
    container: str = ""
    codec: str = ""
    options: Mapping[str, str] | None = None
    bit_rate: int = 0


_FORMATS: Final[Mapping[AudioEncoding, _Format]] = {
    # Without the Xing header, which would hold a length that is not known yet.
    AudioEncoding.MP3: _Format(
        "audio/mpeg", 0, "mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}, 96_000
    ),
    AudioEncoding.OPUS: _Format(
        "audio/ogg", 48_000, "ogg", "libopus", {"page_duration": "200000"}, 48_000
    ),
    AudioEncoding.AAC: _Format("audio/aac", 0, "adts", "aac", None, 96_000),
    AudioEncoding.FLAC: _Format("audio/flac", 0, "flac", "flac"),
    AudioEncoding.WAV: _Format("audio/wav"),
    AudioEncoding.PCM: _Format("audio/pcm", 24_000),  # OpenAI: 24 kHz, which no header tells
    AudioEncoding.MULAW: _Format("audio/basic", 8_000, "mulaw", "pcm_mulaw"),
    AudioEncoding.ALAW: _Format("audio/x-alaw-basic", 8_000, "alaw", "pcm_alaw"),
}


class Encoder:
    """Writes one answer. Everything here blocks, so it belongs in a thread."""

    def __init__(self, request: SynthesisRequest, voice_rate_hz: int) -> None:
        """Raises InvalidRequest for a rate that the encoding does not have."""
        form = _FORMATS[request.encoding]
        self.media_type = form.media_type
        self.rate_hz = request.rate_hz or form.rate_hz or voice_rate_hz
        self._voice_rate_hz = voice_rate_hz
        self._samples = 0
        tells_length = request.encoding in _TELL_THEIR_LENGTH and request.is_file
        self._out: _Sink | _Spool = _Spool() if tells_length else _Sink()
        self._writer: _Track | _Plain
        if form.codec:
            self.rate_hz = _allowed_rate(form, self.rate_hz, request)
            self._writer = _Track(form, self.rate_hz, request.bit_rate, self._out)
        else:
            is_wav = request.encoding is AudioEncoding.WAV
            is_same = self.rate_hz == voice_rate_hz
            self._writer = _Plain(self.rate_hz, self._out, is_wav=is_wav, is_same_rate=is_same)

    @property
    def duration_s(self) -> float:
        """How much has been spoken."""
        return self._samples / self._voice_rate_hz

    def feed(self, pcm: bytes) -> bytes:
        """The bytes that another piece of the voice's PCM makes, which may be none."""
        self._samples += len(pcm) // _SAMPLE_BYTES
        self._writer.feed(pcm, self._voice_rate_hz)
        return self._out.take()

    def finish(self) -> Iterator[bytes]:
        """The last bytes, in pieces."""
        self._writer.finish()
        return self._out.rest()

    def close(self) -> None:
        """Free everything, whether finished or not."""
        self._writer.close()
        self._out.close()


class _Sink:
    """A file that can only be written to; it keeps what nobody has taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken

    def rest(self) -> Iterator[bytes]:
        yield self.take()

    def close(self) -> None:
        self._pieces.clear()


class _Spool:
    """A file on disk without a name: lengths can be written into its head when they are known."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self.write = self._file.write
        self.seek = self._file.seek
        self.tell = self._file.tell

    def take(self) -> bytes:
        return b""

    def rest(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(_PIECE_BYTES):
            yield piece

    def close(self) -> None:
        self._file.close()


class _Plain:
    """Samples as they are, behind a header for WAV."""

    def __init__(
        self, rate_hz: int, out: _Sink | _Spool, *, is_wav: bool, is_same_rate: bool
    ) -> None:
        self._out = out
        self._rate_hz = rate_hz
        self._is_wav = is_wav
        self._resampler = None if is_same_rate else _resampler("s16", rate_hz)
        self._size = 0
        if is_wav:
            out.write(_wav_header(rate_hz, None))

    def feed(self, pcm: bytes, rate_hz: int) -> None:
        if self._resampler is not None:
            pcm = _samples(self._resampler.resample(_frame(pcm, rate_hz)))
        self._size += self._out.write(pcm)

    def finish(self) -> None:
        if self._resampler is not None:
            self._size += self._out.write(_samples(self._resampler.resample(None)))
        if self._is_wav and isinstance(self._out, _Spool):
            self._out.seek(0)
            self._out.write(_wav_header(self._rate_hz, self._size))

    def close(self) -> None:
        """Nothing of its own to free."""


class _Track:
    """A codec in its container."""

    def __init__(
        self, form: _Format, rate_hz: int, bit_rate: int | None, out: _Sink | _Spool
    ) -> None:
        import av

        self._container: Any = av.open(
            out, mode="w", format=form.container, options=dict(form.options or {})
        )
        self._container.flags |= av.container.Flags.flush_packets.value
        self._stream: Any = self._container.add_stream(form.codec, rate=rate_hz, layout="mono")
        usual = min(form.bit_rate, _LOW_BIT_RATE) if rate_hz <= _LOW_RATE_HZ else form.bit_rate
        if bit_rate or usual:
            self._stream.bit_rate = bit_rate or usual
        self._resampler = _resampler(self._stream.codec_context.format.name, rate_hz)
        self._is_open = True

    def feed(self, pcm: bytes, rate_hz: int) -> None:
        self._write(self._resampler.resample(_frame(pcm, rate_hz)))

    def finish(self) -> None:
        self._write([*self._resampler.resample(None), None])
        self.close()

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._container.close()

    def _write(self, frames: list[Any]) -> None:
        for frame in frames:
            self._container.mux(self._stream.encode(frame))


def _allowed_rate(form: _Format, rate_hz: int, request: SynthesisRequest) -> int:
    """The rate itself, or the next higher one where the codec has only some and none was named."""
    import av

    allowed = av.Codec(form.codec, "w").audio_rates
    if not allowed or rate_hz in allowed:
        return rate_hz
    if request.rate_hz:
        rates = ", ".join(map(str, sorted(allowed)))
        message = f"The sample rate is {rate_hz}; {request.encoding.value} has {rates}."
        raise InvalidRequest(message, param="sample_rate")
    return int(min((rate for rate in allowed if rate > rate_hz), default=max(allowed)))


def _resampler(sample_format: str, rate_hz: int) -> Any:
    import av

    return av.AudioResampler(format=sample_format, layout="mono", rate=rate_hz)


def _frame(pcm: bytes, rate_hz: int) -> Any:
    import av

    frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // _SAMPLE_BYTES)
    frame.planes[0].update(pcm)
    frame.sample_rate = rate_hz
    return frame


def _samples(frames: list[Any]) -> bytes:
    return b"".join(bytes(frame.planes[0])[: frame.samples * _SAMPLE_BYTES] for frame in frames)


def _wav_header(rate_hz: int, data_bytes: int | None) -> bytes:
    """A header for mono, 16-bit; without a length it says that there is no end."""
    length = _UNKNOWN_LENGTH if data_bytes is None else data_bytes
    whole = min(_UNKNOWN_LENGTH, length + _HEADER_REST)
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate_hz, rate_hz * _SAMPLE_BYTES, _SAMPLE_BYTES, 16)
    return (
        b"RIFF"
        + struct.pack("<I", whole)
        + b"WAVEfmt "
        + form
        + b"data"
        + struct.pack("<I", length)
    )

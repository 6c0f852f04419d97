"""What a voice says as a file of every format, while it speaks."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
import pytest

from localai.domain.audio import AudioEncoding, SynthesisRequest
from localai.domain.errors import InvalidRequest
from localai.worker.audio.encoding import Encoder
from tests.sounds import heard, pitch_hz, sine

SECONDS = 3.0
RATES = {AudioEncoding.OPUS: 48_000, AudioEncoding.PCM: 24_000,
         AudioEncoding.MULAW: 8_000, AudioEncoding.ALAW: 8_000}  # fmt: skip
HEADLESS = {
    AudioEncoding.PCM: {"format": "s16le"},
    AudioEncoding.MULAW: {"format": "mulaw"},
    AudioEncoding.ALAW: {"format": "alaw"},
}


def encoded(voice_hz: int, **fields: Any) -> tuple[list[bytes], Encoder]:
    """A tone of three seconds in pieces of half a second; the last piece is the end."""
    encoder = Encoder(SynthesisRequest(text="", **fields), voice_hz)
    pcm = (sine(SECONDS, rate_hz=voice_hz) * 32767).astype("<i2").tobytes()
    step = voice_hz // 2 * 2
    pieces = [encoder.feed(pcm[start : start + step]) for start in range(0, len(pcm), step)]
    pieces.append(b"".join(encoder.finish()))
    encoder.close()
    return pieces, encoder


def read(data: bytes, encoding: AudioEncoding, rate_hz: int) -> tuple[Any, int]:
    how: dict[str, Any] = dict(HEADLESS.get(encoding, {}))
    if how:
        how["options"] = {"sample_rate": str(rate_hz), "ch_layout": "mono"}
    return heard(data, **how)


@pytest.mark.parametrize("encoding", AudioEncoding)
@pytest.mark.parametrize("rate_hz", [16_000, 22_050])
def test_every_encoding_says_the_same(encoding: AudioEncoding, rate_hz: int) -> None:
    pieces, encoder = encoded(rate_hz, encoding=encoding)
    assert encoder.rate_hz == RATES.get(encoding, rate_hz)
    assert encoder.duration_s == pytest.approx(SECONDS)
    samples, found_hz = read(b"".join(pieces), encoding, encoder.rate_hz)
    assert found_hz == encoder.rate_hz
    assert len(samples) / found_hz == pytest.approx(SECONDS, abs=0.15)
    assert pitch_hz(samples[found_hz : 2 * found_hz], found_hz) == pytest.approx(440, abs=3)
    assert all(len(piece) > 100 for piece in pieces[:3])  # it leaves while the voice speaks


@pytest.mark.parametrize("encoding", AudioEncoding)
def test_a_rate_may_be_asked_for(encoding: AudioEncoding) -> None:
    pieces, encoder = encoded(22_050, encoding=encoding, rate_hz=8_000)
    samples, found_hz = read(b"".join(pieces), encoding, 8_000)
    assert encoder.rate_hz == 8_000
    assert found_hz == (48_000 if encoding is AudioEncoding.OPUS else 8_000)  # Opus decodes so
    assert len(samples) / found_hz == pytest.approx(SECONDS, abs=0.3)


def test_a_rate_that_a_codec_lacks_is_refused_or_rounded_up() -> None:
    with pytest.raises(InvalidRequest) as caught:
        encoded(22_050, encoding=AudioEncoding.OPUS, rate_hz=44_100)
    assert caught.value.message == (
        "The sample rate is 44100; opus has 8000, 12000, 16000, 24000, 48000."
    )
    assert encoded(11_111, encoding=AudioEncoding.MP3)[1].rate_hz == 12_000


def test_a_bit_rate_may_be_asked_for() -> None:
    sizes = [
        sum(map(len, encoded(44_100, encoding=AudioEncoding.MP3, bit_rate=rate)[0]))
        for rate in (32_000, 128_000)
    ]
    assert sizes[1] > 3 * sizes[0]


def test_a_file_tells_its_length_and_a_stream_cannot() -> None:
    streamed, _ = encoded(16_000, encoding=AudioEncoding.WAV)
    whole, _ = encoded(16_000, encoding=AudioEncoding.WAV, is_file=True)
    assert whole[:-1] == [b""] * (len(whole) - 1)
    with wave.open(io.BytesIO(whole[-1])) as file:
        assert file.getnframes() == 16_000 * SECONDS
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
    stream = b"".join(streamed)
    assert stream[4:8] == stream[40:44] == b"\xff\xff\xff\xff"
    assert stream[44:] == whole[-1][44:]


def test_a_flac_file_tells_its_length() -> None:
    data = b"".join(encoded(16_000, encoding=AudioEncoding.FLAC, is_file=True)[0])
    assert int.from_bytes(data[21:26], "big") & (1 << 36) - 1 == 16_000 * SECONDS


def test_an_encoder_may_be_given_up() -> None:
    for encoding in AudioEncoding:
        encoder = Encoder(SynthesisRequest(text="", encoding=encoding, is_file=True), 16_000)
        encoder.feed(np.zeros(1000, "<i2").tobytes())
        encoder.close()
        encoder.close()

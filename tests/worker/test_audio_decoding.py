"""Files as samples: every format, and every file that is none."""

from __future__ import annotations

import asyncio
import io
import random
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from localai.domain.errors import InvalidRequest
from localai.worker.audio import RATE_HZ, Sound
from tests.sounds import FORMATS, joined, pitch_hz, silence, sine, wav, written


def decoded(data: bytes) -> NDArray[np.float32]:
    async def run() -> NDArray[np.float32]:
        sound = await Sound.open(io.BytesIO(data))
        try:
            blocks = [block async for block in sound.blocks()]
        finally:
            await sound.close()
        whole = np.concatenate(blocks)
        assert sound.heard_s == pytest.approx(len(whole) / RATE_HZ)
        return whole

    return asyncio.run(run())


def refused(data: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        decoded(data)
    assert caught.value.fields["param"] == "file"
    return caught.value


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("rate_hz", "channels"), [(16_000, 1), (44_100, 2)])
def test_whatever_ffmpeg_reads(name: str, rate_hz: int, channels: int) -> None:
    tone = sine(2.0, rate_hz=rate_hz)
    samples = decoded(written(name, tone, rate_hz=rate_hz, channels=channels))
    assert samples.dtype == np.float32
    assert len(samples) / RATE_HZ == pytest.approx(2.0, abs=0.15)
    assert pitch_hz(samples[RATE_HZ // 2 : RATE_HZ], RATE_HZ) == pytest.approx(440, abs=3)
    assert np.abs(samples[RATE_HZ // 2 : RATE_HZ]).max() == pytest.approx(1 / 3, rel=0.2)


def test_long_audio_comes_in_blocks() -> None:
    async def run() -> list[int]:
        sound = await Sound.open(io.BytesIO(wav(sine(65))))
        lengths = [len(block) async for block in sound.blocks()]
        await sound.close()
        return lengths

    lengths = asyncio.run(run())
    assert sum(lengths) == 65 * RATE_HZ
    assert max(lengths) < 11 * RATE_HZ


def test_a_file_cut_off_is_heard_up_to_there() -> None:
    for name in ("mp3", "flac", "ogg", "wav", "mkv"):
        data = written(name, sine(4.0))
        assert 1 < len(decoded(data[: len(data) * 2 // 3])) / RATE_HZ < 3.9, name


def test_damage_in_the_middle_is_passed_over() -> None:
    data = bytearray(written("mp3", sine(6.0)))
    data[8_000:9_000] = random.Random(1).randbytes(1_000)
    assert len(decoded(bytes(data))) / RATE_HZ > 4


def test_a_file_may_go_on_at_another_rate() -> None:
    parts = [written("mp3", sine(2.0, rate_hz=rate), rate_hz=rate) for rate in (16_000, 44_100)]
    samples = decoded(b"".join(parts))
    assert len(samples) / RATE_HZ == pytest.approx(4.0, abs=0.3)
    for second in (1, 3):
        part = samples[int((second - 0.4) * RATE_HZ) : int((second + 0.4) * RATE_HZ)]
        assert pitch_hz(part, RATE_HZ) == pytest.approx(440, abs=3)


PNG = b"\x89PNG\r\n\x1a\n" + b"".join(
    struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\0\0\0\0" * 4)),
        (b"IEND", b""),
    )
)
NO_AUDIO = {
    "text": b"This is the text of a letter.\n" * 200,
    "html": b"<!doctype html><html><body>404</body></html>",
    "json": b'{"file": "speech.mp3"}',
    "zip": b"PK\x03\x04" + bytes(500),
    "zeros": bytes(5_000),
    "noise": random.Random(2).randbytes(5_000),
    "a head without a body": wav(sine(1))[:30],
    "an mp4 without its index": written("m4a", sine(2))[:600],
}


@pytest.mark.parametrize("name", NO_AUDIO)
def test_what_is_no_audio_is_refused(name: str) -> None:
    error = refused(NO_AUDIO[name])
    assert "no audio" in error.message
    assert error.hint


def test_an_empty_file_is_called_empty() -> None:
    assert refused(b"").message == "The file is empty."


def test_a_picture_has_no_audio_track() -> None:
    assert refused(PNG).message == "The file has no audio track."


def test_a_file_without_a_single_sample_is_refused() -> None:
    assert "can be decoded" in refused(wav(silence(0))).message


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A port that nobody should call."""
    calls: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            calls.append(connection.recv(100))
            connection.close()

        threading.Thread(target=take, daemon=True).start()
        yield server.getsockname()[1], calls


def test_a_playlist_opens_nothing_else(
    tmp_path: Path, listener: tuple[int, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, calls = listener
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav(sine(1)))
    monkeypatch.chdir(tmp_path)
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
    for target in (secret, secret.as_uri(), "secret.wav", f"http://127.0.0.1:{port}/a.wav"):
        refused(hls.format(target).encode())
        refused(f"ffconcat version 1.0\nfile '{target}'\n".encode())
    session = (
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n"
    )
    refused(session.encode())
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="audio/mp4">'
        f'<Representation id="1" bandwidth="1"><BaseURL>{secret.as_uri()}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    )
    refused(dash.encode())
    assert calls == []


@pytest.mark.parametrize("seed", range(8))
def test_no_damage_breaks_anything(seed: int) -> None:
    """Files with random bytes in random places are heard or refused."""
    random_bytes = random.Random(seed)
    for name in ("mp3", "m4a", "flac", "ogg", "wav", "webm"):
        data = bytearray(written(name, joined(sine(1), silence(0.2))))
        for _ in range(20):
            data[random_bytes.randrange(len(data))] = random_bytes.randrange(256)
        try:
            assert np.isfinite(decoded(bytes(data))).all()
        except InvalidRequest as error:
            assert error.hint

"""Sound through a real worker: what is spoken is heard again, word by word and at its time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localai.domain.audio import (
    AudioData,
    AudioEncoding,
    AudioEvent,
    AudioStarted,
    DetectionEnded,
    Segment,
    SpeechDetectionRequest,
    SpeechSpan,
    SynthesisRequest,
    TranscriptEnded,
    TranscriptionRequest,
)
from localai.domain.audio_rules import AudioRules, transcript
from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.events import Failed
from localai.domain.tasks import audio_task
from localai.engines.manifest import Manifest
from tests.backends.lone import Lone, loaded, run
from tests.engines.installed import skip_without
from tests.sounds import RATE_HZ, Bytes, heard, joined, silence, wav

TONES = Manifest().find("tones")
ECHO = Manifest().find("echo")
TEXT = "Hello there, world. Grüße aus 東京! One two three four."


@pytest.fixture(autouse=True)
def _engine() -> None:
    skip_without(TONES)


async def events(lone: Lone, request: Any, source: Bytes | None = None) -> list[AudioEvent]:
    """Every event of one call, checked."""
    rules = AudioRules(audio_task(request))
    found = [
        rules.feed(event) async for batch in lone.client.audio(request, source) for event in batch
    ]
    rules.close()
    return found


async def speak(lone: Lone, text: str, **fields: Any) -> bytes:
    found = await events(lone, SynthesisRequest(text=text, **fields))
    assert not isinstance(found[-1], Failed), found[-1].error
    return b"".join(event.data for event in found if isinstance(event, AudioData))


async def hear(lone: Lone, data: bytes, **fields: Any) -> Sequence[AudioEvent]:
    return await events(lone, TranscriptionRequest(**fields), Bytes(data))


async def error_of(lone: Lone, request: Any, source: Bytes | None = None) -> Any:
    (only,) = await events(lone, request, source)
    assert isinstance(only, Failed)
    return only.error


LISTENABLE = [
    AudioEncoding.MP3,
    AudioEncoding.OPUS,
    AudioEncoding.AAC,
    AudioEncoding.FLAC,
    AudioEncoding.WAV,
]


def test_what_is_spoken_is_heard_in_every_format() -> None:
    async def test() -> None:
        async with loaded(TONES, "none") as lone:
            for encoding in LISTENABLE:
                data = await speak(lone, TEXT, encoding=encoding, voice="treble")
                whole = transcript(await hear(lone, data, wants_words=True))
                assert whole.text == TEXT, encoding
                assert [word.text for word in whole.words] == TEXT.split()
                assert len(whole.segments) == 3
                assert whole.language == "en"

    run(test())


def test_words_keep_their_times_over_many_windows() -> None:
    """Five minutes with a word every now and then: each is found, where it was."""

    async def test() -> None:
        async with loaded(TONES, "none") as lone:
            spoken = {}
            for number in range(20):
                data = await speak(lone, f"number{number}", encoding=AudioEncoding.WAV)
                spoken[f"number{number}"] = heard(data)[0]
            pieces, truth, at = [], {}, 0
            for number in range(150):
                word = f"number{number % 20}"
                gap = silence(0.31 + 0.37 * (number % 4))
                truth[len(truth)] = (word, (at + len(gap)) / RATE_HZ)
                pieces += [gap, spoken[word]]
                at += len(gap) + len(spoken[word])
            whole = transcript(await hear(lone, wav(joined(*pieces)), wants_words=True))
            assert whole.duration_s == pytest.approx(at / RATE_HZ, abs=0.01)
            assert [word.text for word in whole.words] == [word for word, _ in truth.values()]
            found_s = [word.start_s for word in whole.words]
            assert found_s == pytest.approx([begin for _, begin in truth.values()], abs=0.02)

    run(test())


def test_requests_arrive_whole() -> None:
    async def test() -> None:
        async with loaded(TONES, "none") as lone:
            data = await speak(lone, "quiet words", encoding=AudioEncoding.FLAC)
            found = await hear(lone, data, language="de", translate=True, temperature=0.5)
            assert isinstance(found[0], Segment)
            assert (found[0].text, found[0].temperature) == (" QUIET WORDS", 0.5)
            assert isinstance(found[-1], TranscriptEnded)
            assert found[-1].language == "de"
            slow, fast = [
                len(await speak(lone, TEXT, encoding=AudioEncoding.PCM, speed=speed))
                for speed in (0.5, 2.0)
            ]
            assert slow > 2 * fast

    run(test())


def test_speech_is_found() -> None:
    async def test() -> None:
        async with loaded(TONES, "none") as lone:
            data = await speak(lone, "one two. three.", encoding=AudioEncoding.WAV)
            samples = joined(silence(40.0), heard(data)[0])
            source = Bytes(wav(samples))
            found = await events(lone, SpeechDetectionRequest(), source)
            spans = [event for event in found if isinstance(event, SpeechSpan)]
            assert [round(span.start_s, 1) for span in spans] == [40.0, 41.2]
            assert isinstance(found[-1], DetectionEnded)
            assert found[-1].duration_s == pytest.approx(len(samples) / RATE_HZ)

    run(test())


def test_sound_leaves_before_all_of_it_is_made() -> None:
    async def test() -> None:
        async with loaded(TONES, "none", options=("delay_s:0.2",)) as lone:
            request = SynthesisRequest(text="a. " * 100, encoding=AudioEncoding.MP3)
            async with aclosing(lone.client.audio(request)) as batches:
                async for batch in batches:
                    if any(isinstance(event, AudioData) for event in batch):
                        break
            async with asyncio.timeout(10):  # of the 20 s that all would take
                while (await lone.client.health(timeout_s=10)).running:  # noqa: ASYNC110 - in another process
                    await asyncio.sleep(0.02)
            assert await speak(lone, "b.", encoding=AudioEncoding.PCM)

    run(test())


def test_bad_input_is_an_error_and_nothing_else() -> None:
    async def test() -> None:
        async with loaded(TONES, "none") as lone:
            for text in ("...", "", "🙂"):
                error = await error_of(lone, SynthesisRequest(text=text))
                assert error.fields["param"] == "input"
            request = SynthesisRequest(text="a", voice="alto")
            error = await error_of(lone, request)
            assert "it has bass, treble" in error.message
            request = SynthesisRequest(text="a", encoding=AudioEncoding.OPUS, rate_hz=44_100)
            assert isinstance(await error_of(lone, request), InvalidRequest)
            for data in (b"", b"no audio at all" * 100):
                asked = (TranscriptionRequest(), Bytes(data))
                assert (await error_of(lone, *asked)).fields["param"] == "file"
            assert await speak(lone, "still there", encoding=AudioEncoding.PCM)

    run(test())


def test_a_worker_refuses_tasks_it_cannot_do() -> None:
    async def test() -> None:
        async with loaded(ECHO, "none") as lone:
            error = await error_of(lone, SynthesisRequest(text="a"))
            assert isinstance(error, Unsupported)
            source = Bytes(wav(silence(1)))
            error = await error_of(lone, TranscriptionRequest(), source)
            assert error.message == "This model does not transcribe."

    run(test())


def test_calls_beside_each_other_do_not_mix() -> None:
    async def test() -> None:
        async with loaded(TONES, "none") as lone:
            said = [f"call{number} says this." for number in range(4)]
            files = [await speak(lone, text, encoding=AudioEncoding.FLAC) for text in said]
            answers = await asyncio.gather(*(hear(lone, data) for data in files))
            assert [transcript(answer).text for answer in answers] == said

    run(test())


def test_a_kill_in_the_middle_ends_the_call() -> None:
    async def test() -> None:
        async with loaded(TONES, "none", options=("delay_s:0.1",)) as lone:
            request = SynthesisRequest(text="a. " * 100, encoding=AudioEncoding.MP3)
            batches = lone.client.audio(request)
            assert isinstance((await anext(batches))[0], AudioStarted)
            os.kill(lone.pid, signal.SIGKILL)
            with pytest.raises(ConnectionError):
                _ = [batch async for batch in batches]

    run(test())


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_long_audio_takes_little_memory() -> None:
    async def test() -> None:
        async with loaded(TONES, "none") as lone:
            await hear(lone, wav(silence(30)))
            before = lone.process.memory_bytes() or 0
            noise = np.random.default_rng(1).normal(0, 0.001, 600 * RATE_HZ).astype(np.float32)
            await hear(lone, wav(noise))  # ten minutes: 19 MB in the file, 38 MB as samples
            assert (lone.process.memory_bytes() or 0) - before < 30_000_000

    run(test())


def test_nothing_is_left_on_disk() -> None:
    async def test() -> None:
        async with loaded(TONES, "none") as lone:
            folder = Path(lone.process.endpoint.socket).parent
            data = await speak(lone, "a b c", encoding=AudioEncoding.WAV, is_file=True)
            await hear(lone, data)
            assert [path.suffix for path in folder.iterdir() if path.suffix != ".tmp"] == [".sock"]

    run(test())

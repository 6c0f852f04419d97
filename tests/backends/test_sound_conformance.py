"""One suite over every backend that hears or speaks: what any of them owes to the server."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from localai.domain.audio import (
    AudioData,
    AudioEncoding,
    AudioStarted,
    SpeechDetectionRequest,
    SynthesisRequest,
    TranscriptionRequest,
)
from localai.domain.errors import InvalidRequest
from localai.domain.events import Failed
from localai.domain.tasks import Task
from localai.engines.manifest import BackendEntry, Manifest
from tests.backends.kept import Kept
from tests.backends.lone import Lone
from tests.backends.sounding import (
    SOUND_WEIGHTS,
    error_of,
    events,
    find,
    hear,
    make_sound_models,
    speak,
)
from tests.engines.installed import skip_without
from tests.sounds import Bytes, heard, joined, silence, sine, wav

ENTRIES = [entry for entry in Manifest().entries() if entry.name in SOUND_WEIGHTS]
VOICE = "Hello there. This is said by a machine, and nobody else."


def able(task: Task) -> list[BackendEntry]:
    return [entry for entry in ENTRIES if task in entry.tasks]


@pytest.fixture(scope="session")
def sound_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound-weights")
    make_sound_models(folder)
    return folder


@pytest.fixture(scope="module")
def workers(sound_weights: Path) -> Iterator[dict[str, Kept]]:
    """Workers that have been asked for, by backend."""
    found: dict[str, Kept] = {}
    yield found
    for kept in found.values():
        kept.__exit__()


def worker_of(entry: BackendEntry, workers: dict[str, Kept], folder: Path) -> Kept:
    skip_without(entry)
    if entry.name not in workers:
        kept = Kept(entry, folder / SOUND_WEIGHTS[entry.name], threads=1)
        workers[entry.name] = kept.__enter__()
    return workers[entry.name]


@pytest.fixture(params=able(Task.TRANSCRIBE), ids=lambda entry: entry.name)
def listener(request: Any, workers: dict[str, Kept], sound_weights: Path) -> Kept:
    return worker_of(request.param, workers, sound_weights)


@pytest.fixture(params=able(Task.SYNTHESIZE), ids=lambda entry: entry.name)
def speaker(request: Any, workers: dict[str, Kept], sound_weights: Path) -> Kept:
    return worker_of(request.param, workers, sound_weights)


@pytest.fixture(params=able(Task.DETECT_SPEECH), ids=lambda entry: entry.name)
def detector(request: Any, workers: dict[str, Kept], sound_weights: Path) -> Kept:
    return worker_of(request.param, workers, sound_weights)


async def until_free(lone: Lone) -> None:
    async with asyncio.timeout(60):
        while (await lone.client.health(timeout_s=10)).running:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)


def test_every_backend_with_sound_has_a_model_here() -> None:
    tasks = {Task.TRANSCRIBE, Task.SYNTHESIZE, Task.DETECT_SPEECH}
    named = {entry.name for entry in Manifest().entries() if tasks & set(entry.tasks)}
    assert named == set(SOUND_WEIGHTS)


# ---- hearing


def test_what_is_heard_is_legal_and_in_its_place(listener: Kept) -> None:
    async def test(lone: Lone) -> None:
        for fields in ({}, {"wants_words": True}, {"language": "de"}, {"translate": True}):
            whole = await hear(lone, wav(sine(40)), **fields)
            assert whole.duration_s == pytest.approx(40.0)
            for segment in whole.segments:
                assert 0 <= segment.start_s <= segment.end_s <= 40
                assert all(segment.start_s <= word.start_s for word in segment.words)
                assert all(word.end_s <= segment.end_s for word in segment.words)
            assert bool(whole.words) == (bool(whole.segments) and "wants_words" in fields)

    listener.ask(test)


@pytest.mark.parametrize("seconds", [0.01, 0.5, 1.0, 29.99, 30.0, 30.01])
def test_sounds_of_any_length(listener: Kept, seconds: float) -> None:
    async def test(lone: Lone) -> None:
        whole = await hear(lone, wav(sine(seconds)))
        assert whole.duration_s == pytest.approx(seconds, abs=0.001)

    listener.ask(test)


def test_silence_says_nothing(listener: Kept) -> None:
    async def test(lone: Lone) -> None:
        assert (await hear(lone, wav(silence(40)))).text == ""

    listener.ask(test)


def test_no_file_of_another_kind_gets_to_the_model(listener: Kept) -> None:
    async def test(lone: Lone) -> None:
        for data in (b"", b"A letter. " * 100):
            error = await error_of(lone, TranscriptionRequest(), data)
            assert isinstance(error, InvalidRequest)
            assert error.fields["param"] == "file"

    listener.ask(test)


def test_what_one_call_asks_for_is_forgotten_by_the_next(listener: Kept) -> None:
    async def test(lone: Lone) -> None:
        data = wav(sine(8))
        first = await hear(lone, data)
        special = TranscriptionRequest(
            language="fr", translate=True, prompt="One two", temperature=0.4, wants_words=True
        )
        await events(lone, special, data)
        assert await hear(lone, data) == first

    listener.ask(test)


def test_calls_together_hear_the_same_as_alone(listener: Kept) -> None:
    async def test(lone: Lone) -> None:
        files = [wav(sine(seconds)) for seconds in (3, 35, 3)]
        alone = [await hear(lone, data) for data in files]
        assert await asyncio.gather(*(hear(lone, data) for data in files)) == alone

    listener.ask(test)


def test_a_short_call_does_not_wait_for_a_long_one(listener: Kept) -> None:
    async def test(lone: Lone) -> None:
        long = asyncio.ensure_future(hear(lone, wav(sine(1800))))
        await asyncio.sleep(0.2)
        await hear(lone, wav(sine(2)))
        assert not long.done()
        long.cancel()
        await asyncio.gather(long, return_exceptions=True)
        await until_free(lone)

    listener.ask(test)


def test_leaving_ends_the_work(listener: Kept) -> None:
    async def test(lone: Lone) -> None:
        file = Bytes(wav(sine(900)))
        for _ in range(2):
            async with aclosing(lone.client.audio(TranscriptionRequest(), file)) as batches:
                assert not isinstance((await anext(batches))[0], Failed)
            await until_free(lone)
        assert (await hear(lone, wav(sine(2)))).duration_s == pytest.approx(2)

    listener.ask(test)


def test_hearing_leaves_no_memory_behind(listener: Kept) -> None:
    async def test(lone: Lone) -> None:
        data = wav(sine(35))
        for _ in range(3):
            await hear(lone, data, wants_words=True)
        before = lone.process.memory_bytes()
        if before is None:
            pytest.skip("this system does not tell the memory of a process")
        for _ in range(4):
            await hear(lone, data, wants_words=True)
        assert (lone.process.memory_bytes() or 0) < before * 1.1

    listener.ask(test)


# ---- speaking


def test_what_is_spoken_is_sound(speaker: Kept) -> None:
    async def test(lone: Lone) -> None:
        for encoding in (AudioEncoding.WAV, AudioEncoding.MP3, AudioEncoding.OPUS):
            samples, rate_hz = heard(await speak(lone, VOICE, encoding=encoding))
            assert 1.0 < len(samples) / rate_hz < 20.0
            assert abs(samples).max() > 0.05

    speaker.ask(test)


def test_speed_is_kept(speaker: Kept) -> None:
    async def test(lone: Lone) -> None:
        sizes = [
            len(await speak(lone, VOICE, encoding=AudioEncoding.PCM, speed=speed))
            for speed in (0.5, 1.0, 2.0)
        ]
        assert sizes[0] > 1.3 * sizes[1] > 1.3 * 1.3 * sizes[2]

    speaker.ask(test)


def test_every_listed_voice_speaks(speaker: Kept) -> None:
    async def test(lone: Lone) -> None:
        voices = lone.facts.voices
        assert voices
        for voice in voices[:: max(1, len(voices) // 12)]:
            assert await speak(lone, "One, two.", voice=voice.voice_id)

    speaker.ask(test)


def test_a_voice_that_is_not_there_is_refused_before_anything_is_said(speaker: Kept) -> None:
    async def test(lone: Lone) -> None:
        error = await error_of(lone, SynthesisRequest(text=VOICE, voice="nobody-at-all"))
        assert isinstance(error, InvalidRequest)
        assert error.fields["param"] == "voice"

    speaker.ask(test)


ODD_TEXTS = [
    "<speak>Hello <break time='9s'/></speak>", "[[h@l'oU]] phonemes", "a\0b", "🙂 ok 🙂", "1 + 1 = 2; x < y & z",
    "مرحبا بالعالم", "你好\uff0c世界。", "Ω ≈ ç √ ∫ ~ µ", "word" * 1000, "one,\n\n\ntwo\t\ttree", "%s %n %x {} \\ /",
    "a" * 401,
]  # fmt: skip


def test_odd_texts_are_spoken_or_refused(speaker: Kept) -> None:
    async def test(lone: Lone) -> None:
        for text in ODD_TEXTS:
            last = (await events(lone, SynthesisRequest(text=text)))[-1]
            if isinstance(last, Failed):
                assert isinstance(last.error, InvalidRequest), text
        for text in ("", "...", "\n", "🙂"):
            error = await error_of(lone, SynthesisRequest(text=text))
            assert error.fields["param"] == "input"

    speaker.ask(test)


def test_the_first_sound_leaves_early_and_leaving_ends_the_work(speaker: Kept) -> None:
    async def test(lone: Lone) -> None:
        request = SynthesisRequest(text=f"{VOICE} " * 800, encoding=AudioEncoding.MP3)
        async with aclosing(lone.client.audio(request)) as batches:
            kinds = [type(event) for event in await anext(batches)]
            assert kinds[0] is AudioStarted
            while AudioData not in kinds:
                kinds += [type(event) for event in await anext(batches)]
            assert (await lone.client.health(timeout_s=10)).running == 1
        await until_free(lone)
        assert await speak(lone, "Still there.")

    speaker.ask(test)


def test_voices_beside_each_other_do_not_mix(speaker: Kept) -> None:
    async def test(lone: Lone) -> None:
        texts = ["One. Two. Three.", "Four. Five.", "A much longer text with commas, and more."]

        async def seconds(text: str) -> float:
            samples, rate_hz = heard(await speak(lone, text, encoding=AudioEncoding.WAV))
            return len(samples) / rate_hz

        alone = [await seconds(text) for text in texts]
        together = await asyncio.gather(*(seconds(text) for text in texts * 2))
        assert together == pytest.approx(alone * 2, rel=0.05)

    speaker.ask(test)


def test_speaking_leaves_no_memory_behind(speaker: Kept) -> None:
    async def test(lone: Lone) -> None:
        for _ in range(5):
            await speak(lone, VOICE)
        before = lone.process.memory_bytes()
        if before is None:
            pytest.skip("this system does not tell the memory of a process")
        for _ in range(15):
            await speak(lone, VOICE)
        assert (lone.process.memory_bytes() or 0) < before * 1.1

    speaker.ask(test)


# ---- finding speech


def test_where_there_is_nothing_nothing_is_found(detector: Kept) -> None:
    async def test(lone: Lone) -> None:
        for seconds in (0.01, 1, 35):
            assert await find(lone, wav(silence(seconds))) == []

    detector.ask(test)


def test_a_file_of_another_kind_is_refused(detector: Kept) -> None:
    async def test(lone: Lone) -> None:
        error = await error_of(lone, SpeechDetectionRequest(), b"A letter. " * 100)
        assert error.fields["param"] == "file"

    detector.ask(test)


def test_speech_is_found_where_it_is(
    detector: Kept, workers: dict[str, Kept], sound_weights: Path
) -> None:
    """What one engine says, between two silences, is what another finds."""
    name = "tones" if detector.entry.name == "tones" else "espeak"
    voice = worker_of(Manifest().find(name), workers, sound_weights)

    async def said(lone: Lone) -> bytes:
        return await speak(lone, VOICE, encoding=AudioEncoding.WAV, rate_hz=16_000)

    speech = heard(voice.ask(said))[0]
    length_s = len(speech) / 16_000

    async def test(lone: Lone) -> None:
        data = wav(joined(silence(5), speech, silence(12), speech, silence(2)))
        spans = await find(lone, data)
        assert 2 <= len(spans) <= 8
        assert spans[0].start_s == pytest.approx(5, abs=0.3)
        second = next(span for span in spans if span.start_s > 5 + length_s)
        assert second.start_s == pytest.approx(17 + length_s, abs=0.3)
        assert spans[-1].end_s == pytest.approx(17 + 2 * length_s, abs=0.7)
        assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(spans))

    detector.ask(test)

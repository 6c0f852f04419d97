"""Voices and languages of the engines that speak."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from localai.domain.audio import GENERIC_VOICES, AudioData, AudioEncoding, SynthesisRequest
from localai.domain.errors import InvalidRequest, LocalAIError, ModelFileInvalid, Unsupported
from localai.engines.manifest import Manifest
from tests.backends.kept import Kept
from tests.backends.lone import Lone, loaded, run
from tests.backends.sounding import error_of, events, speak
from tests.engines.installed import skip_without
from tests.piper_maker import PITCH_HZ, make_voice
from tests.sounds import heard

ESPEAK, PIPER = Manifest().find("espeak"), Manifest().find("piper")


@pytest.fixture(scope="module")
def espeak() -> Iterator[Kept]:
    skip_without(ESPEAK)
    with Kept(ESPEAK, "") as kept:
        yield kept


@pytest.fixture(scope="module")
def piper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    skip_without(PIPER)
    path = tmp_path_factory.mktemp("piper") / "two.onnx"
    make_voice(path)
    with Kept(PIPER, path, threads=1) as kept:
        yield kept


async def length_of(lone: Lone, **fields: Any) -> float:
    """Seconds of speech. It is what tells voices apart: the library varies each sample a little."""
    data = await speak(lone, "Hallo Welt. Eins zwei drei.", encoding=AudioEncoding.PCM, **fields)
    return len(data) / 48_000


ALIKE = 0.02  # the voices are not the same to the sample each time


def test_languages_sound_different_and_have_many_names(espeak: Kept) -> None:
    async def test(lone: Lone) -> None:
        german = pytest.approx(await length_of(lone, language="de"), rel=ALIKE)
        for name in ("de", "German", "german", "DE"):
            assert await length_of(lone, voice=name) == german
        assert await length_of(lone, language="de-AT") == german
        english = pytest.approx(await length_of(lone), rel=ALIKE)
        assert await length_of(lone, language="en") == english
        chinese = pytest.approx(await length_of(lone, voice="cmn"), rel=ALIKE)
        assert await length_of(lone, language="zh") == chinese
        assert await length_of(lone, voice="de") != english

    espeak.ask(test)


def test_variants_change_the_voice(espeak: Kept) -> None:
    async def test(lone: Lone) -> None:
        plain = pytest.approx(await length_of(lone, voice="de"), rel=ALIKE)
        variant = pytest.approx(await length_of(lone, voice="de+f2"), rel=ALIKE)
        assert await length_of(lone, voice="de+f2") != plain
        assert await length_of(lone, voice="+f2", language="de") == variant

    espeak.ask(test)


def test_the_names_of_openai_are_voices_of_the_language(espeak: Kept) -> None:
    async def test(lone: Lone) -> None:
        spoken = {name: await length_of(lone, voice=name, language="de") for name in GENERIC_VOICES}
        assert len({round(seconds, 2) for seconds in spoken.values()}) >= 4
        plain = await length_of(lone, language="de")
        assert spoken["alloy"] == pytest.approx(plain, rel=ALIKE)

    espeak.ask(test)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"voice": "nobody"}, "voice"),
        ({"voice": "en-us+nobody"}, "voice"),
        ({"voice": "nobody+f2"}, "voice"),
        ({"language": "xx"}, "language"),
        ({"language": "../../etc"}, "language"),
        ({"voice": "en-us\n"}, None),
    ],
)
def test_what_espeak_does_not_speak(
    espeak: Kept, fields: dict[str, str], param: str | None
) -> None:
    async def test(lone: Lone) -> None:
        if param is None:
            assert await length_of(lone, **fields)
            return
        error = await error_of(lone, SynthesisRequest(text="a", **fields))
        assert isinstance(error, InvalidRequest)
        assert error.fields["param"] == param
        assert error.hint

    espeak.ask(test)


def test_text_is_only_text(espeak: Kept) -> None:
    """No markup and no phonemes: what looks like them is read out."""

    async def test(lone: Lone) -> None:
        tagged = await speak(lone, "<break time='30s'/> a", encoding=AudioEncoding.PCM)
        assert len(tagged) < 24_000 * 2 * 12

    espeak.ask(test)


def test_a_sentence_is_heard_before_it_is_made_and_keeps_nobody_waiting(espeak: Kept) -> None:
    """Its beginning comes apart from the rest; somebody who does not listen on keeps no turn."""
    sentence = "one two three four five six seven eight nine ten " * 7
    request = SynthesisRequest(text=f"{sentence}. {sentence}.", encoding=AudioEncoding.PCM)

    async def test(lone: Lone) -> None:
        found = await events(lone, request)
        sizes = [len(event.data) for event in found if isinstance(event, AudioData)]
        assert sizes[0] < sizes[1] / 10, sizes
        async with aclosing(lone.client.audio(request)) as idle:
            await anext(idle)
            assert await speak(lone, "Meanwhile.", encoding=AudioEncoding.PCM)

    espeak.ask(test)


def test_the_model_file_names_the_voice() -> None:
    skip_without(ESPEAK)

    async def test() -> None:
        async with (
            loaded(ESPEAK, "", options=("voice:de+f2",)) as named,
            loaded(ESPEAK, "", tts={"voice": "de"}, language="fr") as other,
        ):
            variant = pytest.approx(await length_of(other, voice="de+f2"), rel=ALIKE)
            assert await length_of(named) == variant
            plain = pytest.approx(await length_of(named, voice="de"), rel=ALIKE)
            assert await length_of(other) == plain

    run(test())


def test_the_beginning_of_a_sentence_is_sent_before_the_rest_is_encoded(piper: Kept) -> None:
    async def test(lone: Lone) -> None:
        text = "One two three four five six seven eight nine ten."
        found = await events(lone, SynthesisRequest(text=text, encoding=AudioEncoding.PCM))
        sizes = [len(event.data) for event in found if isinstance(event, AudioData)]
        assert sizes[0] < sizes[1] / 4, sizes

    piper.ask(test)


def test_speakers_of_piper(piper: Kept) -> None:
    async def test(lone: Lone) -> None:
        assert [voice.voice_id for voice in lone.facts.voices] == ["low", "high"]
        request = {"encoding": AudioEncoding.WAV}
        pitches = {}
        for name in ("low", "high", "0", "1", "alloy", "ash", "two", "two.onnx"):
            samples, rate_hz = heard(await speak(lone, "Ah ah ah ah ah.", voice=name, **request))
            pitches[name] = pitch_of(samples, rate_hz)
        low, high = PITCH_HZ
        expected = {"low": low, "high": high, "0": low, "1": high, "alloy": low, "ash": high}
        for name, hertz in expected.items():
            assert pitches[name] == pytest.approx(hertz, rel=0.05), name
        assert pitches["two"] == pitches["two.onnx"] == pytest.approx(low, rel=0.05)
        error = await error_of(lone, SynthesisRequest(text="a", voice="7"))
        assert "low, high" in error.hint

    piper.ask(test)


def pitch_of(samples: Any, rate_hz: int) -> float:
    """The distance of the harmonics, by how alike the sound is to itself a little later."""
    middle = samples[rate_hz // 4 : rate_hz // 4 + rate_hz // 3]
    lags = range(rate_hz // 300, rate_hz // 80)
    best = max(lags, key=lambda lag: float((middle[:-lag] * middle[lag:]).mean()))
    return rate_hz / best


def test_a_voice_of_piper_speaks_one_language(piper: Kept) -> None:
    async def test(lone: Lone) -> None:
        error = await error_of(lone, SynthesisRequest(text="a", language="de"))
        assert error.fields["param"] == "language"
        assert await speak(lone, "Yes.", language="en")
        assert await speak(lone, "Yes.", language="en-GB")

    piper.ask(test)


def start_error(path: Path) -> LocalAIError:
    async def test() -> None:
        async with loaded(PIPER, path):
            pass

    with pytest.raises(LocalAIError) as caught:
        run(test())
    return caught.value


def test_damaged_voices_are_named(tmp_path: Path) -> None:
    skip_without(PIPER)
    path = tmp_path / "v.onnx"
    assert "v.onnx is not there" in start_error(path).message
    make_voice(path)
    described = tmp_path / "v.onnx.json"
    config = described.read_text()
    described.unlink()
    error = start_error(path)
    assert isinstance(error, ModelFileInvalid)
    assert "v.onnx.json is not there" in error.message
    described.write_text("{}")
    assert "does not describe a voice" in start_error(path).message
    described.write_text(json.dumps(json.loads(config) | {"phoneme_type": "pinyin"}))
    assert isinstance(start_error(path), Unsupported)
    described.write_text(config)
    path.write_bytes(b"no onnx")
    assert "is no ONNX model" in start_error(path).message

"""Spoken words through the whole server: eSpeak NG says them, both Whisper engines write them down.

The model is a real one, small and trained for these 60 words; see docs/reference/command_model.md.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from localai.engines.manifest import Manifest
from tests.command_model import ENGLISH, GERMAN, IN_ENGLISH, make_commands_ggml
from tests.engines.installed import ENVIRONMENTS, skip_without
from tests.http.sounding import BACKENDS
from tests.live import LiveServer, write_models
from tests.sounds import RATE_HZ, heard, joined, silence, wav

ROOT = Path(__file__).parents[2]
MODELS = {
    "cpp.yaml": "name: whisper\nbackend: whisper\nparameters: {model: commands.bin}\n"
    "threads: 1\nflash_attention: 'off'\noptions: ['temperature_inc:0']\n",
    "faster.yaml": "name: faster-whisper\nbackend: faster-whisper\n"
    "parameters: {model: commands}\nthreads: 1\noptions: ['beam_size:1']\n",
    "espeak.yaml": "name: espeak\nbackend: espeak\n",
    "silero.yaml": "name: silero-vad\nbackend: silero-vad\n",
}
VOICES = {"en": "en-us", "de": "de"}
NAMES = {"en": "english", "de": "german"}
WORDS = {"en": ENGLISH, "de": GERMAN}
MOST_WRONG = {"en": 2, "de": 1}  # of 40 and of 20 words
WORD_ERRORS = 0.1  # of phrases, at most


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with the model for both engines, and a voice."""
    for name in ("whisper", "faster-whisper", "espeak", "silero-vad"):
        skip_without(Manifest().find(name))
    folder = write_models(tmp_path_factory.mktemp("commands") / "models", MODELS)
    make_commands_ggml(folder / "commands.bin")
    installed = ENVIRONMENTS.find(Manifest().find("faster-whisper"))
    assert installed is not None
    make = [installed.python, "-m", "tests.command_model", str(folder / "commands")]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    subprocess.run(make, env={**os.environ, "PYTHONPATH": paths}, check=True)
    with LiveServer(folder, *BACKENDS) as running:
        yield running


@pytest.fixture(params=["whisper", "faster-whisper"])
def engine(request: Any) -> str:
    """The name of the model on each engine."""
    name: str = request.param
    return name


def say(server: LiveServer, text: str, language: str, *, speed: float = 1.0) -> bytes:
    """Speech as a WAV file, through the official client."""
    with server.openai() as client:
        create = client.audio.speech.create
        voice = VOICES[language]
        answer = create(model="espeak", voice=voice, input=text, response_format="wav", speed=speed)
        return answer.read()


@pytest.fixture(scope="module")
def words(listening: LiveServer) -> Mapping[str, bytes]:
    """Every word, spoken."""
    return {word: say(listening, word, language) for language in WORDS for word in WORDS[language]}


def written(server: LiveServer, model: str, sound: bytes, **fields: Any) -> Any:
    """What the official client gets for a sound."""
    with server.openai() as client:
        return client.audio.transcriptions.create(model=model, file=("a.wav", sound), **fields)


def errors(wanted: Sequence[str], found: Sequence[str]) -> int:
    """Words to insert, delete or replace."""
    line = list(range(len(found) + 1))
    for i, one in enumerate(wanted, 1):
        above, line[0] = line[:], i
        for j, other in enumerate(found, 1):
            line[j] = min(above[j - 1] + (one != other), above[j] + 1, line[j - 1] + 1)
    return line[-1]


@pytest.mark.parametrize("language", ["en", "de"])
def test_single_words_are_written_and_their_language_found(
    listening: LiveServer, words: Mapping[str, bytes], engine: str, language: str
) -> None:
    """For every second word the language is told, which is quicker."""
    wrong, others = [], []
    for number, word in enumerate(WORDS[language]):
        told = {"language": language} if number % 2 else {}
        answer = written(listening, engine, words[word], response_format="verbose_json", **told)
        wrong += [(word, answer.text)] * (answer.text.strip() != word)
        others += [(word, answer.language)] * (answer.language != NAMES[language])
    assert len(wrong) <= MOST_WRONG[language], wrong
    assert len(others) <= MOST_WRONG[language] // 2, others


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # translations, by its makers
def test_german_words_are_translated(
    listening: LiveServer, words: Mapping[str, bytes], engine: str
) -> None:
    with listening.openai() as client:
        create = client.audio.translations.create
        told = {"language": "de"}  # it need not be found out
        found = [
            create(model=engine, file=("a.wav", words[word]), extra_body=told).text.strip()
            for word in GERMAN
        ]
    wrong = [pair for pair in zip(IN_ENGLISH, found, strict=True) if pair[0] != pair[1]]
    assert len(wrong) <= 1, wrong


def phrases(seed: int) -> Iterator[tuple[str, list[str]]]:
    """Language and words of 24 phrases: two and three words, two of three in English."""
    random = Random(seed)
    for number in range(24):
        language = "de" if number % 3 == 2 else "en"
        yield language, random.choices(WORDS[language], k=2 + number % 2)


def test_phrases_of_two_and_three_words(listening: LiveServer, engine: str) -> None:
    wrong, total, missed = 0, 0, []
    for number, (language, said) in enumerate(phrases(seed=7)):
        sound = say(listening, " ".join(said), language, speed=(0.9, 1.0)[number % 2])
        found = written(listening, engine, sound, language=language).text.split()
        wrong, total = wrong + errors(said, found), total + len(said)
        missed += [(said, found)] * (said != found)
    assert wrong <= WORD_ERRORS * total, missed


def hiss(seconds: float) -> NDArray[np.float32]:
    """The quiet noise of an empty room."""
    random = np.random.default_rng(1)
    return (random.standard_normal(int(seconds * RATE_HZ)) * 1e-3).astype(np.float32)


def test_silence_is_no_text(listening: LiveServer, engine: str) -> None:
    for sound in (silence(3), silence(40), hiss(3)):
        assert written(listening, engine, wav(sound)).text.strip() == ""


def at_16_khz(sound: bytes) -> NDArray[np.float32]:
    """The samples of a file."""
    samples, rate_hz = heard(sound)
    places = np.arange(0, len(samples) - 1, rate_hz / RATE_HZ)
    return np.interp(places, np.arange(len(samples)), samples).astype(np.float32)


def test_times(listening: LiveServer, engine: str) -> None:
    """Of a phrase that begins at 0.5 s, and of its words, which the engines only guess."""
    said = at_16_khz(say(listening, "seven window", "en"))
    sound = wav(joined(silence(0.5), said))
    ends_s = 0.5 + float(np.flatnonzero(np.abs(said) > 0.01)[-1]) / RATE_HZ
    (segment,) = written(listening, engine, sound, response_format="verbose_json").segments
    assert segment.text.split() == ["seven", "window"]
    if engine == "whisper":  # faster-whisper lets the only segment begin with the sound
        assert segment.start == pytest.approx(0.5, abs=0.2)
    assert segment.end == pytest.approx(ends_s, abs=0.3)
    answer = written(
        listening,
        engine,
        sound,
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    first, second = answer.words
    assert [first.word.strip(), second.word.strip()] == ["seven", "window"]
    assert 0 <= first.start < first.end <= second.start + 0.01
    assert second.start < second.end == pytest.approx(ends_s, abs=0.6)


def test_a_word_after_seconds_of_silence_is_heard(
    listening: LiveServer, words: Mapping[str, bytes], engine: str
) -> None:
    for lead_s in (1.5, 3.0):
        sound = joined(silence(lead_s), at_16_khz(words["hello"]), silence(0.5))
        assert written(listening, engine, wav(sound), language="en").text.strip() == "hello"


def test_speech_is_found_where_it_is(listening: LiveServer) -> None:
    """Silero's model tells where sentences stand in a file to within 0.3 s."""
    said = at_16_khz(say(listening, "turn the light on and play the music please", "en"))
    loud = np.flatnonzero(np.abs(said) > 0.01)
    said = said[loud[0] : loud[-1]]
    sound = joined(hiss(1.5), said, hiss(2.0), said, hiss(1.0))
    length_s = len(said) / RATE_HZ
    body = {"model": "silero-vad", "audio": [round(float(sample), 5) for sample in sound]}
    spans = listening.post("/v1/vad", body).json["segments"]
    times = [spans[0]["start"]]
    for one, following in pairwise(spans):
        if following["start"] - one["end"] > 1.0:  # less is a pause within a sentence
            times += [one["end"], following["start"]]
    times.append(spans[-1]["end"])
    wanted = [1.5, 1.5 + length_s, 3.5 + length_s, 3.5 + 2 * length_s]
    assert times == pytest.approx(wanted, abs=0.3)

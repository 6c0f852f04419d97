"""What both Whisper engines make of models whose words and times are known."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localai.domain.audio import TranscriptionRequest
from localai.domain.errors import LocalAIError, ModelFileInvalid, SpecInvalid
from localai.engines.manifest import Manifest
from tests.backends.kept import Kept
from tests.backends.lone import Lone, loaded, run
from tests.backends.sounding import SOUND_WEIGHTS, error_of, hear, make_sound_models
from tests.engines.installed import skip_without
from tests.sounds import joined, silence, sine, wav
from tests.whisper_maker import END_OF_TEXT, TEXT, make_ggml

CPP, FASTER = Manifest().find("whisper"), Manifest().find("faster-whisper")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whisper")
    make_sound_models(folder)
    make_ggml(folder / "japanese.bin", (0.0, "東京", 1.0))
    return folder


@pytest.fixture(scope="module", params=[CPP, FASTER], ids=lambda entry: entry.name)
def engine(request: Any, models: Path) -> Iterator[Kept]:
    skip_without(request.param)
    with Kept(request.param, models / SOUND_WEIGHTS[request.param.name], threads=1) as kept:
        yield kept


def test_text_times_language_and_numbers(engine: Kept) -> None:
    async def test(lone: Lone) -> None:
        whole = await hear(lone, wav(sine(10)))
        assert (whole.text, whole.language, whole.duration_s) == (TEXT, "de", 10.0)
        times = [(segment.start_s, segment.end_s) for segment in whole.segments]
        assert times == [(0.0, 1.2), (1.2, 2.5)]
        assert [segment.text for segment in whole.segments] == [" one two", " three été"]
        assert all(token > END_OF_TEXT for token in (whole.segments[0].token_ids[0],))
        assert whole.segments[0].avg_logprob == pytest.approx(0.0, abs=0.01)
        assert whole.segments[0].temperature == 0.0

    engine.ask(test)


def test_a_language_may_be_named(engine: Kept) -> None:
    async def test(lone: Lone) -> None:
        assert (await hear(lone, wav(sine(5)), language="ja")).language == "ja"
        assert (await hear(lone, wav(sine(5)), translate=True)).text == TEXT

    engine.ask(test)


def test_words_have_times_inside_their_segments(engine: Kept) -> None:
    async def test(lone: Lone) -> None:
        whole = await hear(lone, wav(sine(10)), wants_words=True)
        assert [word.text for word in whole.words] == TEXT.split()
        first, second = whole.words[:2]
        assert 0.0 == first.start_s < first.end_s <= second.start_s < second.end_s <= 1.21
        assert all(0 <= (word.probability or 0) <= 1 for word in whole.words)

    engine.ask(test)


def test_every_window_is_heard_and_silence_is_passed_over(engine: Kept) -> None:
    async def test(lone: Lone) -> None:
        whole = await hear(lone, wav(joined(sine(50), silence(70), sine(20))))
        starts = [segment.start_s for segment in whole.segments[::2]]
        assert 3 <= len(starts) <= 5
        assert not [start for start in starts if 51 < start < 100]
        assert whole.text == " ".join([TEXT] * len(starts))

    engine.ask(test)


def test_letters_of_several_tokens_are_put_together(models: Path) -> None:
    skip_without(CPP)

    async def test() -> None:
        async with loaded(CPP, models / "japanese.bin", threads=1) as lone:
            whole = await hear(lone, wav(sine(5)), language="ja", wants_words=True)
            assert whole.text == "東京"
            assert [word.text for word in whole.words] == ["東", "京"]
            together = await hear(lone, wav(sine(5)), language="en", wants_words=True)
            assert [word.text for word in together.words] == ["東京"]

    run(test())


def start_error(entry: Any, path: Path, **how: Any) -> LocalAIError:
    async def test() -> None:
        async with loaded(entry, path, **how):
            pass

    with pytest.raises(LocalAIError) as caught:
        run(test())
    return caught.value


def test_damaged_files_of_whisper_cpp_are_named(models: Path, tmp_path: Path) -> None:
    skip_without(CPP)
    whole = (models / "scripted.bin").read_bytes()
    (tmp_path / "gguf.bin").write_bytes(b"GGUF" + bytes(1000))
    (tmp_path / "empty.bin").write_bytes(b"")
    (tmp_path / "wild.bin").write_bytes(whole[:48] + struct.pack("<2i", 80, 201) + b"\xff" * 5000)
    for name in ("gguf.bin", "empty.bin", "wild.bin", "missing.bin"):
        error = start_error(CPP, tmp_path / name)
        assert isinstance(error, ModelFileInvalid), name
        assert str(tmp_path / name) in error.message
        assert error.hint
    for size in (len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.bin").write_bytes(whole[:size])
        assert "end too early" in start_error(CPP, tmp_path / "cut.bin").message


def test_damaged_folders_of_faster_whisper_are_named(models: Path, tmp_path: Path) -> None:
    skip_without(FASTER)
    error = start_error(FASTER, tmp_path)
    assert "has no model.bin and no config.json and no tokenizer.json" in error.message
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        (tmp_path / name).write_bytes((models / "ct2" / name).read_bytes())
    (tmp_path / "model.bin").write_bytes(b"abc")
    assert isinstance(start_error(FASTER, tmp_path), ModelFileInvalid)


def test_a_folder_whose_languages_were_not_converted_wants_the_language(
    models: Path, tmp_path: Path
) -> None:
    skip_without(FASTER)
    for name in ("model.bin", "tokenizer.json", "vocabulary.json"):
        (tmp_path / name).write_bytes((models / "ct2" / name).read_bytes())
    config = json.loads((models / "ct2" / "config.json").read_text()) | {"lang_ids": []}
    (tmp_path / "config.json").write_text(json.dumps(config))

    async def test() -> None:
        async with loaded(FASTER, tmp_path, threads=1) as lone:
            assert "lang_ids" in lone.facts.warnings[0]
            error = await error_of(lone, TranscriptionRequest(), wav(sine(2)))
            assert error.fields["param"] == "language"
            assert (await hear(lone, wav(sine(2)), language="de")).text == TEXT

    run(test())


@pytest.mark.parametrize("entry", [CPP, FASTER], ids=lambda entry: entry.name)
def test_settings_are_checked(entry: Any, models: Path) -> None:
    skip_without(entry)
    path = models / SOUND_WEIGHTS[entry.name]
    for options in (("beam_sise:3",), ("beam_size:many",)):
        assert isinstance(start_error(entry, path, options=options), SpecInvalid)
    if entry is CPP:
        error = start_error(entry, path, options=("vad_only",))
        assert "silero-vad" in error.hint
    else:
        assert isinstance(start_error(entry, path, options=("compute_type:int3",)), SpecInvalid)


@pytest.mark.parametrize(
    "options",
    [("beam_size:3",), ("audio_ctx:512",), ("temperature_inc:0", "suppress_nst")],
    ids=str,
)
def test_settings_of_whisper_cpp_act(models: Path, options: tuple[str, ...]) -> None:
    skip_without(CPP)

    async def test() -> None:
        async with loaded(
            CPP, models / "scripted.bin", threads=1, language="fr", options=options
        ) as lone:
            whole = await hear(lone, wav(sine(5)))
            assert (whole.text, whole.language) == (TEXT, "fr")

    run(test())

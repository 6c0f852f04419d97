"""Piper: natural voices that are small and quick. https://github.com/OHF-Voice/piper1-gpl (GPL-3.0-or-later)

Files     a voice NAME.onnx, and NAME.onnx.json beside it
Output    mono, at the voice's own rate, a sentence at a time
Voices    the speakers of the file, by name or number; a file with one speaker has one voice
License   this file and the library it loads run in a process of their own
"""

from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import onnxruntime
import piper
from piper.config import PiperConfig
from piper.phonemize_espeak import ESPEAK_DATA_DIR

from localai.domain.audio import AudioChunk, SynthesisRequest
from localai.domain.errors import ModelFileInvalid, Unsupported
from localai.wire.messages import LoadRequest, ModelFacts, Voice
from localai.worker.audio.sentences import sentences
from localai.worker.audio.short_paths import ShortPath
from localai.worker.audio.voices import generic_number, no_such_language, no_such_voice
from localai.worker.onnx_errors import ONNX_ERRORS
from localai.worker.options import read_options
from localai.worker.threads import Emitter, from_thread, in_own_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_SLOTS = 4
_PHONEMES = ("espeak", "text")  # other kinds need packages that are not in this environment


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a voice.

    `noise_scale` and `noise_w` are how much the voice varies, -1 the file's own;
    `sentence_silence` is the pause after each sentence, in seconds.
    """

    threads: int = 4
    voice: str = ""
    noise_scale: float = -1.0
    noise_w: float = -1.0
    sentence_silence: float = 0.2


class Backend:
    """A loaded voice."""

    def __init__(self, voice: Any, name: str, options: Options, data: ShortPath) -> None:
        self._voice = voice
        self._name = name
        self._options = options
        self._data = data

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load a voice. Raises ModelFileInvalid when one of its two files is missing or damaged."""
        options = read_options(request, Options, ("threads",))
        voice = options.voice or str(request.settings.get("tts", {}).get("voice") or "")
        options = msgspec.structs.replace(options, voice=voice)
        path = Path(request.model_path)
        data = ShortPath(Path(ESPEAK_DATA_DIR))
        loaded = await in_own_thread(_load, path, data.path, options.threads)
        backend = cls(loaded, path.stem, options, data)
        backend.speaker_of(SynthesisRequest(text=""))
        return backend

    @property
    def facts(self) -> ModelFacts:
        """Its speakers."""
        config = self._voice.config
        names = self._speakers() or {self._name: 0}
        voices = [Voice(voice_id=name, name=name, language=config.espeak_voice) for name in names]
        threads = self._options.threads
        return ModelFacts(
            slots=_SLOTS, device=f"CPU, {threads} thread{'s' * (threads != 1)}", voices=voices
        )

    async def close(self) -> None:
        """Free the voice."""
        self._voice = None
        self._data.close()

    async def synthesize(self, request: SynthesisRequest) -> AsyncGenerator[AudioChunk, None]:
        """Speak, a sentence at a time."""
        config = self._voice.config
        self._check_language(request.language)
        options = self._options
        how = piper.SynthesisConfig(
            speaker_id=self.speaker_of(request),
            length_scale=config.length_scale / request.speed,
            noise_scale=config.noise_scale if options.noise_scale < 0 else options.noise_scale,
            noise_w_scale=config.noise_w_scale if options.noise_w < 0 else options.noise_w,
        )
        pause = bytes(2 * int(options.sentence_silence * config.sample_rate))

        def speak(emit: Emitter[bytes]) -> None:
            for sentence in sentences(request.text):
                for chunk in self._voice.synthesize(sentence, syn_config=how):
                    emit(chunk.audio_int16_bytes + pause)

        async with aclosing(from_thread(speak)) as spoken:
            async for pcm in spoken:
                yield AudioChunk(pcm=pcm, rate_hz=config.sample_rate)

    def speaker_of(self, request: SynthesisRequest) -> int | None:
        """The number of the speaker that a request asks for. Raises InvalidRequest."""
        speakers = self._speakers()
        named = request.voice or self._options.voice
        number = generic_number(named)
        if named in speakers:
            return speakers[named]
        if not named or number is not None:
            count = max(1, self._voice.config.num_speakers)
            return (number or 0) % count if speakers else None
        if named.isdecimal() and int(named) < max(1, self._voice.config.num_speakers):
            return int(named)
        if named.removesuffix(".onnx") == self._name:
            return 0 if speakers else None
        raise no_such_voice(named, list(speakers) or [self._name])

    def _speakers(self) -> dict[str, int]:
        """Number by name, for a file with several speakers."""
        config = self._voice.config
        if config.num_speakers < 2:  # noqa: PLR2004 - one is not several
            return {}
        named = {str(name): int(number) for name, number in config.speaker_id_map.items()}
        return named or {str(number): number for number in range(config.num_speakers)}

    def _check_language(self, language: str | None) -> None:
        """A voice speaks one language."""
        own = str(self._voice.config.espeak_voice)
        if language and language.lower().partition("-")[0] != own.lower().partition("-")[0]:
            raise no_such_language(language, own)


def _load(path: Path, data: Path, threads: int) -> Any:
    described = path.with_name(f"{path.name}.json")
    for file in (path, described):
        if not file.is_file():
            hint = "A voice of Piper is two files: NAME.onnx and NAME.onnx.json."
            raise ModelFileInvalid(f"{file} is not there.", path=str(file), hint=hint)
    try:
        config = PiperConfig.from_dict(json.loads(described.read_bytes()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{described} does not describe a voice: {type(error).__name__}: {error}."
        raise ModelFileInvalid(message, path=str(described)) from error
    if config.phoneme_type.value not in _PHONEMES:
        message = f"{path.name} needs phonemes of the kind {config.phoneme_type.value!r}."
        raise Unsupported(message, hint=f"This engine has {' and '.join(_PHONEMES)}.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except ONNX_ERRORS as error:
        message = f"{path} is no ONNX model: {error}"
        raise ModelFileInvalid(message, path=str(path)) from error
    return piper.PiperVoice(
        config=config, session=session, espeak_data_dir=data, download_dir=path.parent
    )

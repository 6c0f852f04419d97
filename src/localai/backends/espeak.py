"""eSpeak NG: speaks more than a hundred languages by rule. https://github.com/espeak-ng/espeak-ng (GPL-3.0-or-later)

Files     none: the voices come with the library, from the wheel of espeakng-loader
Output    mono, 22.05 kHz, a robotic voice; a hundred times faster than one hears it
Voices    a language (`de`, `en-gb-scotland`) or its name (`German`), with a variant if one likes:
          `en-us+f2`. The names of OpenAI's voices are variants of the language asked for.
License   this file and the library it loads run in a process of their own
"""

from __future__ import annotations

import ctypes
from contextlib import aclosing
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import espeakng_loader
import msgspec

from localai.domain.audio import AudioChunk, SynthesisRequest
from localai.domain.errors import StartFailed
from localai.wire.messages import LoadRequest, ModelFacts, Voice
from localai.worker.audio.sentences import sentences
from localai.worker.audio.short_paths import ShortPath
from localai.worker.audio.voices import generic_number, no_such_language, no_such_voice
from localai.worker.options import read_options
from localai.worker.threads import Emitter, Stopped, cancellable, from_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples are handed to a function
_UTF8 = 1  # espeakCHARS_UTF8; no flag for SSML or phonemes, so that text is only text
_RATE, _PITCH = 1, 3  # espeak_PARAMETER
_WORDS_A_MINUTE = 175  # at speed 1
_SLOWEST, _FASTEST = 80, 700  # words a minute; it does not go beyond
_SLOTS = 8  # calls take turns, a sentence each
_OK = 0
_GO_ON, _STOP = 0, 1  # what it is told after each block of samples
_BEGINNING_S = 0.2  # of a sentence; the rest takes a tenth of that
_DEFAULT_LANGUAGE = "en-us"
# One for each of OpenAI's names, in their order.
_VARIANTS = ("", "m1", "m5", "m4", "f3", "m3", "f5", "f1", "f2", "m7", "f4", "f5", "m2")
_OTHER_CODES = {"zh": "cmn", "no": "nb", "tl": "fil", "jw": "jv", "iw": "he"}


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a voice. `pitch` is 0 to 99, 50 the voice's own."""

    voice: str = ""
    language: str = ""
    pitch: int = 50


class _Voice(ctypes.Structure):
    """espeak_VOICE."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Take = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _Espeak:
    """The library. It has one state, so only one thread at a time may use it."""

    def __init__(self) -> None:
        self._data = ShortPath(Path(espeakng_loader.get_data_path()))
        self._library: Any = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self.rate_hz: int = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, str(self._data.path).encode(), 0
        )
        if self.rate_hz <= 0:
            message = f"eSpeak NG cannot use its voices in {self._data.path}."
            raise StartFailed(message)
        self._emit: Emitter[bytes]
        self._taken = bytearray()
        self._has_begun = False
        self._voice = ""  # that it speaks with
        self._turn = Lock()
        self._take = _Take(self._take_samples)  # kept, or it would be freed while it is used
        self._library.espeak_SetSynthCallback(self._take)
        self.languages = {code: name for name, code, _ in self._voices()}
        listed = [identifier for _, _, identifier in self._voices(b"variant")]
        self.variants = {name.rpartition("/")[2].lower(): name for name in listed}

    def say(self, text: str, voice: str, rate: int, pitch: int, emit: Emitter[bytes]) -> None:
        """Emit the samples of a text: its beginning at once, so that it is soon heard, then the rest.

        In a thread. Two pieces are never too many, so a slow listener does not keep others waiting.
        """
        with self._turn:
            if not emit.is_stopped():
                self._say(text, voice, rate, pitch, emit)

    def close(self) -> None:
        self._library.espeak_Terminate()
        self._data.close()

    def _say(self, text: str, voice: str, rate: int, pitch: int, emit: Emitter[bytes]) -> None:
        self._taken, self._emit, self._has_begun = bytearray(), emit, False
        if voice != self._voice:
            self._voice = ""
            if self._library.espeak_SetVoiceByName(voice.encode()) != _OK:
                raise no_such_voice(voice, list(self.languages))
            self._voice = voice
        self._library.espeak_SetParameter(_RATE, rate, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        data = text.replace("\0", " ").encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if self._taken:
            emit(bytes(self._taken))

    def _take_samples(self, samples: Any, count: int, _events: Any) -> int:
        if self._emit.is_stopped():
            return _STOP
        if samples and count > 0:
            self._taken += ctypes.string_at(samples, count * 2)
        if not self._has_begun and len(self._taken) >= 2 * _BEGINNING_S * self.rate_hz:
            self._has_begun = True
            try:
                self._emit(bytes(self._taken))
            except Stopped:
                return _STOP
            self._taken.clear()
        return _GO_ON

    def _voices(self, kind: bytes = b"") -> Iterator[tuple[str, str, str]]:
        """Name, language and identifier of each voice, or of each variant."""
        wanted = _Voice()
        word = ctypes.create_string_buffer(kind + b"\0")
        wanted.languages = ctypes.cast(word, ctypes.c_void_p)
        found = self._library.espeak_ListVoices(ctypes.byref(wanted) if kind else None)
        place = 0
        while found[place]:
            voice = found[place].contents
            language = ctypes.string_at(voice.languages + 1)  # behind its priority
            yield voice.name.decode(), language.decode(), voice.identifier.decode()
            place += 1


class Backend:
    """eSpeak NG, loaded."""

    def __init__(self, espeak: _Espeak, options: Options) -> None:
        self._espeak = espeak
        self._options = options

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load the library. Raises InvalidRequest for a voice in the model file that is not there."""
        options = read_options(request, Options, ("language",))
        voice = options.voice or str(request.settings.get("tts", {}).get("voice") or "")
        options = msgspec.structs.replace(options, voice=voice)
        loaded = cls(await cancellable(lambda _: _Espeak()), options)
        loaded.voice_of(SynthesisRequest(text=""))
        return loaded

    @property
    def facts(self) -> ModelFacts:
        """Its languages, as voices."""
        voices = [
            Voice(voice_id=code, name=name, language=code)
            for code, name in sorted(self._espeak.languages.items())
        ]
        return ModelFacts(slots=_SLOTS, device="CPU", voices=voices)

    async def close(self) -> None:
        """Free the library."""
        self._espeak.close()

    async def synthesize(self, request: SynthesisRequest) -> AsyncGenerator[AudioChunk, None]:
        """Speak, a sentence at a time."""
        voice = self.voice_of(request)
        rate = min(max(round(_WORDS_A_MINUTE * request.speed), _SLOWEST), _FASTEST)
        for sentence in sentences(request.text):
            say = partial(self._espeak.say, sentence, voice, rate, self._options.pitch)
            async with aclosing(from_thread(say)) as spoken:
                async for pcm in spoken:
                    yield AudioChunk(pcm=pcm, rate_hz=self._espeak.rate_hz)

    def voice_of(self, request: SynthesisRequest) -> str:
        """The library's name for what a request asks for. Raises InvalidRequest."""
        named = request.voice or self._options.voice
        language = self._language(request.language or self._options.language)
        number = generic_number(named)
        if number is not None or not named:
            variant = _VARIANTS[number] if number is not None else ""
            return f"{language or _DEFAULT_LANGUAGE}{'+' * bool(variant)}{variant}"
        base, plus, variant = named.partition("+")
        if plus and variant.lower() not in self._espeak.variants:
            raise no_such_voice(named, [f"{base}+{one}" for one in sorted(self._espeak.variants)])
        code = self._known(base) if base else language or _DEFAULT_LANGUAGE
        if code is None:
            raise no_such_voice(named, sorted(self._espeak.languages))
        return f"{code}{plus}{variant}"

    def _language(self, written: str) -> str:
        """A language's own code. Raises InvalidRequest."""
        if not written:
            return ""
        code = self._known(written) or self._known(written.partition("-")[0])
        if code is None:
            raise no_such_language(written, f"{len(self._espeak.languages)} others")
        return code

    def _known(self, written: str) -> str | None:
        """The code of a language by code or name, in any case; the plain one before its kinds."""
        languages = self._espeak.languages
        word = written.strip().lower().replace("_", "-")
        word = _OTHER_CODES.get(word, word)
        if word in languages:
            return word
        if word == "en":
            return _DEFAULT_LANGUAGE
        names = {name.lower(): code for code, name in languages.items()}
        kinds = sorted(code for code in languages if code.startswith(f"{word}-"))
        return names.get(word) or (kinds[0] if kinds else None)

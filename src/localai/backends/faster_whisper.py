"""faster-whisper: speech to text with Whisper's models on CTranslate2. https://github.com/SYSTRAN/faster-whisper (MIT)

Files     a folder as ct2-transformers-converter writes it: model.bin, config.json, tokenizer.json
Devices   cpu, cuda (`cuda: true`)              Precision  `compute_type`, int8 by default on a CPU
Together  calls take turns, a window of half a minute each
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import faster_whisper
import msgspec

from localai.domain.audio import Segment, TranscriptEnded, TranscriptionRequest, Word
from localai.domain.errors import InvalidRequest, ModelFileInvalid, SpecInvalid, Unsupported
from localai.wire.messages import LoadRequest, ModelFacts
from localai.worker.audio import Sound, Window, by_windows
from localai.worker.options import read_options
from localai.worker.threads import cancellable, in_own_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from localai.domain.events import Progress

_FIELDS = ("threads", "language", "translate", "cuda", "f16")
_FILES = ("model.bin", "config.json", "tokenizer.json")
_SLOTS = 8  # calls that take turns; a place costs nothing
_ENGLISH = "en"
_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # tried in turn until the text looks sound


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a model on this engine.

    `beam_size` 1 is quickest; `hotwords` are words to expect; `compute_type` is CTranslate2's, for
    example int8, int8_float16, float16, float32.
    """

    threads: int = 4
    language: str = ""
    translate: bool = False
    cuda: bool = False
    f16: bool = False
    compute_type: str = ""
    beam_size: int = 5
    hotwords: str = ""


class Backend:
    """A loaded Whisper model."""

    def __init__(self, model: Any, options: Options, warnings: list[str]) -> None:
        self._model = model
        self._options = options
        self._warnings = warnings
        self._turn = asyncio.Lock()

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load a folder. Raises ModelFileInvalid when it is none that CTranslate2 knows."""
        options = read_options(request, Options, _FIELDS)
        folder = Path(request.model_path)
        warnings = _check(folder)
        return cls(await in_own_thread(_open, folder, options), options, warnings)

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        threads = self._options.threads
        device = "CUDA" if self._options.cuda else f"CPU, {threads} thread{'s' * (threads != 1)}"
        precision = self._model.model.compute_type
        return ModelFacts(
            slots=_SLOTS, device=f"{device}, {precision}", warnings=list(self._warnings)
        )

    async def close(self) -> None:
        """Free the model."""
        self._model.model.unload_model()
        self._model = None

    async def transcribe(
        self, request: TranscriptionRequest, sound: Sound
    ) -> AsyncGenerator[Segment | Progress | TranscriptEnded, None]:
        """Hear the windows one by one; the language of the first that says something counts."""
        language = self._language(request)

        async def hear(window: Window) -> list[Segment]:
            nonlocal language
            async with self._turn:
                segments, heard = await cancellable(
                    lambda is_stopped: self._hear(window, request, language, is_stopped)
                )
            language = heard if segments else language
            return segments

        async with aclosing(by_windows(sound, hear)) as events:
            async for event in events:
                yield event
        yield TranscriptEnded(duration_s=sound.heard_s, language=language or "")

    def _language(self, request: TranscriptionRequest) -> str | None:
        """The language to hear; None to find out. Raises RequestError when that cannot be."""
        asked = request.language or self._options.language or None
        if not self._model.model.is_multilingual:
            if (request.language or _ENGLISH) != _ENGLISH or request.translate:
                message = "This model knows only English, and cannot translate."
                raise Unsupported(message, feature="language", param="language")
            return _ENGLISH
        if asked is not None and asked not in self._model.supported_languages:
            message = f"This model does not know the language {asked!r}."
            raise InvalidRequest(message, param="language")
        if asked is None and self._warnings:
            message = "This model cannot find out the language."
            raise InvalidRequest(message, param="language", hint="Name the language.")
        return asked

    def _hear(
        self,
        window: Window,
        request: TranscriptionRequest,
        language: str | None,
        is_stopped: Callable[[], bool],
    ) -> tuple[list[Segment], str]:
        """Run the model on one window, in a thread; times are those of the window."""
        temperature = request.temperature
        found, about = self._model.transcribe(
            window.samples,
            language=language,
            task="translate" if request.translate or self._options.translate else "transcribe",
            beam_size=self._options.beam_size,
            temperature=_TEMPERATURES if temperature is None else temperature,
            initial_prompt=request.prompt or None,
            hotwords=self._options.hotwords or None,
            word_timestamps=request.wants_words,
            condition_on_previous_text=False,
        )
        segments = []
        for segment in found:  # it is computed here, piece by piece
            if is_stopped():
                break
            if segment.text.strip():
                segments.append(_segment(segment))
        return segments, about.language


def _segment(segment: Any) -> Segment:
    words = tuple(
        Word(
            text=word.word.strip(),
            start_s=float(word.start),
            end_s=float(word.end),
            probability=round(float(word.probability), 4),
        )
        for word in segment.words or ()
    )
    return Segment(
        text=segment.text,
        start_s=float(segment.start),
        end_s=float(segment.end),
        words=words,
        token_ids=tuple(segment.tokens),
        avg_logprob=round(float(segment.avg_logprob), 4),
        no_speech_probability=round(float(segment.no_speech_prob), 4),
        temperature=float(segment.temperature or 0.0),
    )


def _check(folder: Path) -> list[str]:
    """Raise ModelFileInvalid for a folder that would fail, or make the engine download something."""
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise ModelFileInvalid(
            f"{folder} has no {' and no '.join(missing)}.",
            path=str(folder),
            hint="It must be a folder as ct2-transformers-converter writes it, with tokenizer.json.",
        )
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except ValueError as error:
        message = f"{folder / 'config.json'} is no JSON: {error}."
        raise ModelFileInvalid(message, path=str(folder)) from error
    if not config.get("lang_ids", True):  # as some versions of the converter leave it
        return [
            "lang_ids in config.json is empty, so the language has to be named in each request."
        ]
    return []


def _open(folder: Path, options: Options) -> Any:
    precision = options.compute_type or ("float16" if options.f16 and options.cuda else "default")
    if not options.cuda and not options.compute_type:
        precision = "int8"
    try:
        return faster_whisper.WhisperModel(
            str(folder),
            device="cuda" if options.cuda else "cpu",
            compute_type=precision,
            cpu_threads=options.threads,
            local_files_only=True,
        )
    except ValueError as error:  # a precision that this machine or build does not have
        raise SpecInvalid(f"The model in {folder} cannot be loaded: {error}.") from error
    except RuntimeError as error:
        message = f"CTranslate2 cannot load {folder}: {error}."
        raise ModelFileInvalid(message, path=str(folder)) from error

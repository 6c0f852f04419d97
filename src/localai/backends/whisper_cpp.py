"""whisper.cpp: speech to text with Whisper's models. https://github.com/ggml-org/whisper.cpp (MIT)

Files     a ggml file such as ggml-base.bin, also quantized       Tasks  transcribe, translate to English
Devices   what the installed build has; the wheel of pywhispercpp from PyPI computes on the CPU
Together  calls take turns, a window of half a minute each: one context computes one thing at a time
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import _pywhispercpp as pw
import msgspec
import numpy as np

from localai.domain.audio import Segment, TranscriptEnded, TranscriptionRequest
from localai.domain.errors import EngineFailed, ModelFileInvalid, SpecInvalid, Unsupported
from localai.wire.messages import LoadRequest, ModelFacts
from localai.worker.audio import RATE_HZ, Sound, Window, by_windows
from localai.worker.audio.words import Token, words_of
from localai.worker.options import read_options
from localai.worker.threads import cancellable, in_own_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from localai.domain.events import Progress

_FIELDS = ("threads", "language", "translate", "flash_attention")
_MAGIC = 0x67676D6C
_HYPERPARAMETERS = 11
_SHORTEST_S = 1.1  # whisper.cpp gives nothing for less than a second
_TICK_S = 0.01  # the unit of its times
_SLOTS = 8  # calls that take turns; a place costs nothing
_ENGLISH = "en"
_MOST_DIMENSIONS = 4
# ggml's types: how many values a block holds, and in how many bytes (ggml.h, ggml-common.h).
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
}  # fmt: skip


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a model on this engine.

    `beam_size` above 1 searches more widely, and takes that much longer. `temperature_inc` is the
    step to the next try after a bad one; 0 tries once. `audio_ctx` hears fewer frames at once than
    the 1500 of half a minute, which is faster and only good for short sounds. `suppress_nst`
    keeps sounds that are no speech out of the text. `vad_only` is LocalAI's, and not supported.
    """

    threads: int = 4
    language: str = ""
    translate: bool = False
    flash_attention: str = "auto"
    beam_size: int = 1
    temperature_inc: float = 0.2
    audio_ctx: int = 0
    suppress_nst: bool = False
    vad_only: bool = False


class Backend:
    """A loaded Whisper model."""

    def __init__(self, context: Any, options: Options, vocabulary: Sequence[bytes]) -> None:
        self._context = context
        self._options = options
        self._vocabulary = vocabulary[: pw.whisper_token_eot(context)]
        self._turn = asyncio.Lock()
        self._is_multilingual = bool(pw.whisper_is_multilingual(context))

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load a ggml file. Raises ModelFileInvalid for any other."""
        options = read_options(request, Options, _FIELDS)
        if options.vad_only:
            message = "options: vad_only is not supported by this engine."
            raise SpecInvalid(message, hint="Use a model with `backend: silero-vad` instead.")
        path = Path(request.model_path)
        vocabulary = await in_own_thread(_read_vocabulary, path)
        context = await in_own_thread(_open, path, options)
        if context is None:
            raise ModelFileInvalid(
                f"whisper.cpp cannot load {path}.", path=str(path), hint="It may be damaged."
            )
        return cls(context, options, vocabulary)

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        kind = str(pw.whisper_model_type_readable(self._context))
        threads = self._options.threads
        return ModelFacts(
            slots=_SLOTS, device=f"CPU, {threads} thread{'s' * (threads != 1)}", fingerprint=kind
        )

    async def close(self) -> None:
        """Free the model."""
        pw.whisper_free(self._context)
        self._context = None

    async def transcribe(
        self, request: TranscriptionRequest, sound: Sound
    ) -> AsyncGenerator[Segment | Progress | TranscriptEnded, None]:
        """Hear the windows one by one; the language of the first that says something counts."""
        self._check(request)
        language = request.language or self._options.language
        if not self._is_multilingual:
            language = _ENGLISH

        async def hear(window: Window) -> list[Segment]:
            nonlocal language
            async with self._turn:
                found = await cancellable(
                    lambda is_stopped: self._hear(window, request, language, is_stopped)
                )
            language = found.language if found.segments else language
            return found.segments

        async with aclosing(by_windows(sound, hear)) as events:
            async for event in events:
                yield event
        yield TranscriptEnded(duration_s=sound.heard_s, language=language)

    def _check(self, request: TranscriptionRequest) -> None:
        if self._is_multilingual:
            return
        if (request.language or _ENGLISH) != _ENGLISH:
            message = (
                f"This model knows only English; the language asked for is {request.language!r}."
            )
            raise Unsupported(message, feature="language", param="language")
        if request.translate:
            message = "This model knows only English, so it cannot translate."
            raise Unsupported(message, feature="translate", param="translate")

    def _hear(
        self,
        window: Window,
        request: TranscriptionRequest,
        language: str,
        is_stopped: Callable[[], bool],
    ) -> _Heard:
        """Run the model on one window, in a thread; times are those of the window."""
        samples = window.samples
        least = int(_SHORTEST_S * RATE_HZ)
        if len(samples) < least:
            samples = np.pad(samples, (0, least - len(samples)))
        parameters = self._parameters(request, language)
        pw.assign_abort_callback(parameters, is_stopped)
        code = pw.whisper_full(self._context, parameters, samples, len(samples))
        if is_stopped():
            return _Heard([], language)
        if code != 0:
            message = f"whisper.cpp failed with code {code}."
            raise EngineFailed(message)
        heard = str(pw.whisper_lang_str(pw.whisper_full_lang_id(self._context)))
        count = pw.whisper_full_n_segments(self._context)
        segments = [self._segment(number, request, heard) for number in range(count)]
        return _Heard([one for one in segments if one.text.strip()], heard)

    def _parameters(self, request: TranscriptionRequest, language: str) -> Any:
        """All parameters, fresh for each run: whisper.cpp keeps nothing of the last one."""
        options = self._options
        strategies = pw.whisper_sampling_strategy
        is_wide = options.beam_size > 1
        parameters = pw.whisper_full_default_params(
            strategies.WHISPER_SAMPLING_BEAM_SEARCH
            if is_wide
            else strategies.WHISPER_SAMPLING_GREEDY
        )
        if is_wide:
            parameters.beam_search = {"beam_size": options.beam_size, "patience": -1.0}
        parameters.n_threads = options.threads
        parameters.language = language or "auto"
        parameters.translate = request.translate or options.translate
        parameters.initial_prompt = request.prompt
        parameters.token_timestamps = request.wants_words
        parameters.temperature = request.temperature or 0.0
        parameters.temperature_inc = options.temperature_inc
        parameters.audio_ctx = options.audio_ctx
        parameters.suppress_nst = options.suppress_nst
        parameters.print_progress = False
        parameters.print_realtime = False
        parameters.print_timestamps = False
        return parameters

    def _segment(self, number: int, request: TranscriptionRequest, language: str) -> Segment:
        context, vocabulary = self._context, self._vocabulary
        count = pw.whisper_full_n_tokens(context, number)
        all_tokens = [pw.whisper_full_get_token_data(context, number, at) for at in range(count)]
        tokens = [one for one in all_tokens if one.id < len(vocabulary)]
        words = words_of(
            [
                Token(vocabulary[one.id], one.t0 * _TICK_S, one.t1 * _TICK_S, one.p)
                for one in tokens
            ],
            language,
        )
        text = pw.whisper_full_get_segment_text(context, number).decode(errors="replace")
        return Segment(
            text=text,
            start_s=pw.whisper_full_get_segment_t0(context, number) * _TICK_S,
            end_s=pw.whisper_full_get_segment_t1(context, number) * _TICK_S,
            words=words if request.wants_words else (),
            token_ids=tuple(one.id for one in all_tokens),
            avg_logprob=round(sum(one.plog for one in tokens) / len(tokens), 4) if tokens else None,
            temperature=request.temperature or 0.0,
        )


@dataclass(frozen=True, slots=True)
class _Heard:
    segments: list[Segment]
    language: str


def _open(path: Path, options: Options) -> Any:
    parameters = pw.whisper_context_default_params()
    # With fewer frames than a window's, flash attention reads the zeros that fill it up.
    parameters.flash_attn = options.flash_attention != "off" and not options.audio_ctx
    return pw.whisper_init_from_file_with_params(str(path), parameters)


def _read_vocabulary(path: Path) -> tuple[bytes, ...]:
    """The tokens of a ggml file: whisper.cpp gives them as text, which a part of a letter is not.

    Raises ModelFileInvalid, also for a file that is not whole: whisper.cpp would crash on it.
    """
    try:
        with path.open("rb") as file:
            tokens = tuple(_tokens(file))
            is_whole = _is_whole(file, path.stat().st_size)
    except OSError as error:
        message = f"The weights cannot be read: {path}: {error.strerror}."
        hint = "Put the file there, or correct `parameters.model` in the model file."
        raise ModelFileInvalid(message, path=str(path), hint=hint) from error
    except (ValueError, struct.error) as error:
        raise ModelFileInvalid(
            f"{path} is no model of whisper.cpp.",
            path=str(path),
            hint="It needs a ggml file, such as ggml-base.bin.",
        ) from error
    if not is_whole:
        message = f"The weights in {path} end too early."
        hint = "The file was probably cut off while it was downloaded; get it again."
        raise ModelFileInvalid(message, path=str(path), hint=hint)
    return tokens


def _tokens(file: BinaryIO) -> Iterator[bytes]:
    """Layout: magic, 11 hyperparameters, the mel filters, then each token behind its length."""
    magic, most, *_ = struct.unpack("<12i", file.read(4 * (1 + _HYPERPARAMETERS)))
    if magic != _MAGIC:
        message = "another magic number"
        raise ValueError(message)
    rows, columns = struct.unpack("<2i", file.read(8))
    file.seek(4 * rows * columns, 1)
    (count,) = struct.unpack("<i", file.read(4))
    if count > most:
        message = "more tokens than it has numbers for"
        raise ValueError(message)
    for _ in range(count):
        (length,) = struct.unpack("<I", file.read(4))
        yield file.read(length)


def _is_whole(file: BinaryIO, size: int) -> bool:
    """Whether the tensors fill the file to its end. Each: dimensions, name, type, then its values."""
    while file.tell() < size:
        try:
            n_dims, name_length, kind = struct.unpack("<3i", file.read(12))
            if not (0 <= n_dims <= _MOST_DIMENSIONS and name_length >= 0):
                return False
            dims = struct.unpack(f"<{n_dims}I", file.read(4 * n_dims))
        except struct.error:
            return False
        if kind not in _BLOCKS:
            return True  # a type that is newer than this table
        values, length = _BLOCKS[kind]
        file.seek(name_length + math.prod(dims) // values * length, 1)
    return file.tell() == size

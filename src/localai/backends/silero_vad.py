"""Silero VAD: finds speech. https://github.com/snakers4/silero-vad (MIT)

Files     none: the model is in the wheel of silero-vad; a file named in the model file is used instead
Speed     a hundred times faster than one hears it, on one core
"""

from __future__ import annotations

from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
import onnxruntime

from localai.domain.audio import SpeechDetectionRequest, SpeechSpan
from localai.domain.errors import ModelFileInvalid
from localai.wire.messages import LoadRequest, ModelFacts
from localai.worker.audio import RATE_HZ, Sound
from localai.worker.onnx_errors import ONNX_ERRORS
from localai.worker.options import read_options
from localai.worker.threads import in_own_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from numpy.typing import NDArray

    from localai.domain.events import Progress

    Samples = NDArray[np.float32]

_SLOTS = 4
_FRAME = 512  # samples that the model hears at once
_CONTEXT = 64  # samples of the frame before, which it wants in front
_STATE = (2, 1, 128)
_HYSTERESIS = 0.15  # speech ends at a lower probability than it begins


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counts as speech, where a request does not say; times in seconds."""

    threshold: float = 0.5
    min_speech: float = 0.25
    min_silence: float = 0.1
    padding: float = 0.03


class Backend:
    """The loaded model."""

    def __init__(self, session: Any, options: Options) -> None:
        self._session = session
        self._options = options

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load the model. Raises ModelFileInvalid."""
        options = read_options(request, Options)
        named = Path(request.model_path) if request.model_path else None
        path = named if named is not None and named.is_file() else _own_model()
        return cls(await in_own_thread(_open, path), options)

    @property
    def facts(self) -> ModelFacts:
        """What is known of it."""
        return ModelFacts(slots=_SLOTS, device="CPU, 1 thread")

    async def close(self) -> None:
        """Free the model."""
        self._session = None

    async def detect_speech(
        self, request: SpeechDetectionRequest, sound: Sound
    ) -> AsyncGenerator[SpeechSpan | Progress, None]:
        """Hear the sound once; a span is given when its end is known."""
        options = self._options
        finder = _Finder(
            self._session,
            threshold=_or(request.threshold, options.threshold),
            min_speech_s=_or(request.min_speech_s, options.min_speech),
            min_silence_s=_or(request.min_silence_s, options.min_silence),
            padding_s=_or(request.padding_s, options.padding),
        )
        async with aclosing(sound.blocks()) as blocks:
            async for block in blocks:
                for span in await in_own_thread(finder.feed, block):
                    yield span
                yield sound.progress
        for span in await in_own_thread(finder.finish):
            yield span


class _Finder:
    """One sound on its way through the model."""

    def __init__(
        self, session: Any, *, threshold: float, min_speech_s: float, min_silence_s: float,
        padding_s: float,
    ) -> None:  # fmt: skip
        self._session = session
        self._threshold = threshold
        self._min_speech_s = min_speech_s
        self._min_silence_s = min_silence_s
        self._padding_s = padding_s
        self._state = np.zeros(_STATE, np.float32)
        self._context = np.zeros((1, _CONTEXT), np.float32)
        self._rest = np.zeros(0, np.float32)
        self._rate = np.array(RATE_HZ, np.int64)
        self._heard = 0
        self._began_s: float | None = None
        self._quiet_since_s: float | None = None
        self._last_end_s = 0.0

    def feed(self, block: Samples) -> list[SpeechSpan]:
        """Hear more; gives the spans that have ended."""
        samples = np.concatenate([self._rest, block])
        whole = len(samples) // _FRAME * _FRAME
        self._rest = samples[whole:]
        frames = samples[:whole].reshape(-1, 1, _FRAME)
        return [span for frame in frames for span in self._frame(frame)]

    def finish(self) -> list[SpeechSpan]:
        """Hear the rest."""
        length_s = (self._heard + len(self._rest)) / RATE_HZ
        found = []
        if len(self._rest):
            padded = np.pad(self._rest, (0, _FRAME - len(self._rest)))
            found = self._frame(padded.reshape(1, _FRAME))
        if self._began_s is not None:
            found += self._span(self._began_s, self._quiet_since_s or length_s)
        kept = [span for span in found if span.start_s < length_s]
        return [SpeechSpan(start_s=s.start_s, end_s=min(s.end_s, round(length_s, 3))) for s in kept]

    def _frame(self, frame: Samples) -> list[SpeechSpan]:
        at_s = self._heard / RATE_HZ
        self._heard += _FRAME
        given = {
            "input": np.concatenate([self._context, frame], axis=1),
            "state": self._state,
            "sr": self._rate,
        }
        probability, self._state = self._session.run(None, given)
        self._context = frame[:, -_CONTEXT:]
        return self._decide(float(probability[0, 0]), at_s)

    def _decide(self, probability: float, at_s: float) -> list[SpeechSpan]:
        if probability >= self._threshold:
            self._quiet_since_s = None
            self._began_s = at_s if self._began_s is None else self._began_s
            return []
        if self._began_s is None or probability >= self._threshold - _HYSTERESIS:
            return []
        self._quiet_since_s = at_s if self._quiet_since_s is None else self._quiet_since_s
        if at_s - self._quiet_since_s < self._min_silence_s:
            return []
        began_s, ended_s = self._began_s, self._quiet_since_s
        self._began_s = self._quiet_since_s = None
        return self._span(began_s, ended_s)

    def _span(self, began_s: float, ended_s: float) -> list[SpeechSpan]:
        """A widened span, which does not reach into the one before."""
        if ended_s - began_s < self._min_speech_s:
            return []
        start_s = max(began_s - self._padding_s, self._last_end_s, 0.0)
        self._last_end_s = max(ended_s + self._padding_s, start_s)
        return [SpeechSpan(start_s=round(start_s, 3), end_s=round(self._last_end_s, 3))]


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _own_model() -> Path:
    """The model in the wheel, whose own code is not imported: it needs PyTorch."""
    spec = find_spec("silero_vad")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        message = "The package silero-vad, which has the model, is not installed."
        raise ModelFileInvalid(message, hint="Install the engine anew.")
    return Path(folders[0]) / "data" / "silero_vad.onnx"


def _open(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except ONNX_ERRORS as error:
        message = f"{path} is no ONNX model: {error}"
        raise ModelFileInvalid(message, path=str(path)) from error

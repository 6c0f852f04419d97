"""Where to cut long audio: at the quietest place, so that no word is cut in two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEP_S: Final = 0.02
_AROUND_S: Final = 0.2  # a pause between words is at least that long
_AS_QUIET: Final = 2.0  # times the quietest place's power still counts as quiet as that
_SILENCE: Final = 1e-4  # a loudest sample of -80 dB: below the noise of any microphone


def quiet_place(samples: NDArray[np.float32], first: int, last: int, rate_hz: int) -> int:
    """The sample to cut before, between `first` and `last`: the latest of the quietest places."""
    step = int(_STEP_S * rate_hz)
    part = samples[first:last]
    power = np.square(part[: len(part) // step * step], dtype=np.float32)
    steps = power.reshape(-1, step).mean(axis=1)
    width = min(int(_AROUND_S / _STEP_S), len(steps))
    around = np.convolve(steps, np.full(width, 1 / width, np.float32), mode="valid")
    quietest = max(float(around.min()), _SILENCE**2)
    place = int(np.flatnonzero(around <= quietest * _AS_QUIET)[-1])
    return first + (place + width // 2) * step


def is_silent(samples: NDArray[np.float32]) -> bool:
    """Whether there is nothing at all to hear."""
    return not len(samples) or float(np.abs(samples).max()) < _SILENCE

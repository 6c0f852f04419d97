"""eSpeak NG through its C library, as the wheel of espeakng-loader brings it."""

from __future__ import annotations

import ctypes
from typing import Any

import espeakng_loader
import numpy as np
import soxr

RATE = 16_000  # Hz, of everything the recogniser hears
_SYNCHRONOUS, _UTF8 = 2, 1
_SPEED, _PITCH, _GAP = 1, 3, 7  # espeak_PARAMETER
_Take = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Speaker:
    """The library; it has one state."""

    def __init__(self) -> None:
        self._library: Any = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        data = str(espeakng_loader.get_data_path()).encode()
        self._rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0)
        if self._rate <= 0:
            raise RuntimeError("eSpeak NG found no voices")
        self._taken: list[bytes] = []
        self._take = _Take(self._keep)
        self._library.espeak_SetSynthCallback(self._take)

    def _keep(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._taken.append(ctypes.string_at(samples, count * 2))
        return 0

    def say(self, text: str, voice: str, speed: int, pitch: int, gap: int) -> np.ndarray:
        """Samples from -1 to 1 at RATE. `speed` in words a minute, `pitch` 0 to 99, `gap` in 10 ms."""
        self._taken.clear()
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"eSpeak NG has no voice {voice}")
        for parameter, value in ((_SPEED, speed), (_PITCH, pitch), (_GAP, gap)):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        spoken = np.frombuffer(b"".join(self._taken), "<i2").astype(np.float32) / 32768
        return soxr.resample(spoken, self._rate, RATE)


def trimmed(sound: np.ndarray, threshold: float = 0.004) -> np.ndarray:
    """Without the silence around it, but for 10 ms before and 20 ms behind."""
    loud = np.flatnonzero(np.abs(sound) > threshold)
    return sound[max(0, loud[0] - 160) : loud[-1] + 320] if loud.size else sound

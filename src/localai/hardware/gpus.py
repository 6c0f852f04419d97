"""The NVIDIA GPUs of this machine and their memory, as their driver tells.

Source: NVML API reference (nvmlInit_v2, nvmlDeviceGetHandleByIndex_v2, nvmlDeviceGetMemoryInfo). The
library comes with the driver; asking it takes milliseconds, where `nvidia-smi` takes a second.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

_LIBRARY: Final = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
_LONGEST_NAME: Final = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU, as its maker calls it; sizes in bytes, `free_bytes` at this moment."""

    name: str
    memory_bytes: int
    free_bytes: int


class _Memory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


def gpus(load: Callable[[str], Any] = ctypes.CDLL) -> tuple[Gpu, ...]:
    """The GPUs, in the order in which engines count them; empty without a driver.

    `load` opens a library by its name.
    """
    try:
        library = load(_LIBRARY)
    except OSError:
        return ()
    if library.nvmlInit_v2() != 0:
        return ()
    try:
        return tuple(_found(library))
    finally:
        library.nvmlShutdown()


def _found(library: Any) -> Iterator[Gpu]:
    count = ctypes.c_uint(0)
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return
    for index in range(count.value):
        handle, memory = ctypes.c_void_p(), _Memory()
        name = ctypes.create_string_buffer(_LONGEST_NAME)
        if library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)) != 0:
            continue
        if library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) != 0:
            continue
        library.nvmlDeviceGetName(handle, name, ctypes.c_uint(_LONGEST_NAME))
        yield Gpu(
            name=name.value.decode(errors="replace") or "a GPU",
            memory_bytes=memory.total,
            free_bytes=memory.free,
        )

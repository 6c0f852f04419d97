"""What a GPU did when a call failed: it had too little memory, or it is lost to this process.

The classes of these errors exist in the engines' own environments only, so their names and words tell.
"""

from __future__ import annotations

import re
from typing import Final

from localai.domain.errors import OutOfMemory

_NO_MEMORY: Final = "OutOfMemoryError"  # torch.OutOfMemoryError and its kin
_NO_MEMORY_WORDS: Final = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
_LOST: Final = "AcceleratorError"  # torch's for what its device reports, from 2.8 on
_SIZE: Final = r"([\d.]+) ([KMGT]?)i?B"
_WANTED: Final = re.compile(rf"Tried to allocate {_SIZE}")
_FREE: Final = re.compile(rf"of which {_SIZE} is free")
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def out_of_memory(error: BaseException, what: str) -> OutOfMemory | None:
    """The error of the domain where a GPU had too little memory; `what` begins its sentence."""
    if not _is_about_memory(error):
        return None
    wanted, free = _bytes(_WANTED, str(error)), _bytes(_FREE, str(error))
    said = "the GPU's memory is full"
    if wanted:
        said = f"{wanted / 1e9:.2f} GB of the GPU's memory were wanted, and {free / 1e9:.2f} GB are free"
    return OutOfMemory(
        f"{what}: {said}.",
        needed_bytes=wanted,
        free_bytes=free,
        hint="Unload another model, or use a smaller one, a quantized one or a shorter input; "
        "`main_gpu: cpu` in the model file computes on the processor.",
    )


def is_lost(error: BaseException) -> bool:
    """Whether the GPU refuses every further call of this process, as CUDA does after a fault.

    Source: CUDA runtime API, the errors after which "the process must be terminated and relaunched".
    """
    return type(error).__name__ == _LOST and not _is_about_memory(error)


def _is_about_memory(error: BaseException) -> bool:
    return type(error).__name__ == _NO_MEMORY or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY_WORDS)
    )


def _bytes(size: re.Pattern[str], text: str) -> int:
    found = size.search(text)
    return int(float(found[1]) * _UNITS[found[2]]) if found else 0

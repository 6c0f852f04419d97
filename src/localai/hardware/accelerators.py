"""Which accelerators this machine has, as far as drivers and the kernel tell."""

from __future__ import annotations

import ctypes
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_INTEL = "0x8086"
_DISPLAY = "0x03"  # the PCI class of display controllers begins so
_CUDA_13 = 13000
_CUDA_12 = 12000


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One kind of accelerator: the engine variant that uses it, and a sentence that says why."""

    variant: str
    why: str


def accelerators(root: Path = Path("/")) -> tuple[Accelerator, ...]:
    """The accelerators found, the best first; empty on a machine that only has its processor.

    `root` stands in for the file system root. What is found is what a driver reports: a card
    without its driver does not count, because no engine could use it.
    """
    found = []
    version = _cuda_driver_version()
    if version:
        shown = f"{version // 1000}.{version % 1000 // 10}"
        why = f"an NVIDIA driver for CUDA {shown} is installed"
        if version >= _CUDA_13:
            found.append(Accelerator("cuda13", why))
        if version >= _CUDA_12:
            found.append(Accelerator("cuda12", why))
    if (root / "dev/kfd").exists():
        found.append(Accelerator("rocm", "the AMD driver's device /dev/kfd is there"))
    if sys.platform == "darwin" and platform.machine() == "arm64":
        found.append(Accelerator("metal", "this is a Mac with Apple silicon"))
    if any(_is_intel_display(device) for device in (root / "sys/bus/pci/devices").glob("*")):
        found.append(Accelerator("intel", "an Intel graphics device is there"))
    return tuple(found)


def _is_intel_display(device: Path) -> bool:
    try:
        vendor = (device / "vendor").read_text(encoding="ascii").strip()
        kind = (device / "class").read_text(encoding="ascii").strip()
    except OSError:
        return False
    return vendor == _INTEL and kind.startswith(_DISPLAY)


@cache
def _cuda_driver_version() -> int:
    """The CUDA version that the NVIDIA driver supports, 12080 for 12.8; 0 without a driver.

    Source: CUDA driver API, cuDriverGetVersion, which needs no initialization.
    """
    names = ["nvcuda.dll"] if sys.platform == "win32" else ["libcuda.so.1", "libcuda.so"]
    for name in names:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        version = ctypes.c_int(0)
        if library.cuDriverGetVersion(ctypes.byref(version)) == 0:
            return version.value
    return 0

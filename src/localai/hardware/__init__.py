"""What this machine has for models: processor cores and memory, as the process may use them.

A container sees the whole host, so every number here is the smallest of what the kernel, the CPU
affinity and the control groups allow. Start with `probe()`. No engine and no model is known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from localai.hardware.accelerators import Accelerator, accelerators
from localai.hardware.cores import usable_cores
from localai.hardware.gpus import Gpu, gpus
from localai.hardware.memory import available_memory_bytes, total_memory_bytes

__all__ = [
    "Accelerator",
    "Gpu",
    "Hardware",
    "accelerators",
    "available_memory_bytes",
    "gpus",
    "probe",
    "total_memory_bytes",
    "usable_cores",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What one process may use: cores to compute on, memory in all, memory free now.

    Sizes are in bytes; 0 where the system does not say.
    """

    cores: int
    memory_bytes: int
    available_bytes: int


def probe(root: Path = Path("/")) -> Hardware:
    """Measure this machine now. `root` stands in for the file system root."""
    return Hardware(
        cores=usable_cores(root),
        memory_bytes=total_memory_bytes(root),
        available_bytes=available_memory_bytes(root),
    )

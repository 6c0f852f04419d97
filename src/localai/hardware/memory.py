"""How much memory this process may use, and how much of it is free."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from localai.hardware.cgroups import Group, groups, read_lines, read_number

# Version 1 writes "no limit" as the largest multiple of a page below 2^63.
NO_LIMIT = 1 << 60


def total_memory_bytes(root: Path = Path("/")) -> int:
    """Give the memory of this machine, or of the tightest control group; 0 when unknown."""
    machine = _meminfo(root).get("MemTotal") or _physical_bytes()
    limits = [limit for group in groups("memory", root) for limit, _ in _limit(group)]
    return min([*([machine] if machine else []), *limits], default=0)


def available_memory_bytes(root: Path = Path("/")) -> int:
    """Give the memory that a new model can take without swapping; 0 when unknown.

    The smallest of the kernel's MemAvailable and what each control group leaves. Pages of files
    that a group can drop count as free.
    """
    machine = _meminfo(root).get("MemAvailable") or _unused_bytes()
    left = [
        max(0, limit - used) for group in groups("memory", root) for limit, used in _limit(group)
    ]
    return min([*([machine] if machine else []), *left], default=0)


def _meminfo(root: Path) -> dict[str, int]:
    """Give /proc/meminfo in bytes; empty on systems without it."""
    found = {}
    for line in read_lines(root / "proc/meminfo"):
        match = re.match(r"(\w+):\s+(\d+) kB", line)
        if match:
            found[match[1]] = int(match[2]) * 1024
    return found


def _limit(group: Group) -> Iterator[tuple[int, int]]:
    """Give (limit, bytes in use that cannot be dropped) of a group, if it sets a limit."""
    is_first = group.version == 1
    limit = read_number(group.folder / ("memory.limit_in_bytes" if is_first else "memory.max"))
    used = read_number(group.folder / ("memory.usage_in_bytes" if is_first else "memory.current"))
    if limit is None or limit >= NO_LIMIT:
        return
    droppable = _stat(group.folder, "total_inactive_file" if is_first else "inactive_file")
    yield limit, max(0, (used or 0) - droppable)


def _stat(folder: Path, name: str) -> int:
    for line in read_lines(folder / "memory.stat"):
        key, _, value = line.partition(" ")
        if key == name and value.isdecimal():
            return int(value)
    return 0


def _physical_bytes() -> int:
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return _windows_bytes()[0]


def _unused_bytes() -> int:
    """Give the free memory of a system without /proc: macOS and Windows."""
    if sys.platform == "darwin":
        return _free_on_macos()
    return _windows_bytes()[1]


def _free_on_macos() -> int:
    """Add up the pages that vm_stat calls free, inactive, speculative or purgeable."""
    try:
        result = subprocess.run(
            ["/usr/bin/vm_stat"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    return pages_that_vm_stat_calls_free(result.stdout)


def pages_that_vm_stat_calls_free(report: str) -> int:
    """Give the bytes that a report of macOS's vm_stat shows as free or reclaimable."""
    page = re.search(r"page size of (\d+) bytes", report)
    counts = re.findall(
        r"^Pages (?:free|inactive|speculative|purgeable):\s+(\d+)", report, re.MULTILINE
    )
    return int(page[1]) * sum(map(int, counts)) if page else 0


def _windows_bytes() -> tuple[int, int]:
    """Give (all, free) physical memory of Windows; zeros elsewhere."""
    if sys.platform == "win32":
        import ctypes

        class Status(ctypes.Structure):
            _fields_ = (
                ("length", ctypes.c_ulong),
                ("load", ctypes.c_ulong),
                ("total", ctypes.c_ulonglong),
                ("available", ctypes.c_ulonglong),
                ("rest", ctypes.c_ulonglong * 5),
            )

        status = Status(length=ctypes.sizeof(Status))
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            return int(status.total), int(status.available)
    return 0, 0

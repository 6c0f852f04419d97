"""How many threads of computation this process should run."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from math import ceil
from pathlib import Path

from localai.hardware.cgroups import Group, groups, read_number, read_words


def usable_cores(root: Path = Path("/"), *, affinity: Collection[int] | None = None) -> int:
    """Count the cores to compute on: at least 1, never more than this process may use.

    Two hardware threads of one core count once, because matrix products saturate the core's
    arithmetic units. CPU quotas of control groups count rounded up. `affinity` replaces the
    process's own set of logical CPUs.
    """
    logical = _affinity() if affinity is None else frozenset(affinity)
    limits = [ceil(quota) for group in groups("cpu", root) for quota in _quota(group)]
    return max(1, min([_physical(logical, root), *limits]))


def _affinity() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))  # macOS and Windows cannot tell


def _physical(logical: Collection[int], root: Path) -> int:
    """Count the cores that `logical` CPUs belong to; all of them where that is unknown."""
    cores = set()
    for cpu in logical:
        file = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        siblings = read_words(file)
        if not siblings:
            return len(logical)
        cores.add(siblings[0])
    return len(cores)


def _quota(group: Group) -> Iterator[float]:
    """Give the CPUs' worth of time that one group allows, if it sets a limit."""
    if group.version == 1:
        quota = read_number(group.folder / "cpu.cfs_quota_us")
        period = read_number(group.folder / "cpu.cfs_period_us")
    else:
        words = read_words(group.folder / "cpu.max")
        if len(words) != 2 or not all(word.isdecimal() for word in words):  # noqa: PLR2004
            return
        quota, period = int(words[0]), int(words[1])
    if quota is not None and quota > 0 and period:
        yield quota / period

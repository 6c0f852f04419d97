"""Memory that this process may use, on made-up machines."""

from collections.abc import Callable
from pathlib import Path

import pytest

from localai.hardware import available_memory_bytes, total_memory_bytes
from localai.hardware.memory import pages_that_vm_stat_calls_free

Tree = Callable[[dict[str, str]], Path]
MIB = 1 << 20

MEMINFO = {"proc/meminfo": "MemTotal: 8388608 kB\nMemFree: 100 kB\nMemAvailable: 4194304 kB\n"}
V2 = {
    **MEMINFO,
    "proc/self/cgroup": "0::/app\n",
    "proc/self/mountinfo": "31 23 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
}
V1 = {
    **MEMINFO,
    "proc/self/cgroup": "4:memory:/app\n",
    "proc/self/mountinfo": "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    def make(files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return make


def test_without_limits_the_kernel_decides(tree: Tree) -> None:
    root = tree({**V2, "sys/fs/cgroup/app/memory.max": "max"})
    assert total_memory_bytes(root) == 8192 * MIB
    assert available_memory_bytes(root) == 4096 * MIB


def test_a_limit_of_version_2_counts_without_droppable_pages(tree: Tree) -> None:
    group = "sys/fs/cgroup/app"
    root = tree(
        {
            **V2,
            f"{group}/memory.max": str(2048 * MIB),
            f"{group}/memory.current": str(1536 * MIB),
            f"{group}/memory.stat": f"anon 5\ninactive_file {512 * MIB}\n",
        }
    )
    assert total_memory_bytes(root) == 2048 * MIB
    assert available_memory_bytes(root) == 1024 * MIB


def test_a_limit_of_version_1_counts(tree: Tree) -> None:
    group = "sys/fs/cgroup/memory/app"
    root = tree(
        {
            **V1,
            f"{group}/memory.limit_in_bytes": str(1000 * MIB),
            f"{group}/memory.usage_in_bytes": str(600 * MIB),
            f"{group}/memory.stat": f"total_inactive_file {100 * MIB}\n",
        }
    )
    assert total_memory_bytes(root) == 1000 * MIB
    assert available_memory_bytes(root) == 500 * MIB


def test_the_largest_number_of_version_1_is_no_limit(tree: Tree) -> None:
    root = tree({**V1, "sys/fs/cgroup/memory/app/memory.limit_in_bytes": "9223372036854771712"})
    assert total_memory_bytes(root) == 8192 * MIB


def test_a_full_group_has_nothing_left(tree: Tree) -> None:
    group = "sys/fs/cgroup/app"
    files = {f"{group}/memory.max": "1000000", f"{group}/memory.current": "2000000"}
    assert available_memory_bytes(tree({**V2, **files})) == 0


def test_an_enclosing_group_counts_too(tree: Tree) -> None:
    root = tree(
        {
            **V2,
            "sys/fs/cgroup/app/memory.max": str(2048 * MIB),
            "sys/fs/cgroup/memory.max": str(1024 * MIB),
        }
    )
    assert total_memory_bytes(root) == 1024 * MIB


def test_a_report_of_macos_is_understood() -> None:
    report = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n"
        "Pages free:                               10.\n"
        "Pages active:                           1000.\n"
        "Pages inactive:                           20.\n"
        "Pages speculative:                        30.\n"
        "Pages purgeable:                          40.\n"
    )
    assert pages_that_vm_stat_calls_free(report) == 16384 * 100
    assert pages_that_vm_stat_calls_free("") == 0

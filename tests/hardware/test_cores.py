"""Cores that this process may use, on made-up machines."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from localai.hardware import probe, usable_cores

Tree = Callable[[dict[str, str]], Path]

V2 = {
    "proc/self/cgroup": "0::/app/inner\n",
    "proc/self/mountinfo": "31 23 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
}
V1 = {
    "proc/self/cgroup": "4:memory:/app\n3:cpu,cpuacct:/app/inner\n0::/\n",
    "proc/self/mountinfo": (
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct\n"
        "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    ),
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


def siblings(*groups: str) -> dict[str, str]:
    """Give the topology files of a machine whose CPUs 0, 1, ... have these sibling lists."""
    return {
        f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{group}\n"
        for cpu, group in enumerate(groups)
    }


def test_without_limits_every_cpu_counts(tree: Tree) -> None:
    assert usable_cores(tree({}), affinity=range(6)) == 6


def test_threads_of_one_core_count_once(tree: Tree) -> None:
    root = tree(siblings("0,2", "1,3", "0,2", "1,3"))
    assert usable_cores(root, affinity=range(4)) == 2
    assert usable_cores(root, affinity={0, 1}) == 2
    assert usable_cores(root, affinity={0, 2}) == 1


def test_an_unknown_topology_counts_logical_cpus(tree: Tree) -> None:
    assert usable_cores(tree(siblings("0,1", "0,1")), affinity=range(3)) == 3


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("9900000 100000", 8),
        ("", 8),
        ("x y", 8),
        ("100000 0", 8),
    ],
)
def test_a_quota_of_version_2_limits(tree: Tree, quota: str, cores: int) -> None:
    root = tree({**V2, "sys/fs/cgroup/app/inner/cpu.max": quota})
    assert usable_cores(root, affinity=range(8)) == cores


def test_the_tightest_enclosing_group_counts(tree: Tree) -> None:
    root = tree(
        {
            **V2,
            "sys/fs/cgroup/app/inner/cpu.max": "500000 100000",
            "sys/fs/cgroup/app/cpu.max": "300000 100000",
            "sys/fs/cgroup/cpu.max": "max 100000",
        }
    )
    assert usable_cores(root, affinity=range(8)) == 3


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("250000", 3), ("0", 8)])
def test_a_quota_of_version_1_limits(tree: Tree, quota: str, cores: int) -> None:
    folder = "sys/fs/cgroup/cpu,cpuacct/app/inner"
    files = {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": "100000"}
    assert usable_cores(tree({**V1, **files}), affinity=range(8)) == cores


def test_a_container_sees_its_own_group_as_the_root(tree: Tree) -> None:
    root = tree(
        {
            "proc/self/cgroup": "0::/docker/abc\n",
            "proc/self/mountinfo": "31 2 0:2 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
            "sys/fs/cgroup/cpu.max": "100000 100000",
        }
    )
    assert usable_cores(root, affinity=range(8)) == 1


@pytest.mark.parametrize("path", ["/../../elsewhere", "/not/mounted/here"])
def test_a_group_out_of_sight_leaves_what_is_mounted(tree: Tree, path: str) -> None:
    root = tree(
        {**V2, "proc/self/cgroup": f"0::{path}\n", "sys/fs/cgroup/cpu.max": "200000 100000"}
    )
    assert usable_cores(root, affinity=range(8)) == 2


@pytest.mark.parametrize("noise", ["", "\n\n", "0\n", "a:b:c:d\n", "31 23\n", " - \n", "\x00"])
def test_odd_kernel_files_do_no_harm(tree: Tree, noise: str) -> None:
    root = tree({"proc/self/cgroup": noise, "proc/self/mountinfo": noise})
    assert usable_cores(root, affinity=range(2)) == 2


def test_there_is_always_one_core(tree: Tree) -> None:
    assert usable_cores(tree({}), affinity=()) == 1


def test_this_machine_has_cores_and_memory() -> None:
    hardware = probe()
    assert 1 <= hardware.cores <= (os.cpu_count() or 1)
    assert 0 < hardware.available_bytes <= hardware.memory_bytes

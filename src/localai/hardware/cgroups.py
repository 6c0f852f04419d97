"""Where the kernel keeps the limits of this process's control groups (versions 1 and 2).

Source: Linux kernel documentation, admin-guide/cgroup-v2.rst and cgroup-v1/; proc(5), mountinfo.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True)
class Group:
    """One control group of this process: its folder, and the version (1 or 2) of its files."""

    folder: Path
    version: int


def groups(controller: str, root: Path = Path("/")) -> Iterator[Group]:
    """Give the groups that limit this process by `controller`, innermost first.

    A limit of any enclosing group applies too, so all of them up to the mount point are given.
    """
    for number, controllers, path in _memberships(root):
        version = 2 if number == "0" and not controllers else 1
        if version == 1 and controller not in controllers:
            continue
        for mounted, origin in _mounts(root, version, controller):
            yield from (Group(folder, version) for folder in _upwards(mounted, origin, path))


def read_number(file: Path) -> int | None:
    """Give the number in a one-line kernel file; None when absent, or `max` (no limit)."""
    words = read_words(file)
    with suppress(ValueError, IndexError):
        return int(words[0])
    return None


def read_words(file: Path) -> list[str]:
    """Give the words of a small kernel file; none when it cannot be read."""
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text().split()
    return []


def read_lines(file: Path) -> list[str]:
    """Give the lines of a kernel file; none when it cannot be read."""
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text().splitlines()
    return []


def _memberships(root: Path) -> Iterator[tuple[str, list[str], str]]:
    for line in read_lines(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        yield number, [name for name in controllers.split(",") if name], path


def _mounts(root: Path, version: int, controller: str) -> Iterator[tuple[Path, str]]:
    """Give (folder, path of the group that is mounted there) of each mount."""
    for line in read_lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, source = before.split(), after.split()
        if len(fields) < 5 or len(source) < 3:  # noqa: PLR2004 - columns of proc(5)
            continue
        is_wanted = (
            source[0] == "cgroup2"
            if version == 2  # noqa: PLR2004
            else source[0] == "cgroup" and controller in source[2].split(",")
        )
        if is_wanted:
            yield root / fields[4].lstrip("/"), fields[3]


def _upwards(mounted: Path, origin: str, path: str) -> Iterator[Path]:
    """Give the folder of the group `path` and its parents, down to where `origin` is mounted."""
    with suppress(ValueError):
        relative = PurePosixPath(path).relative_to(origin)
        if ".." not in relative.parts:
            inner = mounted.joinpath(*relative.parts)
            if inner.is_dir():
                yield from (
                    folder for folder in (inner, *inner.parents) if folder.is_relative_to(mounted)
                )
                return
    yield mounted  # a path of another namespace: what is mounted is what applies to us

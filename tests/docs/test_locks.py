"""The lock files agree with each other and with what pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKED = re.compile(r"^([a-z0-9.-]+)==(\S+)", re.MULTILINE)


def locked(name: str) -> set[tuple[str, str]]:
    return set(LOCKED.findall((ROOT / "requirements" / f"{name}.txt").read_text()))


@pytest.mark.parametrize("part", ["run", "setup"])
def test_the_lock_for_tests_contains_the_others(part: str) -> None:
    assert locked(part) <= locked("dev")


def test_everything_asked_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = {re.split(r"[^a-z0-9.-]", line)[0] for line in project["project"]["dependencies"]}
    assert asked <= {name for name, _ in locked("run")}, "run `make lock`"
    for group, lines in project["dependency-groups"].items():
        lock = group if group.startswith(("clients", "models")) else "dev"
        asked = {re.split(r"[^a-z0-9.-]", line)[0] for line in lines if isinstance(line, str)}
        assert asked <= {name for name, _ in locked(lock)}, "run `make lock`"

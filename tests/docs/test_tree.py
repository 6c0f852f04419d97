"""Nothing in the tree depends on the machine where it was written."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "tests", "benchmarks", "training", "docs", "webui", "requirements", ".ci")
LEFT_BEHIND = {"__pycache__", ".venv", "work"}  # by Python and by training
LARGEST_TEXT_BYTES = 1_000_000

# A path that exists on one machine only; placeholders such as /path/to/models are fine.
MACHINE_PATH = re.compile(r"(?:^|[^A-Za-z0-9_.~-])/(?:work|root|opt|farm|home|Users)/[a-z.]")


def texts() -> Iterator[tuple[Path, str]]:
    """Give every text file of the project, with its text. `.git` is a file in a linked work tree."""
    files = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]
    for folder in FOLDERS:
        files += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in files:
        place = path.relative_to(ROOT)
        if path.stat().st_size <= LARGEST_TEXT_BYTES and not LEFT_BEHIND & set(place.parts):
            try:
                yield place, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # not a text


def test_no_path_of_one_machine() -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


def test_locked_dependencies_come_from_whatever_index_the_machine_uses() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    names = ["clients-openai-2.txt", "clients.txt", "dev.txt", "models.txt", "run.txt", "setup.txt"]
    assert [lock.name for lock in locks] == names
    for lock in locks:
        assert "://" not in lock.read_text(), f"{lock.name} names an address; run `make lock`"
        assert "--hash=sha256:" in lock.read_text()
    packages = json.loads((ROOT / "tests/clients/node/package-lock.json").read_text())["packages"]
    for name, package in packages.items():
        assert "resolved" not in package, f"{name} names an address; run `make lock`"
        assert "integrity" in package or not name

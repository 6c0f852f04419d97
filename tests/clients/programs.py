"""The programs that judge: where their libraries are, and how they run.

Each file in `python` and `node` is a test suite of its own. `make clients` installs what they
need, in folders of the virtual environment of these tests.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "clients.md"
PAGE_URL = "http://127.0.0.1:8080"
NODE = "clients-node"
OLDEST_NODE = 20
LONGEST_S = 240.0  # these libraries take seconds to be read, and on a busy machine a minute

_EXAMPLE = re.compile(r"<!-- run by (\S+) -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Program:
    """One file; `environment` is the folder of its libraries, `dev` that of these tests."""

    path: str
    environment: str

    def __str__(self) -> str:
        return f"{Path(self.path).stem} in {self.environment}"

    @property
    def missing(self) -> str:
        """Why it cannot run here; empty when it can."""
        if self.environment == NODE and (reason := _no_node()):
            return reason
        if self.environment == "dev" or (_folder(self.environment) / "ready").exists():
            return ""
        return f"{self.environment} is not installed; run `make clients`"

    def run(self, folder: Path, told: Mapping[str, str]) -> tuple[int | None, str]:
        """Run a copy of it in `folder`, where it finds no settings of ours.

        Gives its exit code, None when it took too long, and what it printed.
        """
        name = Path(self.path).name
        for path in (HERE / self.path).parent.iterdir():
            if path.stem in {"asked", Path(name).stem}:
                shutil.copy(path, folder)
        for number, (language, code) in enumerate(examples(self.path)):
            example = folder / f"page_{number}.{_SUFFIXES[language]}"
            example.write_text(code.replace(PAGE_URL, told["LOCALAI_URL"]))
        if self.environment == NODE:
            (folder / "node_modules").symlink_to(_folder(NODE) / "node_modules")
            command = ["node", "--test-reporter=tap", name]
        else:
            python = sys.executable
            if self.environment != "dev":
                python = str(_folder(self.environment) / "bin" / "python")
            command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "asked.py", name]
        try:
            ended = subprocess.run(
                command,
                cwd=folder,
                env=dict(told),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return None, (late.stdout or b"").decode(errors="replace")
        return ended.returncode, ended.stdout.decode(errors="replace")


_SUFFIXES = {"python": "py", "js": "mjs"}


def examples(path: str) -> list[tuple[str, str]]:
    """Language and text of the examples in the page about clients that a program runs."""
    return [(language, code) for by, language, code in _all_examples() if by == path]


def examples_by() -> list[str]:
    """The program that runs each example of the page."""
    return [by for by, _, _ in _all_examples()]


def _all_examples() -> list[tuple[str, str, str]]:
    return _EXAMPLE.findall(PAGE.read_text())


def _folder(environment: str) -> Path:
    return Path(sys.prefix) / environment


def _no_node() -> str:
    found = shutil.which("node")
    if found is None:
        return "there is no Node.js on this machine"
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        return f"the clients need Node.js {OLDEST_NODE}; this is {version.stdout.strip()}"
    return ""

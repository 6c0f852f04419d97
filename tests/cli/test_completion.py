"""Completing in a shell: commands, options and the names of models."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.live import echo_yaml, run_cli, write_models


def completed(folder: Path, line: str) -> list[str]:
    words = line.split(" ")
    done = run_cli(
        folder=folder,
        environment={
            "_LOCAL_AI_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
    )
    return [row.partition(",")[2] for row in done.stdout.splitlines()]


def test_commands_options_and_models_are_completed(tmp_path: Path) -> None:
    write_models(
        tmp_path / "models", {"a.yaml": echo_yaml("team-echo"), "b.yaml": echo_yaml("other")}
    )
    assert completed(tmp_path, "python models sea") == ["search"]
    assert completed(tmp_path, "python chat te") == ["team-echo"]
    assert "qwen3-0.6b" in completed(tmp_path, "python run qwen3-")
    assert "qwen3-0.6b" not in completed(tmp_path, "python models uninstall qwen3-")
    assert "qwen3-0.6b" in completed(tmp_path, "python models install qwen3-0")
    assert "--json" in completed(tmp_path, "python models list --j")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_of_that_shell(tmp_path: Path, shell: str) -> None:
    done = run_cli("completion", shell, folder=tmp_path)
    assert done.returncode == 0
    assert "_LOCAL_AI_COMPLETE" in done.stdout
    if shutil.which(shell):
        flag = "--no-execute" if shell == "fish" else "-n"
        subprocess.run([shell, flag], input=done.stdout, text=True, check=True)

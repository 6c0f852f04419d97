"""The demonstration in the documents can be played."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.demo import PAGE, play, stage


@pytest.mark.slow
def test_every_scene_goes_as_it_is_shown(tmp_path: Path) -> None:
    with stage(tmp_path) as made:
        play(made)
        typed = [line for line in made.text.splitlines() if line.startswith("$ ")]
    assert [line for line in PAGE.read_text().splitlines() if line.startswith("$ ")] == typed

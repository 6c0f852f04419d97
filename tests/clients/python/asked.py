"""What every client here asks for: the servers that pytest started, and the same few questions."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

URL = os.environ["LOCALAI_URL"]  # everyone may ask
LOCKED_URL = os.environ["LOCALAI_LOCKED_URL"]  # wants the key "right"
PICTURE = os.environ["LOCALAI_PICTURE"]  # a PNG in base64

STARTER = "local-ai-starter"
SAY = "Say this is a test!"
SAID = "This is a test!"
QUESTION = "What is the weather in Rome?"


class Verdict(BaseModel):
    """A verdict; it has an end, whatever a very small model thinks."""

    verdict: Literal["yes", "no"]
    sure: bool


class Station:
    """The function behind the tool; it remembers the cities that it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_weather(self, city: str) -> str:
        """Get the weather of a city."""
        self.asked.append(city)
        return "sunny"


def test_the_examples_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """What docs/clients.md shows, with the address of the live server."""
    examples = sorted(Path.cwd().glob("page_*.py"))
    assert examples
    for example in examples:
        runpy.run_path(str(example))
        assert capsys.readouterr().out.strip() in (SAID, "Rome")

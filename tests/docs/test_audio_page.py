"""docs/reference/audio.md says what the code does."""

from __future__ import annotations

import re

from localai.dialects.speech import MOST_CHARACTERS
from localai.domain.tasks import AUDIO
from localai.engines.manifest import Manifest
from tests.docs.audio_page import AGAIN, DOCUMENT, page


def test_the_tables_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text()
    assert text == page(text), AGAIN


def test_every_engine_with_sound_is_named() -> None:
    text = DOCUMENT.read_text()
    for entry in Manifest().entries():
        if set(entry.tasks) & set(AUDIO) and entry.name != "tones":
            assert f"| `{entry.name}` |" in text


def test_the_longest_text_is_that_of_the_code() -> None:
    assert f"{MOST_CHARACTERS // 1000} 000 characters" in re.sub(r"\s+", " ", DOCUMENT.read_text())

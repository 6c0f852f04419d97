"""docs/reference/files.md says the limits that the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from localai.dialects.anthropic import files as anthropics
from localai.dialects.openai import files as openais
from localai.documents import ReaderLimits
from localai.http import media
from localai.settings import rows
from localai.state.incoming import RESERVE_BYTES

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "files.md").read_text()
LIMITS = ReaderLimits()
FILE_LIMIT = next(row.default for row in rows() if row.name == "file_limit")


@pytest.mark.parametrize(
    "said",
    [
        f"{openais.LEAST_TTL_S} to {openais.MOST_TTL_S} seconds",
        f"{anthropics.LEAST_TTL_S} to {anthropics.MOST_TTL_S} seconds",
        f"1 to {openais.MOST_LISTED}, ",
        f"1 to {anthropics.MOST_LISTED}, ",
        f"at most {anthropics.MOST_IDS})",
        f"at most {FILE_LIMIT} MB",
        f"{RESERVE_BYTES >> 20} MiB of the disk",
        f"at most {media._MOST_NAMED} files",
        f"sound, up to {media._MOST_MEDIA_BYTES // 1_000_000} MB",
        f"{media._TOKEN_CHARACTERS} characters for each token",
        f"{LIMITS.most_bytes // 1_000_000} MB | of a document",
        f"{LIMITS.most_pages} pages",
        f"each page (at most {LIMITS.most_images})",
        f"{LIMITS.seconds} s and {LIMITS.memory_bytes >> 20} MiB",
        f"{LIMITS.remembered_characters // 1_000_000} million characters",
        f"{LIMITS.together} at once | are read; others wait up to {LIMITS.waiting_s:g} s",
        *(f"`{purpose}`" for purpose in openais.PURPOSES),
    ],
)
def test_a_limit_is_that_of_the_code(said: str) -> None:
    assert said in TEXT

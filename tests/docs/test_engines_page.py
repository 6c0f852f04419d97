"""docs/reference/engines.md says what the manifest says, and what the CI runs."""

from __future__ import annotations

from localai.engines.manifest import Manifest
from tests.docs.engines_page import AGAIN, DOCUMENT, installed_by_ci, page


def test_the_tables_are_those_of_the_manifest() -> None:
    text = DOCUMENT.read_text()
    assert text == page(text), AGAIN


def test_what_the_ci_installs_is_in_the_manifest() -> None:
    names = {entry.name for entry in Manifest().entries() if not entry.is_bundled}
    assert installed_by_ci() <= names


def test_every_name_and_license_is_told() -> None:
    text = DOCUMENT.read_text()
    for entry in Manifest().entries():
        assert all(f"`{name}`" in text for name in (entry.name, *entry.aliases))
        assert entry.license in text
        assert entry.license, entry.name

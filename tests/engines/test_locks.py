"""What installs an engine is pinned, every package with its hashes, and comes from any index."""

from __future__ import annotations

import re

import pytest

from localai.engines.manifest import Manifest
from localai.engines.plan import TORCH_BUILDS, WORKER_PACKAGES

VARIANTS = [
    pytest.param(entry, variant, id=f"{entry.name}-{variant.name}")
    for entry in Manifest().entries()
    for variant in entry.variants
]


@pytest.mark.parametrize(("entry", "variant"), VARIANTS)
def test_a_variant_is_locked(entry, variant) -> None:
    assert variant.lock is not None
    text = variant.lock.read_text()
    assert "://" not in text
    pinned = set(re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE))
    assert len(re.findall(r"--hash=sha256:", text)) >= len(pinned) > 0
    for wanted in (*WORKER_PACKAGES, *variant.requires):
        name = re.split(r"[\[<>=!~ ;]", wanted)[0]
        assert name.replace("_", "-").lower() in pinned, f"{wanted}: run requirements/engines.py"
    assert "torch" not in pinned
    assert variant.disk_bytes > variant.download_bytes > 0
    assert entry.license
    assert entry.imports


@pytest.mark.parametrize(("entry", "variant"), VARIANTS)
def test_exact_versions_are_asked_for(entry, variant) -> None:
    assert [one for one in variant.requires if "==" not in one] == []
    assert variant.name in TORCH_BUILDS

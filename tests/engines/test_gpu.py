"""Which engines compute on a GPU: their models have to fit there."""

from __future__ import annotations

from pathlib import Path

import pytest

from localai.engines.plan import computes_on_cuda
from localai.engines.stock import Stock
from localai.hardware import Accelerator, gpus


@pytest.mark.parametrize(
    ("backend", "driver", "installed", "there"),
    [
        ("transformers", "cuda13", None, True),
        ("transformers", "cuda13", "cpu", False),  # its user wanted it so
        ("transformers", "rocm", None, False),  # it has no variant for that
        ("transformers", "rocm", "cuda13", True),
        ("whisper", "cuda13", None, False),
        ("llama-cpp", "cuda13", None, False),  # the one that comes along
    ],
)
def test_an_engine_with_a_variant_for_the_driver_computes_there(
    tmp_path: Path, backend: str, driver: str, installed: str | None, *, there: bool
) -> None:
    entry = Stock(tmp_path, {}).manifest.find(backend)
    found = (Accelerator(driver, "a test says so"),)
    assert computes_on_cuda(entry, found, installed) is there


def test_what_this_machine_has(tmp_path: Path) -> None:
    here = Stock(tmp_path, {})
    assert here.gpu("llama-cpp") is None
    assert here.gpu("nobody-knows") is None
    found = here.gpu("transformers")
    assert found is None or found.name == gpus()[0].name

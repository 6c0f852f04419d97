"""The results as a table, as JSON and as the page docs/reference/benchmarks.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import xllamacpp

from benchmarks.measures import Row
from localai.version import __version__

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "benchmarks.md"
BEGIN, END = "<!-- results: written by `make bench ARGS=--write` -->", "<!-- end of results -->"


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    names = [line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": names[0] if names else platform.processor(),
        "python": platform.python_version(),
        "engine": f"llama.cpp in xllamacpp {xllamacpp.__version__}",
        "localai": __version__,
    }


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _number(row: Row) -> str:
    digits = 0 if row.unit == "tokens/s" else 1 if row.unit in {"µs", "MB"} else 2
    if not row.unit:
        digits = 3
    return f"{row.value:.{digits}f} {row.unit}".strip()


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    return f"{'≥' if row.at_least else '≤'} {row.target:g} {row.unit}".strip()


def _verdict(row: Row) -> str:
    if not row.is_clear:
        return "unclear"
    return {None: "", True: "yes", False: "NO"}[row.met]


def cells(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    head = ("Measure", "Value", "Target", "Met", "From")
    return [head, *((r.measure, _number(r), _target(r), _verdict(r), r.note) for r in rows)]


def table(rows: Iterable[Row]) -> str:
    """For the terminal."""
    lines = cells(rows)
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False))
        + f"  {line[4]}"
        for line in lines
    )


def sentence(facts: dict[str, Any]) -> str:
    return (
        f"{facts['cores']} cores of {facts['cpu']}, Python {facts['python']}, {facts['engine']}; "
        f"load average {facts['load_before']} before and {facts['load_after']} after"
        f"{', a fifth of the samples (--quick)' if facts['quick'] else ''}."
    )


def write_page(rows: Iterable[Row], facts: dict[str, Any]) -> None:
    """Replace the results in the page; its words stay."""
    head, *lines = cells(rows)
    marked = [head, ("---",) * 5, *lines]
    results = "\n".join(f"| {' | '.join(line)} |" for line in marked)
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    told = f"Measured on {facts['date']}: {sentence(facts)}"
    PAGE.write_text(f"{before}{BEGIN}\n{told}\n\n{results}\n{END}{after}", encoding="utf-8")

"""docs/reference/features.md, made from the table and from the tests behind it. To write it anew:

python -m tests.features.page
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.features.table import SECTIONS, Row, Section

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "features.md"
AGAIN = "python -m tests.features.page writes the page anew"
HEAD = """\
# What each API can do

Every cell is a test that asks a running server, most of them through the official client of the
API; the link leads to it. Where an API streams, the tests of the first five tables run twice: for
a whole answer and for a stream. "-" stands where the API itself has nothing of the kind: the lines
below a table say why.

How answers obey schemas and grammars is in [schemas.md](schemas.md); which programs and libraries
are tried as a whole is in [clients.md](../clients.md).
"""


class Cell(NamedTuple):
    """A place in the table."""

    row: str
    column: str


def covered() -> dict[Cell, list[Path]]:
    """The files of the tests behind each cell, as their marks say."""
    found: dict[Cell, list[Path]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text()
        if "mark.covers" not in text:
            continue
        for row, columns in _marks(ast.parse(text)):
            for column in columns.split():
                found.setdefault(Cell(row, column), []).append(path)
    return found


def _marks(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What the marks on tests say."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.covers":
                    row, columns = (ast.literal_eval(argument) for argument in mark.args)
                    yield row, columns


def wanted() -> set[Cell]:
    """The cells that must have a test."""
    return {
        Cell(row.name, column)
        for section in SECTIONS
        for row in section.rows
        for column in section.columns
        if column not in row.without
    }


def page() -> str:
    """The whole page."""
    found = covered()
    return "\n".join([HEAD.rstrip(), *(_section(section, found) for section in SECTIONS)]) + "\n"


def _section(section: Section, found: Mapping[Cell, list[Path]]) -> str:
    names = [name or "tested" for name in section.columns.values()]
    lines = [
        f"\n## {section.title}\n",
        f"| | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    lines += [_row(row, section, found) for row in section.rows]
    lines += _reasons(section)
    return "\n".join(lines)


def _row(row: Row, section: Section, found: Mapping[Cell, list[Path]]) -> str:
    cells = []
    for column in section.columns:
        tests = found.get(Cell(row.name, column), [])
        cells.append("-" if column in row.without else _link(tests[0]) if tests else "?")
    return f"| {row.name} | {' | '.join(cells)} |"


def _link(test: Path) -> str:
    return f"[yes]({os.path.relpath(test, PAGE.parent)})"


def _reasons(section: Section) -> list[str]:
    """The lines that say why cells are empty, one for each reason."""
    found: dict[str, list[str]] = {}
    for row in section.rows:
        by_reason: dict[str, list[str]] = {}
        for column, reason in row.without.items():
            by_reason.setdefault(reason, []).append(section.columns[column])
        for reason, columns in by_reason.items():
            found.setdefault(f"{', '.join(columns)}: {reason}", []).append(row.name)
    lines = [f"- {why} ({'; '.join(names)})." for why, names in found.items()]
    return ["", *lines] if lines else []


if __name__ == "__main__":
    PAGE.write_text(page())

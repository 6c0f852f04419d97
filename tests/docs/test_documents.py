"""What the documents show can be followed: links lead somewhere, commands are commands."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

FENCED = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)")

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


def anchors(document: Path) -> set[str]:
    """Give the names that a forge derives from the headings of `document`."""
    text = FENCED.sub("", document.read_text())
    headings = re.findall(r"^#+ +(.+?) *#*$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def broken_links(document: Path) -> Iterator[str]:
    text = re.sub(r"`[^`\n]*`", "", FENCED.sub("", document.read_text()))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue  # another host's page, or a mail address
        path, _, anchor = unquote(link).partition("#")
        target = (document.parent / path) if path else document
        if not target.exists():
            yield f"{link}: there is no such file"
        elif not target.resolve().is_relative_to(ROOT):
            yield f"{link}: this leads out of the tree"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"{link}: there is no such heading"


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    assert list(broken_links(document)) == []


@every_document
def test_shell_examples_are_shell(document: Path) -> None:
    for indent, language, code in FENCED.findall(document.read_text()):
        if language in {"bash", "sh"}:
            lines = "".join(line.removeprefix(indent) for line in code.splitlines(keepends=True))
            checked = subprocess.run(
                ["bash", "-n"], input=lines, capture_output=True, text=True, check=False
            )
            assert checked.returncode == 0, f"{checked.stderr}\n{lines}"

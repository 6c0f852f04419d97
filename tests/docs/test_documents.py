"""What the documents show can be followed: links lead somewhere, commands are commands."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from localai.cli.main import group

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


def unknown_options(text: str) -> Iterator[str]:
    """Options that commands in `text` have, and the program does not."""
    for said in re.findall(r"\blocal-ai ([^`\n|#\"']+)", text):
        words = said.split()
        command: click.Command = group
        context = click.Context(group)
        while isinstance(command, click.Group) and words and words[0] in command.list_commands(context):  # fmt: skip
            name = words.pop(0)
            found = command.get_command(context, name)
            assert found is not None
            command, context = found, click.Context(found, parent=context, info_name=name)
        known = {"--help"}
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
        for word in words:
            option = re.match(r"--[a-z][a-z-]*", word)
            if option and option[0] not in known:
                yield f"local-ai {said.strip()}: there is no {option[0]}"


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, ROOT / "Makefile"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_options_that_are_shown_exist(document: Path) -> None:
    text = document.read_text()
    text += "".join(f"\nlocal-ai run {said}" for said in re.findall(r'make run ARGS="(.*?)"', text))
    assert list(unknown_options(text)) == []


def test_an_option_that_does_not_exist_would_be_found() -> None:
    assert list(unknown_options("`local-ai run --port 9000`")) == [
        "local-ai run --port 9000: there is no --port"
    ]

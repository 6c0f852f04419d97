"""What keeps the code readable: sizes, names, and effects that have one place each."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "localai"

MOST_LINES = 500  # a longer file holds two concerns

# Names that say nothing about what is inside.
EMPTY_NAMES = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

# file -> why it may read the environment of the process
MAY_READ_ENVIRONMENT = {
    "settings.py": "the one place where settings are read",
    "backends/huggingface.py": "its token stands in no model file, where others could read it",
    "worker/hub.py": "engines read there whether they may use the network; it only writes",
    "worker/__main__.py": "a process of its own; its token must not show in the list of processes",
}

# file -> why it may catch every exception
MAY_CATCH_EVERYTHING = {
    "worker/batcher.py": "whatever an engine raises, only the call that caused it must get it",
    "worker/runtime.py": "an engine may raise anything; the server is told what, in our own errors",
    "wire/incoming.py": "whoever takes an answer's pieces may fail in any way, in the loop's callback",
    "documents/child.py": "a damaged document may make its reader raise anything",
    "cli/main.py": "our errors become sentences, any other is raised again; imported late for speed",
    "http/app.py": "the last resort: a client gets an answer, the operator a traceback",
}


def modules(*, but: dict[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """Give the path below src/localai and the text of every module."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name not in (but or {}):
            yield name, path.read_text()


def test_a_file_holds_one_concern() -> None:
    lengths = {name: len(text.splitlines()) for name, text in modules()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_names_say_what_is_inside() -> None:
    places = [path for path in SOURCE.rglob("*") if path.is_dir() or path.suffix == ".py"]
    assert [str(path) for path in places if path.stem.strip("_") in EMPTY_NAMES] == []


def test_the_environment_is_read_in_one_place() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, text in modules(but=MAY_READ_ENVIRONMENT)
        for node in ast.walk(ast.parse(text))
        if reads_environment(node)
    ]
    assert found == [], "read this in settings.py and hand it down"


def reads_environment(node: ast.AST) -> bool:
    names = {"environ", "environb", "getenv", "getenvb"}
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr=name):
            return name in names
        case ast.ImportFrom(module="os", names=imported):
            return not names.isdisjoint(alias.name for alias in imported)
        case _:
            return False


def test_only_the_edges_catch_everything() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, text in modules(but=MAY_CATCH_EVERYTHING)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ExceptHandler)
        and catches_everything(node.type)
        and not ends_with_raise(node)
    ]
    assert found == [], "name the errors that are expected here"


def catches_everything(kind: ast.expr | None) -> bool:
    match kind:
        case None | ast.Name(id="Exception" | "BaseException"):
            return True
        case ast.Tuple(elts=kinds):
            return any(catches_everything(kind) for kind in kinds)
        case _:
            return False


def ends_with_raise(handler: ast.ExceptHandler) -> bool:
    """Whether this only cleans up and lets the error go on its way."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


@pytest.mark.parametrize("allowed", [MAY_READ_ENVIRONMENT, MAY_CATCH_EVERYTHING])
def test_an_exception_to_a_rule_ends_with_its_file(allowed: dict[str, str]) -> None:
    assert [name for name in allowed if not (SOURCE / name).is_file()] == []


def test_nothing_is_left_unfinished() -> None:
    words = re.compile(r"\b(?:TODO|FIXME|XXX|raise NotImplementedError)\b")
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in modules()
        for number, line in enumerate(text.splitlines(), 1)
        if words.search(line)
    ]
    assert found == []


def test_tests_use_shipped_doubles_and_patch_nothing_of_ours() -> None:
    patching = re.compile(
        r"^\s*(?:from|import) unittest\.mock|\bmonkeypatch\.setattr\(", re.MULTILINE
    )
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    assert [str(path) for path in tests if patching.search(path.read_text())] == []

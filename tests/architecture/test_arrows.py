"""The rooms import each other only along the arrows in pyproject.toml, and each arrow is watched."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "localai"

# contract -> files to add to a copy of the tree; every one of them breaks that contract
PLANTS = {
    "layers": {"catalog/planted.py": "import localai.http"},
    "worker-layers": {"wire/planted.py": "import localai.worker"},
    "worker-alone": {"worker/planted.py": "import localai.settings"},
    "backends-protected": {
        "supervisor/planted.py": "import localai.backends.planted",
        "backends/planted.py": "",
    },
    "backends-independent": {
        "backends/planted.py": "import localai.backends.planted_too",
        "backends/planted_too.py": "",
    },
    "dialects-independent": {
        "dialects/planted.py": "import localai.dialects.planted_too",
        "dialects/planted_too.py": "",
    },
    "dialects-pure": {"dialects/planted.py": "import localai.inference"},
    "one-door": {"cli/planted.py": "import uvicorn"},
    "one-way-out": {"gallery/planted.py": "import aiohttp"},
    "domain-pure": {"domain/planted.py": "import msgspec"},
    "no-cycles": {
        "inference/planted.py": "import localai.inference.planted_too",
        "inference/planted_too.py": "import localai.inference.planted",
    },
}


def lint_imports(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache", *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", tree)
    only_code = shutil.ignore_patterns("*.gguf", "assets", "__pycache__")
    shutil.copytree(SOURCE, tree / "src" / "localai", ignore=only_code)
    return tree


def test_every_arrow_holds() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("contract", PLANTS)
def test_a_planted_violation_is_found(contract: str, copy: Path) -> None:
    planted = {
        copy / "src" / "localai" / name: text + "\n" for name, text in PLANTS[contract].items()
    }
    try:
        for path, text in planted.items():
            path.write_text(text)
        result = lint_imports(copy, "--contract", contract)
    finally:
        for path in planted:
            path.unlink(missing_ok=True)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "0 kept, 1 broken" in result.stdout


def test_a_room_without_a_place_is_found(copy: Path) -> None:
    room = copy / "src" / "localai" / "attic"
    try:
        room.mkdir()
        (room / "__init__.py").write_text('"""Planted."""\n')
        result = lint_imports(copy, "--contract", "layers")
    finally:
        shutil.rmtree(room)
    assert result.returncode == 1
    assert "attic" in result.stdout


def test_the_domain_imports_only_itself_and_the_standard_library() -> None:
    foreign = []
    for path in sorted((SOURCE / "domain").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=names):
                    modules = [name.name for name in names]
                case ast.ImportFrom(module=str(module)):
                    modules = [module]
                case _:
                    modules = []
            foreign += [
                f"{path.relative_to(ROOT)}: {module}"
                for module in modules
                if module.split(".")[0] not in sys.stdlib_module_names
                and not module.startswith("localai.domain")
            ]
    assert foreign == []

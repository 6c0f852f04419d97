"""Starts a worker in an engine's own environment: only this package is added to what is there.

    python -P alone.py MODULE --listen unix:PATH
    python -P alone.py --check MODULE IMPORT...

The package is taken from where this file lies. Its folder is not put on the path: that would make
the server's other packages importable, and they are not what the engine was installed with.
"""

import importlib
import importlib.util
import json
import sys
from importlib import metadata
from pathlib import Path


def _add_package() -> None:
    folder = Path(__file__).resolve().parents[1]
    spec = importlib.util.spec_from_file_location(
        "localai", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["localai"] = package
    spec.loader.exec_module(package)


def _check(module: str, names: list[str]) -> None:
    """Import an engine and its backend; print as JSON what this environment is able to do."""
    for name in names:
        importlib.import_module(name)
    runtime = importlib.import_module("localai.worker.runtime")
    found = {
        "python": sys.version.split()[0],
        "packages": {found.name: found.version for found in metadata.distributions()},
        "tasks": runtime.tasks_of(runtime.load_module(module).Backend),
    }
    print(json.dumps(found))  # noqa: T201 - the answer of this process


def main() -> None:
    """Do what the arguments say."""
    _add_package()
    if sys.argv[1:2] == ["--check"]:
        _check(sys.argv[2], sys.argv[3:])
        return
    importlib.import_module("localai.worker.__main__").main()


if __name__ == "__main__":
    main()

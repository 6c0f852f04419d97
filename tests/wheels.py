"""Wheel files for tests that install: small ones written here, and what is installed here packed again."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

# What a worker needs in an engine's environment.
WORKER = ("msgspec",)


def make_wheel(
    folder: Path,
    name: str,
    files: Mapping[str, str],
    *,
    version: str = "1.0",
    requires: Sequence[str] = (),
) -> Path:
    """A pure Python wheel with these files."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    needed = "".join(f"Requires-Dist: {one}\n" for one in requires)
    written = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    _write(path, info, {inside: text.encode() for inside, text in written.items()})
    return path


def repack(folder: Path, name: str) -> Path:
    """The wheel of a package that is installed here."""
    found = metadata.distribution(name)
    files: dict[str, bytes] = {}
    info = tag = ""
    for entry in found.files or ():
        path = Path(str(found.locate_file(entry)))
        if entry.parts[0] == ".." or "__pycache__" in entry.parts or not path.is_file():
            continue
        if entry.parts[0].endswith(".dist-info"):
            info = entry.parts[0]
            if entry.name in ("RECORD", "INSTALLER", "REQUESTED"):
                continue
            if entry.name == "WHEEL":
                lines = path.read_text().splitlines()
                tag = next(line for line in lines if line.startswith("Tag: ")).removeprefix("Tag: ")
        files[str(entry)] = path.read_bytes()
    wheel = folder / f"{info.removesuffix('.dist-info')}-{tag}.whl"
    _write(wheel, info, files)
    return wheel


def _write(path: Path, info: str, files: Mapping[str, bytes]) -> None:
    record = f"{info}/RECORD"
    lines = []
    with zipfile.ZipFile(path, "w") as archive:
        for inside, data in files.items():
            archive.writestr(inside, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.append(f"{inside},sha256={digest},{len(data)}")
        archive.writestr(record, "\n".join([*lines, f"{record},,"]) + "\n")

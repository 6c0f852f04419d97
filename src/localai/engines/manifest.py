"""Which backends exist: the manifest beside the backends, and the user's own."""

from __future__ import annotations

import difflib
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec

from localai.domain.errors import BackendNotInstalled, SpecInvalid

VARIANTS: Final = ("cpu", "cuda12", "cuda13", "rocm", "intel", "vulkan", "metal")
ENTRY_POINTS: Final = "localai.backends"  # the group where installed packages name theirs
_FILE: Final = "file:"  # before the path of a backend that is no module of ours
_PREINSTALLED: Final = "localai"


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry as it is written."""

    name: str
    summary: str
    tasks: list[str]
    license: str = ""
    module: str = ""
    url: str = ""
    aliases: list[str] = []
    accepts: dict[str, list[str]] = {}
    types: dict[str, list[str]] = {}
    installed_with: str = ""
    python: str = ""
    requires: dict[str, list[str]] = {}
    torch: str = ""
    imports: list[str] = []
    download_mb: dict[str, int] = {}
    disk_mb: dict[str, int] = {}
    memory_mb: int = 0
    system_packages: list[str] = []
    platforms: list[str] = []
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One build of an engine, for one kind of hardware.

    `requires` are its packages; `lock` is the file that pins all of them with their hashes, None
    for a user's own backend. `torch` is the version of PyTorch to install first, from the index
    that PyTorch has for this kind of hardware; empty where the engine needs none. Sizes in bytes,
    0 where nobody measured.
    """

    name: str
    requires: tuple[str, ...]
    lock: Path | None = None
    torch: str = ""
    download_bytes: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendEntry:
    """One backend of the manifest; `module` is what its worker imports, or `file:PATH`.

    `types` are pairs of another backend's name and a `type` in its model files: such models are
    run by this one. `variants` is empty for a backend that runs in the server's own environment. `python` is a
    version range such as `>=3.11,<3.14`; `imports` are the modules whose import shows that the
    engine works; `platforms` are `system-machine` names, empty for all.
    """

    name: str
    module: str
    summary: str
    tasks: tuple[str, ...]
    license: str = ""
    url: str = ""
    aliases: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    types: frozenset[tuple[str, str]] = frozenset()
    variants: tuple[Variant, ...] = ()
    python: str = ""
    imports: tuple[str, ...] = ()
    memory_bytes: int = 0
    system_packages: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    notes: str = ""
    origin: str = field(default="package", compare=False)

    @property
    def is_bundled(self) -> bool:
        """Whether it runs in the server's own environment, with nothing to install."""
        return not self.variants

    @property
    def is_copyleft(self) -> bool:
        """Whether the engine's license is of the GPL family, which people want to be told."""
        return "GPL" in self.license.upper()

    def variant(self, name: str) -> Variant | None:
        """The variant of that name."""
        return next((known for known in self.variants if known.name == name), None)


class Manifest:
    """Every backend that can be named: the package's, then those of `custom` and of packages."""

    def __init__(self, custom: Path | None = None) -> None:
        self._custom = custom
        self._shipped = _shipped()

    def entries(self) -> tuple[BackendEntry, ...]:
        """Every backend, in the manifest's order. Raises SpecInvalid for a user's bad entry."""
        return (*self._shipped, *_of_packages(), *_of_folder(self._custom))

    def find(self, name: str) -> BackendEntry:
        """The backend called `name`, or by one of its aliases. Raises BackendNotInstalled."""
        wanted = name.strip().lower()
        for entry in self._shipped:
            if wanted == entry.name or wanted in entry.aliases:
                return entry
        listed = self.entries()
        for entry in listed[len(self._shipped) :]:
            if wanted == entry.name or wanted in entry.aliases:
                return entry
        names = [known for entry in listed for known in (entry.name, *entry.aliases)]
        near = difflib.get_close_matches(wanted, names, n=1)
        hint = (
            f"Did you mean {near[0]!r}?"
            if near
            else f"This version has: {', '.join(entry.name for entry in listed)}."
        )
        raise BackendNotInstalled(f"There is no backend named {name!r}.", hint=hint)

    def of_type(self, entry: BackendEntry, kind: str) -> BackendEntry:
        """The backend for a model of `entry` whose file says `type: kind`: as a rule `entry` itself."""
        asked = (entry.name, kind)
        return next((other for other in self._shipped if asked in other.types), entry)


def _shipped() -> tuple[BackendEntry, ...]:
    folder = Path(str(resources.files("localai.backends")))
    text = (folder / "manifest.yaml").read_bytes()
    rows = msgspec.yaml.decode(text, type=list[_Row])
    return tuple(_entry(row, row.module, locks=folder / "locks") for row in rows)


def _of_folder(folder: Path | None) -> list[BackendEntry]:
    """Backends that a user wrote: NAME.py, and what it is in NAME.yaml beside it."""
    if folder is None or not folder.is_dir():
        return []
    return [_own(path) for path in sorted(folder.glob("*.yaml"))]


def _of_packages() -> list[BackendEntry]:
    """Backends of packages installed beside the server, found by their entry points.

    The module itself is not imported; a package around it is. One that cannot be is left out.
    """
    found = []
    for point in metadata.entry_points(group=ENTRY_POINTS):
        spec = None
        with suppress(ImportError, ValueError):
            spec = find_spec(point.module)
        described = Path(spec.origin).with_suffix(".yaml") if spec and spec.origin else None
        if described is not None and described.is_file():
            found.append(_own(described))
    return found


def _own(described: Path) -> BackendEntry:
    code = described.with_suffix(".py")
    try:
        row = msgspec.yaml.decode(described.read_bytes(), type=_Row)
    except (msgspec.MsgspecError, OSError) as error:
        message = f"{described}: this is no description of a backend: {error}"
        raise SpecInvalid(message, hint="docs/howto/own_backend.md shows one.") from error
    if row.types:
        message = f"{described}: `types` is for the backends that come with the server."
        raise SpecInvalid(message, hint="Name this backend as `backend:` in the model files.")
    if not code.is_file():
        message = f"{described} describes a backend, and its code {code.name} is not beside it."
        raise SpecInvalid(message, hint="docs/howto/own_backend.md shows both files.")
    return _entry(row, f"{_FILE}{code}", locks=None, origin=str(described))


def _entry(row: _Row, module: str, *, locks: Path | None, origin: str = "package") -> BackendEntry:
    variants = () if row.installed_with == _PREINSTALLED else _variants(row, locks, origin)
    return BackendEntry(
        name=row.name,
        module=module,
        summary=row.summary,
        tasks=tuple(row.tasks),
        license=row.license,
        url=row.url,
        aliases=tuple(row.aliases),
        formats=tuple(row.accepts.get("format", ())),
        types=frozenset((name, kind) for name, kinds in row.types.items() for kind in kinds),
        variants=variants,
        python=row.python,
        imports=tuple(row.imports),
        memory_bytes=row.memory_mb * 1_000_000,
        system_packages=tuple(row.system_packages),
        platforms=tuple(row.platforms),
        notes=row.notes,
        origin=origin,
    )


def _variants(row: _Row, locks: Path | None, origin: str) -> tuple[Variant, ...]:
    unknown = [name for name in row.requires if name not in VARIANTS]
    if unknown:
        message = f"{origin}: {unknown[0]!r} is no variant; they are {', '.join(VARIANTS)}."
        raise SpecInvalid(message)

    def size(sizes: dict[str, int], name: str) -> int:
        return sizes.get(name, 0) * 1_000_000

    return tuple(
        Variant(
            name=name,
            requires=tuple(packages),
            lock=locks / f"{row.name}-{name}.txt" if locks else None,
            torch=row.torch,
            download_bytes=size(row.download_mb, name),
            disk_bytes=size(row.disk_mb, name),
        )
        for name, packages in row.requires.items()
    )


def as_json(entry: BackendEntry) -> dict[str, Any]:
    """What listings say of a backend."""
    return {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "summary": entry.summary,
        "tasks": list(entry.tasks),
        "license": entry.license,
        "url": entry.url,
        "formats": list(entry.formats),
        "variants": [
            {
                "name": variant.name,
                "requires": list(variant.requires),
                "torch": variant.torch or None,
                "download_bytes": variant.download_bytes or None,
                "disk_bytes": variant.disk_bytes or None,
            }
            for variant in entry.variants
        ],
        "python": entry.python or None,
        "memory_bytes": entry.memory_bytes or None,
        "system_packages": list(entry.system_packages),
        "platforms": list(entry.platforms),
        "is_bundled": entry.is_bundled,
        "notes": entry.notes,
    }

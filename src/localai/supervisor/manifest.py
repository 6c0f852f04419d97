"""Which backends exist: the manifest beside the backends, read once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

from localai.domain.errors import BackendNotInstalled


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendEntry:
    """One backend of the manifest; `module` is what its worker imports."""

    name: str
    module: str
    summary: str
    tasks: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()


@cache
def entries() -> tuple[BackendEntry, ...]:
    """Every backend, in the manifest's order."""
    text = resources.files("localai.backends").joinpath("manifest.yaml").read_text()
    return tuple(
        BackendEntry(
            name=row["name"],
            module=row["module"],
            summary=row["summary"],
            tasks=tuple(row["tasks"]),
            aliases=tuple(row.get("aliases", ())),
            formats=tuple(row.get("accepts", {}).get("format", ())),
        )
        for row in yaml.safe_load(text)
    )


def find(name: str) -> BackendEntry:
    """The backend called `name`, or by one of its aliases. Raises BackendNotInstalled."""
    wanted = name.strip().lower()
    for entry in entries():
        if wanted == entry.name or wanted in entry.aliases:
            return entry
    names = [known for entry in entries() for known in (entry.name, *entry.aliases)]
    near = difflib.get_close_matches(wanted, names, n=1)
    hint = (
        f"Did you mean {near[0]!r}?"
        if near
        else f"This version has: {', '.join(e.name for e in entries())}."
    )
    message = f"No backend named {name!r} is installed."
    raise BackendNotInstalled(message, hint=hint)

"""Entries as listings show them, on the command line and over HTTP."""

from __future__ import annotations

from typing import Any

from localai.gallery.entry import Entry
from localai.gallery.fit import Build, needed_bytes
from localai.gallery.places import Gallery


def entry_json(
    entry: Entry, gallery: Gallery | None, *, is_installed: bool, runs_here: bool
) -> dict[str, Any]:
    """What LocalAI lists of an entry, and what we know besides.

    `runs_here` says whether this server has its engine; sizes are in bytes, 0 when unknown.
    """
    return {
        "name": entry.name,
        "id": entry.entry_id,
        "description": entry.description,
        "license": entry.license,
        "urls": list(entry.urls),
        "icon": entry.icon,
        "tags": list(entry.tags),
        "url": entry.base_url,
        "gallery": {"name": entry.gallery, "url": gallery.url if gallery else ""},
        "installed": is_installed,
        "backend": entry.backend,
        "runs_here": runs_here,
        "size_bytes": entry.size_bytes,
        "memory_bytes": memory_of(entry),
        "variants": list(entry.variants),
        "files": [
            {"filename": file.filename, "uri": file.uri, "sha256": file.sha256}
            for file in entry.files
        ],
    }


def memory_of(entry: Entry) -> int:
    """The memory a loaded model needs with the context it gets by itself; 0 when unknown."""
    build = Build(
        name=entry.name,
        size_bytes=entry.size_bytes,
        kv_bytes_per_token=entry.kv_bytes_per_token,
    )
    return needed_bytes(build)

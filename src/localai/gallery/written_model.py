"""A model file that lies elsewhere, as its address is given instead of a model's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from localai.catalog.read import parse_yaml
from localai.domain.downloads import WantedFile
from localai.domain.errors import InvalidRequest
from localai.gallery.plan import checked_yaml, over

_ENDS: Final = (".yaml", ".yml")
_OF_GALLERIES: Final = ("config_file", "files", "prompt_templates")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenModel:
    """A model: its name, the text of its model file, and the files that this names.

    `entry` is set instead for a gallery's form of it.
    """

    name: str = ""
    text: str = ""
    wanted: tuple[WantedFile, ...] = ()
    entry: Mapping[str, Any] | None = None


def is_model_file(written: str) -> bool:
    """Whether the name of a source means a model file."""
    path = urlsplit(written).path if written.lower().startswith(("http:", "https:")) else written
    head, _, last = path.rpartition("/")
    return bool(head) and last.partition("@")[0].lower().endswith(_ENDS)


def read_model_file(
    data: bytes, written: str, name: str, overrides: Mapping[str, Any]
) -> WrittenModel:
    """What a model file says, called `name` if that is not empty, under `overrides`.

    Raises InvalidRequest.
    """
    try:
        value = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _wrong(written, f"is no YAML: {str(error).splitlines()[0]}") from None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise _wrong(written, "is no model file: one mapping of keys to values is needed")
    if any(key in value for key in _OF_GALLERIES):
        stem = written.rpartition("/")[2].partition(".")[0]
        return WrittenModel(entry={"name": stem, **value})
    config = over(value, overrides)
    if name:
        config["name"] = name
    if not isinstance(config.get("name"), str):
        raise _wrong(written, "has no `name`")
    text = checked_yaml(config, f"Installed from {written}")
    spec = parse_yaml(text, shown="model file", models_path=Path("/")).specs[0]
    return WrittenModel(name=spec.name, text=text, wanted=spec.downloads)


def _wrong(written: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"{written[:300]} {why}.",
        param="uri",
        hint="A model file is YAML with a `name`, `parameters` and more, as docs/reference/model_files.md says.",
    )

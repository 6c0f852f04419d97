"""Model files that somebody wrote: checked as the catalog reads them, then put in place."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import yaml

from localai.catalog.read import parse_yaml
from localai.catalog.spec import ModelSpec
from localai.domain.errors import InvalidRequest, SpecInvalid
from localai.downloads.names import HIDDEN, model_file_name, place

MOST_BYTES: Final = 1_000_000


def check_model_file(text: str, models_path: Path) -> ModelSpec:
    """The one model that a YAML or JSON text describes.

    Raises InvalidRequest for none or several, SpecInvalid with every problem.
    """
    found = parse_yaml(text, shown="model file", models_path=models_path)
    if found.problems:
        raise SpecInvalid(
            "The model file has problems.", problems=found.problems, hint=" ".join(found.problems)
        )
    if len(found.specs) != 1:
        raise InvalidRequest(
            f"The text holds {len(found.specs)} models, and one is needed.", param="name"
        )
    return found.specs[0]


def write_model_file(
    text: str, models_path: Path, *, replaces: bool = False
) -> tuple[ModelSpec, Path]:
    """Check a model file and put it in place, in one step; gives the model and its path.

    Raises InvalidRequest for a name that is taken, unless the text `replaces` what is there, and
    whatever `check_model_file` raises.
    """
    spec = check_model_file(text, models_path)
    target = place(models_path, model_file_name(spec.name))
    if target.exists() and not replaces:
        raise InvalidRequest(
            f"There is a model file {target.name} already.",
            param="name",
            hint="Choose another name, or change it with POST /models/edit/NAME.",
        )
    replace_text(target, text, models_path)
    return spec, target


def replace_text(target: Path, text: str, models_path: Path) -> None:
    """Replace a file in one step."""
    folder = models_path / HIDDEN
    folder.mkdir(exist_ok=True)
    new = folder / f"{target.name}.{os.getpid()}.new"
    new.write_text(text)
    new.replace(target)


def model_file_of(spec: ModelSpec, models_path: Path) -> Path | None:
    """The file that a model stands in; None for weights without one."""
    if spec.is_loose_file or spec.is_starter:
        return None
    name, _, line = spec.origin.rpartition(":")
    path = models_path / (name if name and line.isdigit() else spec.origin)
    return path if path.is_file() else None


def values_of(spec: ModelSpec, models_path: Path) -> dict[str, Any]:
    """What a model's file says, or would say if it had one.

    Raises InvalidRequest for a file with several models.
    """
    path = model_file_of(spec, models_path)
    if path is not None:
        values = yaml.safe_load(path.read_text())
        if isinstance(values, dict):
            return values
        raise InvalidRequest(
            f"The model {spec.name!r} stands in {path.name} together with others.", param="name"
        )
    if spec.model_path is None:
        return {"name": spec.name, "backend": spec.backend}
    inside = spec.model_path.is_relative_to(models_path)
    where = spec.model_path.relative_to(models_path).as_posix() if inside else str(spec.model_path)
    return {"name": spec.name, "parameters": {"model": where}}


def to_yaml(values: dict[str, Any]) -> str:
    """A model file with these values."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def set_flag(spec: ModelSpec, key: str, *, is_on: bool, models_path: Path) -> Path:
    """Set a top-level flag in a model's file, which is made for weights without one.

    The rest of the text stays as it is, comments included. Raises InvalidRequest for a model that
    comes with the server, or shares its file.
    """
    if spec.is_starter:
        raise InvalidRequest(f"{spec.name!r} comes with the server and cannot be changed.")
    values = {**values_of(spec, models_path), key: is_on}
    path = model_file_of(spec, models_path)
    if path is None:
        return write_model_file(to_yaml(values), models_path)[1]
    text = _with_flag(path.read_text(), f"{key}: {str(is_on).lower()}", key)
    try:
        is_same = yaml.safe_load(text) == values
    except yaml.YAMLError:
        is_same = False
    replace_text(path, text if is_same else to_yaml(values), models_path)
    return path


def _with_flag(text: str, line: str, key: str) -> str:
    """`text` with its top-level line of `key` replaced, or with one more."""
    changed, count = re.subn(rf"(?m)^{key}[ \t]*:.*$", line, text)
    return changed if count else f"{text.rstrip()}\n{line}\n"

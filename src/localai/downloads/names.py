"""Names of files in the models folder: which are allowed, and where they lie.

Names come from galleries, registries and callers, so nothing is taken on trust: a name is refused
that could leave the folder, hide in it, or mean another file on another system. Sources: "Naming
Files, Paths, and Namespaces" (Windows), POSIX.1 4.13 (path resolution), Unicode TR 36 (bidi).
"""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath
from typing import Final

from localai.domain.errors import InvalidRequest

MOST_BYTES: Final = 1000
MOST_PART_BYTES: Final = 240  # file systems allow 255; ours need room for an ending
MOST_PARTS: Final = 8
HIDDEN: Final = ".local-ai"  # our own folder in the models folder

_NOT_ON_WINDOWS: Final = frozenset('<>:"|?*\\')
_DEVICES: Final = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"]
)
_MODEL_FILES: Final = frozenset({".yaml", ".yml"})
_SHOWN: Final = 120


def safe_name(name: str) -> str:
    """`name` itself, when it may be a file below the models folder.

    Raises InvalidRequest with the reason.
    """
    why = _problem(name)
    if why:
        shown = name[:_SHOWN].encode("unicode_escape").decode("ascii")
        raise InvalidRequest(
            f"The file name '{shown}' {why}.",
            param="files",
            hint="A file's name is relative to the models folder, such as model.gguf or folder/model.gguf.",
        )
    return name


def safe_weights_name(name: str) -> str:
    """As `safe_name`, and no model file: a download configures nothing.

    Raises InvalidRequest.
    """
    path = PurePosixPath(safe_name(name))
    if len(path.parts) == 1 and path.suffix.lower() in _MODEL_FILES:
        raise InvalidRequest(
            f"The file {name!r} would be a model file, which is not downloaded as weights.",
            param="files",
            hint="Import it as a model file: POST /models/import.",
        )
    return name


def place(folder: Path, name: str) -> Path:
    """Where `name` lies in `folder`. Raises InvalidRequest for a name that leads out of it."""
    safe_name(name)
    root = folder.resolve()
    target = folder / name
    if not target.parent.resolve().is_relative_to(root):
        raise InvalidRequest(
            f"The file name {name!r} leads out of the models folder through a link.",
            param="files",
            hint=f"Replace the link below {folder} by a folder.",
        )
    return target


def model_file_name(model: str) -> str:
    """The name of the YAML file of a model, as LocalAI has it: slashes become two underscores.

    Raises InvalidRequest for a name that cannot be one.
    """
    if not model or model != model.strip():
        raise InvalidRequest(
            f"{model[:_SHOWN]!r} cannot be the name of a model: it is empty, or has blanks around it.",
            param="name",
        )
    return safe_name(model.replace("/", "__").replace(":", "__") + ".yaml")


def _problem(name: str) -> str:
    """What is wrong with a name, "" when nothing is."""
    if not name:
        return "is empty"
    if any(unicodedata.category(char)[0] == "C" for char in name):
        return "holds control characters"
    if any(unicodedata.category(char) in ("Zl", "Zp") for char in name):
        return "holds line breaks"
    if len(name.encode()) > MOST_BYTES:
        return f"is longer than {MOST_BYTES} bytes"
    if name.startswith(("/", "\\", "~")) or name[1:2] == ":":
        return "is absolute"
    bad = sorted(set(name) & _NOT_ON_WINDOWS)
    if bad:
        return f"holds the character {bad[0]}"
    parts = name.split("/")
    if len(parts) > MOST_PARTS:
        return f"goes deeper than {MOST_PARTS} folders"
    return next(filter(None, map(_part_problem, parts)), "")


def _part_problem(part: str) -> str:
    if part in ("", ".", ".."):
        return "leads out of the models folder" if part == ".." else "has an empty part"
    if part.startswith("."):
        return "is hidden"
    if part != part.strip() or part.endswith("."):
        return "has a part that begins or ends with a blank, or ends with a dot"
    if len(part.encode()) > MOST_PART_BYTES:
        return f"has a part longer than {MOST_PART_BYTES} bytes"
    if part.partition(".")[0].rstrip().lower() in _DEVICES:
        return "is the name of a device on Windows"
    return ""

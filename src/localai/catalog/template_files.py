"""The prompt templates of one model, with the `.tmpl` files that they come from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

from localai.catalog.prompts import SUFFIX, PromptTemplates, may_be_file, prompt_templates

LARGEST_TEMPLATE_BYTES: Final = 1_000_000


def read_templates(
    section: Mapping[str, Any],
    *,
    model_file: str,
    models_path: Path,
    system_prompt: str = "",
    origin: str = "",
) -> tuple[PromptTemplates | None, str]:
    """Give the templates, None when there are none, and a digest of all they are made of.

    `section` is the `template:` mapping of a model file, with its `roles` beside them;
    `model_file` is `parameters.model`. Never raises: see `PromptTemplates.problems`.
    """
    digest = blake2b(repr(sorted(section.items())).encode(), digest_size=12)
    known: dict[str, str | None] = {}  # most templates have no file, and ask for the same one

    def read(name: str) -> str | None:
        if name not in known:
            known[name] = read_file(name)
        return known[name]

    def read_file(name: str) -> str | None:
        path = f"{models_path}{os.sep}{name}"
        try:
            found = os.stat(path)  # noqa: PTH116 - mostly there is none, and a Path costs more than the question
        except (OSError, ValueError):
            return None
        if not S_ISREG(found.st_mode) or found.st_size > LARGEST_TEMPLATE_BYTES:
            return None
        text = Path(path).read_text(errors="replace")
        digest.update(text.encode())
        return text

    if not section and (not may_be_file(model_file) or read(model_file + SUFFIX) is None):
        return None, ""
    templates = prompt_templates(
        {key: value for key, value in section.items() if key != "roles"},
        model_file=model_file,
        read=read,
        roles=section.get("roles"),
        system_prompt=system_prompt,
        origin=origin,
    )
    return (templates, digest.hexdigest()) if templates.has_any else (None, "")

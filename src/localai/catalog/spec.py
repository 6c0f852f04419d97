"""What one model file says, and the set of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localai.catalog.edits import OutputEdits
from localai.catalog.prompts import PromptTemplates
from localai.domain.downloads import WantedFile
from localai.domain.generation import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model: its name, its weights and what its file asks for. Unset is None.

    `model_path` is absolute, and need not be there for an engine that finds its model elsewhere;
    `model_id` is what the file calls it, a repository's name for one. `settings` are engine keys of the YAML (context_size, threads,
    mmap, ...) under LocalAI's names, with absolute paths for files; `options` are its `key:value`
    strings. `templates` are its prompt templates, None when it has none; `edits` what it changes in
    answers, None when nothing. `messages` are (role, text) pairs that every conversation begins with. `downloads`
    are files that it says where to get. `origin` is the `file:line` to blame. `revision` changes whenever the YAML or the
    weights change; `worker_revision` with what a worker is loaded from, so that a running one can be told from a stale one.
    """

    name: str
    model_path: Path | None = None
    model_id: str = ""
    backend: str | None = None
    alias: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    system_prompt: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    disabled: bool = False
    pinned: bool = False
    max_concurrent: int | None = None
    retry_after_s: float | None = None
    known_usecases: tuple[str, ...] = ()
    templates: PromptTemplates | None = field(default=None, repr=False)
    templates_digest: str = ""
    edits: OutputEdits | None = None
    messages: tuple[tuple[str, str], ...] = ()
    downloads: tuple[WantedFile, ...] = ()
    license: str = ""
    description: str = ""
    usage: str = ""
    is_loose_file: bool = False
    is_starter: bool = False
    created_unix_s: int = 0
    origin: str = ""
    revision: str = ""
    worker_revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All models of this server at one moment.

    `specs` is sorted by name and holds everything that can be listed; `file_names` maps every
    other name a loose file answers to (`x.gguf` and `x`) to the spec's name. `problems` and
    `warnings` are sentences with `file:line`; `broken` has the problems of each model whose entry
    was refused, by its name.
    """

    specs: Mapping[str, ModelSpec] = field(default_factory=dict)
    file_names: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    broken: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

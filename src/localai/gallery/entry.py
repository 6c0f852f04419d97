"""One model of a gallery, and what installing it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_ARCHIVES = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".zip", ".7z")


def is_archive(name: str) -> bool:
    """Whether a file holds others, by its name."""
    return name.lower().endswith(_ARCHIVES)


class EntryFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a model.

    `filename` is where it goes, relative to the models folder with `/` between folders. `uri` is
    where it comes from, in any form that LocalAI knows. `sha256` is in hexadecimal, empty when
    nobody published it; `size_bytes` is 0 when unknown.
    """

    filename: str
    uri: str
    sha256: str = ""
    size_bytes: int = 0


class TemplateFile(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt template that is written beside the model file, as `<name>.tmpl`."""

    name: str
    content: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a gallery, as its index says it.

    `gallery` is the name of its gallery. `base_url` leads to a base configuration, empty when
    there is none. `config` is one given inline, `overrides` goes over both. `variants` are names
    of other entries of the same gallery: other builds of this model.
    `size_bytes` is what all files weigh, `kv_bytes_per_token` what a token of context takes in
    the attention cache; both are 0 when unknown.
    """

    name: str
    gallery: str = ""
    description: str = ""
    license: str = ""
    icon: str = ""
    urls: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    base_url: str = ""
    config: Mapping[str, Any] = {}
    overrides: Mapping[str, Any] = {}
    files: tuple[EntryFile, ...] = ()
    templates: tuple[TemplateFile, ...] = ()
    variants: tuple[str, ...] = ()
    size_bytes: int = 0
    kv_bytes_per_token: int = 0
    last_checked: str = ""

    @property
    def entry_id(self) -> str:
        """The name that means this entry and no other: `gallery@name`."""
        return f"{self.gallery}@{self.name}"

    @property
    def backend(self) -> str:
        """The engine it asks for, as far as the index alone tells; empty when it does not."""
        for values in (self.overrides, self.config):
            written = values.get("backend")
            if isinstance(written, str) and written:
                return written
        is_gguf = any(file.filename.lower().endswith(".gguf") for file in self.files)
        return "llama-cpp" if is_gguf else ""

    @property
    def archives(self) -> tuple[str, ...]:
        """The files that hold others; they are not unpacked here."""
        return tuple(file.filename for file in self.files if is_archive(file.filename))


class EntryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What installing a model takes: write `model_yaml` to `yaml_name` when all files are there.

    `name` is what requests call the model. `entry_id` says where it comes from. `files` and
    `templates` go to the models folder; `yaml_name` has no folder in it. `backend` is the engine
    it needs, empty when its files decide. `why` is a sentence on the build that was chosen, empty
    when there was nothing to choose.
    """

    name: str
    entry_id: str
    yaml_name: str
    model_yaml: str
    files: tuple[EntryFile, ...] = ()
    templates: tuple[TemplateFile, ...] = ()
    backend: str = ""
    license: str = ""
    why: str = ""

    @property
    def size_bytes(self) -> int:
        """What its files weigh, as far as that is known."""
        return sum(file.size_bytes for file in self.files)

"""What is fetched from elsewhere, and the model it makes: values only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

Credentials = Callable[[bool], Awaitable[Mapping[str, str]]]
"""The headers a file's server asks for; called with True when it refused the last ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file to fetch.

    `name` says where it goes: relative to the models folder, with forward slashes. `address` is an
    http, https or file URL. `size_bytes` None and `sha256` "" (lower-case hex) mean that nobody
    said. `credentials` give the headers its server asks for, and are sent to no other one.
    """

    name: str
    address: str
    size_bytes: int | None = None
    sha256: str = ""
    credentials: Credentials | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    """A file that a model file names by where it comes from.

    `name` is where it goes, relative to the models folder; `uri` has any form of `localai.sources`;
    `sha256` is "" when nobody announced it.
    """

    name: str
    uri: str
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a name stands for, before anything is chosen from it.

    `source` is the word for where it lies (huggingface, ollama, oci, github, web, file), `uri` its
    full spelling, with the revision pinned where there is one. `model_name` is a name to suggest.
    `is_exact`: the name meant just these files. `texts` are what the source says besides, by
    its own words (ollama: template, system, params, license).
    """

    source: str
    uri: str
    model_name: str
    files: tuple[RemoteFile, ...]
    revision: str = ""
    is_exact: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """What makes one model; all of it is installed, or nothing.

    `files` are fetched and verified; then `texts` are written (name in the models folder ->
    content: the model file `<name>.yaml`, prompt templates). `uri` is what was asked for, `why` one
    line on the choice, `backend` the engine it needs, "" when nobody said.
    """

    name: str
    files: tuple[RemoteFile, ...]
    texts: Mapping[str, str] = field(default_factory=dict)
    uri: str = ""
    why: str = ""
    backend: str = ""

    @property
    def size_bytes(self) -> int | None:
        """All files together, None while one of them is unknown."""
        sizes = [file.size_bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """A model to be made of what is there: of the installed model `base`, or of `files`.

    `files` and `adapters` map file names to checksums (SHA-256, lower-case hex) of files that were
    sent before. `config` goes over the model file of `base`; it has LocalAI's spellings.
    `template` writes its conversations, in Ollama's form; "" is the one that it has.
    """

    name: str
    base: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    adapters: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)
    template: str = ""

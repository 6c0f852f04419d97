"""The answers, as the OpenAPI description shows them; tests hold what the encoders send against it."""

from __future__ import annotations

import msgspec


class TokenIds(msgspec.Struct, kw_only=True):
    """A text in tokens."""

    tokens: list[int]


class PlainText(msgspec.Struct, kw_only=True):
    """The text of tokens."""

    content: str


class SpeechSpan(msgspec.Struct, kw_only=True):
    """When somebody speaks, in seconds."""

    start: float
    end: float


class SpeechSpans(msgspec.Struct, kw_only=True):
    """All the time that somebody speaks."""

    segments: list[SpeechSpan]


class Version(msgspec.Struct, kw_only=True):
    """The version of this server."""

    version: str


class NotReady(msgspec.Struct, kw_only=True):
    """Why the server cannot take requests yet."""

    status: str
    reason: str


class GalleryPlace(msgspec.Struct, kw_only=True):
    """Where an index of models is."""

    name: str
    url: str


class AvailableFile(msgspec.Struct, kw_only=True):
    """A file of a model, its checksum empty when nobody published it."""

    filename: str
    uri: str
    sha256: str


class AvailableModel(msgspec.Struct, kw_only=True):
    """A model of a gallery; sizes in bytes, 0 when unknown."""

    name: str
    id: str
    description: str
    license: str
    urls: list[str]
    icon: str
    tags: list[str]
    url: str
    gallery: GalleryPlace
    installed: bool
    backend: str
    runs_here: bool
    size_bytes: int
    memory_bytes: int
    variants: list[str]
    files: list[AvailableFile]


class SystemAccelerator(msgspec.Struct, kw_only=True):
    """An accelerator: the engine variant that uses it, and how it was found."""

    variant: str
    why: str


class SystemGpu(msgspec.Struct, kw_only=True):
    """A GPU and its memory, in bytes, as the driver tells."""

    name: str
    memory_bytes: int
    free_bytes: int


class SystemEnvironment(msgspec.Struct, kw_only=True):
    """One installed build of an engine, with its packages and their versions."""

    variant: str
    packages: dict[str, str]
    is_outdated: bool


class SystemEngine(msgspec.Struct, kw_only=True):
    """An engine that models can use."""

    name: str
    is_bundled: bool
    environments: list[SystemEnvironment]


class LoadedModel(msgspec.Struct, kw_only=True):
    """A model in memory; sizes in bytes."""

    id: str
    backend: str
    worker: str
    device: str
    running: int
    waiting: int
    memory_bytes: int
    context_size: int
    loaded_for_s: int


class SystemReport(msgspec.Struct, kw_only=True):
    """This machine, the engines, the models, the versions; sizes in bytes, 0 when unknown."""

    version: str
    python: str
    platform: str
    processor: str
    packages: dict[str, str]
    cores: int
    memory_bytes: int
    available_memory_bytes: int
    accelerators: list[SystemAccelerator]
    gpus: list[SystemGpu]
    models_path: str
    models_disk_free_bytes: int
    models: int
    model_problems: list[str]
    backends: list[str]
    engines: list[SystemEngine]
    loaded_models: list[LoadedModel]

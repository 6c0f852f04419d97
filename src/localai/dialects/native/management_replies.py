"""The answers of the routes that install and remove, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


class JobStarted(msgspec.Struct, kw_only=True):
    """A job that began, and the address that tells how far it is."""

    uuid: str
    status: str


class JobStatus(msgspec.Struct, kw_only=True):
    """How far a job is. `processed` says that it is over, `error` why it failed; sizes in bytes."""

    deletion: bool
    file_name: str
    processed: bool
    message: str
    progress: float
    phase: Literal["running", "paused", "done", "failed", "cancelled"]
    current_bytes: int
    total_bytes: int
    file_size: str
    downloaded_size: str
    gallery_element_name: str
    cancelled: bool
    cancellable: bool
    paused: bool
    eta_seconds: int | None
    error: str | UnsetType = UNSET


class Changed(msgspec.Struct, kw_only=True):
    """A model file was written."""

    success: Literal[True]
    message: str
    filename: str


class Reloaded(msgspec.Struct, kw_only=True):
    """The models folder was looked at; each problem is a sentence with file and line."""

    success: Literal[True]
    message: str
    problems: list[str]


class BackendVariant(msgspec.Struct, kw_only=True):
    """A build of an engine; sizes in bytes, null when unknown."""

    name: str
    requires: list[str]
    torch: str | None
    download_bytes: int | None
    disk_bytes: int | None


class BackendEnvironment(msgspec.Struct, kw_only=True):
    """An installed build of an engine, with its packages and their versions."""

    variant: str
    why: str
    python: str
    size_bytes: int
    installed_unix_s: int
    folder: str
    is_outdated: bool
    packages: dict[str, str]


class BackendGallery(msgspec.Struct, kw_only=True):
    """Where an engine comes from: this package, or the folder for one's own."""

    name: Literal["localai", "custom"]


class Backend(msgspec.Struct, kw_only=True):
    """An engine that models can use."""

    name: str
    aliases: list[str]
    summary: str
    tasks: list[str]
    license: str
    url: str
    formats: list[str]
    variants: list[BackendVariant]
    python: str | None
    memory_bytes: int | None
    system_packages: list[str]
    platforms: list[str]
    is_bundled: bool
    notes: str
    installed: bool
    environments: list[BackendEnvironment]
    description: str
    urls: list[str]
    tags: list[str]
    gallery: BackendGallery


class BackendNames(msgspec.Struct, kw_only=True):
    """The names of an engine, as LocalAI has them."""

    name: str
    alias: str


class InstalledBackend(Backend, kw_only=True):
    """An engine that is there, also with LocalAI's own names of fields."""

    Name: str
    IsSystem: bool
    IsMeta: bool
    Metadata: BackendNames


class BackendPlace(msgspec.Struct, kw_only=True):
    """Where engines come from."""

    name: str
    url: str


class BackendUpgrade(msgspec.Struct, kw_only=True):
    """An engine that is not what this version of the server pins, and its builds."""

    backend_name: str
    variants: list[str]

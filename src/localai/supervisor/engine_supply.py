"""How the supervisor comes by engines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localai.engines.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from localai.engines.manifest import BackendEntry


@dataclass(frozen=True, slots=True)
class EngineSupply:
    """Which backends there are, and what installs one that a model needs.

    `obtain` is None where an engine that is missing is the operator's to install; it returns when
    the engine is there, and raises InstallFailed.
    """

    manifest: Manifest = field(default_factory=Manifest)
    obtain: Callable[[BackendEntry], Awaitable[None]] | None = None

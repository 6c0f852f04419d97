"""What a model can be asked to do: one name per task."""

from __future__ import annotations

from enum import StrEnum


class Task(StrEnum):
    """A task; a backend's manifest entry lists the ones it serves."""

    GENERATE = "generate"

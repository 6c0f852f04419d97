"""How a process ended, in words. A negative exit code is the number of a signal."""

from __future__ import annotations

from typing import Final

_KILLED: Final = -9  # by SIGKILL, which a person or the system has sent


def how_it_ended(exit_code: int | None) -> str:
    """For example "signal 9"; "" when nobody knows."""
    if exit_code is None:
        return ""
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


def hint_about(exit_code: int | None) -> str:
    """What to do about a process that somebody else has ended; "" when it ended itself."""
    if exit_code != _KILLED:
        return ""
    return (
        "The system ends programs so when memory runs out: a smaller model, or a smaller "
        "`context_size` in its model file, takes less."
    )

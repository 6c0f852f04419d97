"""Errors about where models come from; `errors` draws the whole tree."""

from __future__ import annotations

from collections.abc import Sequence

from localai.domain.errors import CapacityError, RequestError


class SourceNotFound(RequestError):
    """A name or address from which a model should come leads nowhere."""

    kind = "source_not_found"

    def __init__(self, written: str, why: str, *, hint: str = "", near: Sequence[str] = ()) -> None:
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        said = hint or "Correct the name, or look it up where it comes from."
        super().__init__(
            f"{written[:300]} {why}.",
            hint=meant + said,
            written=written,
            why=why,
            near=list(near),
        )


class SourceForbidden(RequestError):
    """Where a model comes from asks for a token, or for its terms to be accepted."""

    kind = "source_forbidden"

    def __init__(self, written: str, why: str, *, hint: str) -> None:
        super().__init__(f"{written[:300]} {why}.", hint=hint, written=written, why=why)


class DownloadFailed(CapacityError):
    """A file could not be fetched to its end; what has come is kept for the next try."""

    kind = "download_failed"

    def __init__(self, name: str, why: str, *, hint: str = "") -> None:
        super().__init__(
            f"The download of {name[:200]} failed: {why}.",
            hint=hint or "Try again: it goes on where it stopped.",
            name=name,
            why=why,
        )

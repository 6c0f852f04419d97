"""Errors about where models come from; `errors` draws the whole tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from localai.domain.errors import CapacityError, RequestError, SetupError

UNREACHABLE: Final = "cannot be reached"
"""What the reason of a DownloadFailed says when no connection could be made."""

_AGAIN: Final = "Try again: it goes on where it stopped."
_NETWORK: Final = "Look at the network of this machine; behind a proxy, set HTTPS_PROXY. The same call goes on where it stopped."


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
            hint=hint or (_NETWORK if UNREACHABLE in why else _AGAIN),
            name=name,
            why=why,
        )


class EntryNotFound(RequestError):
    """No gallery has a model of that name."""

    kind = "entry_not_found"

    def __init__(
        self, name: str, *, near: tuple[str, ...] = (), problems: tuple[str, ...] = ()
    ) -> None:
        meant = f"Did you mean {', '.join(repr(one) for one in near)}? " if near else ""
        super().__init__(
            f"No gallery has a model named {name[:200]!r}.",
            hint=f"{meant}`local-ai models search WORD` looks for one. {' '.join(problems)}".strip(),
            name=name,
            near=list(near),
            problems=list(problems),
        )


class GalleryFailed(SetupError):
    """A gallery's index, or a part of it, cannot be had."""

    kind = "gallery_failed"

    def __init__(self, gallery: str, why: str) -> None:
        super().__init__(f"The gallery {gallery!r} {why}.", gallery=gallery, why=why)

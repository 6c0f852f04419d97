"""Errors of asking for what is kept."""

from __future__ import annotations

from localai.domain.errors import RequestError


class EventsDropped(RequestError):
    """The events that were asked for are no longer kept; `first` is the oldest that is."""

    kind = "events_dropped"

    def __init__(self, *, first: int) -> None:
        super().__init__(
            f"The events before number {first} are no longer kept.",
            hint=f"Ask with starting_after={first - 1} or more.",
            first=first,
            param="starting_after",
        )

"""What the readers of calls make of a text, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Said:
    """Text that is no call."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call of the tool `name` begins."""

    name: str


@dataclass(frozen=True, slots=True)
class ArgumentsGrown:
    """More of the open call's arguments, which are JSON once they are whole."""

    text: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The open call is whole."""


Piece = Said | CallStarted | ArgumentsGrown | CallEnded


class Rejected(Exception):
    """The text is no call after all. Never raised once a call has started."""


class Body(Protocol):
    """Reads what follows the opening of a call, however it is cut.

    `rest` is None while more may come, then the text behind the calls.
    """

    rest: str | None

    def feed(self, text: str) -> list[Piece]:
        """Read more. Raises Rejected."""
        ...

    def end(self) -> list[Piece]:
        """Make the best of what has come; there is no more. Raises Rejected."""
        ...


def whole_call(name: str, arguments: str) -> list[Piece]:
    """The pieces of a call that is known as a whole."""
    return [CallStarted(name), ArgumentsGrown(arguments), CallEnded()]

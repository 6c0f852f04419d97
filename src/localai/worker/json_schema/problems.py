"""What can be wrong with a schema, and where."""

from __future__ import annotations


class SchemaProblem(Exception):
    """A schema is wrong, or says what a grammar cannot.

    `pointer` is the JSON pointer (RFC 6901) of the keyword, "" for the whole schema; `is_wrong`
    tells the two cases apart; `hint` says what to do.
    """

    def __init__(
        self, pointer: str, message: str, *, hint: str = "", is_wrong: bool = False
    ) -> None:
        super().__init__(message)
        self.pointer = pointer
        self.message = message
        self.hint = hint
        self.is_wrong = is_wrong


def wrong(pointer: str, message: str) -> SchemaProblem:
    """The schema is no JSON Schema."""
    return SchemaProblem(pointer, message, is_wrong=True)


def below(pointer: str, key: str | int) -> str:
    """The pointer of what stands under `key`."""
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"

"""How much a template may do, so that a model file can never hang or fill the server."""

from __future__ import annotations

from typing import Any, Final

from localai.catalog.gotemplate.errors import FunctionFailed

MOST_STEPS: Final = 1_000_000
"""A step is a statement, a call, or a share of a large value; all of them take a few seconds."""

LONGEST_TEXT: Final = 16_000_000
"""In characters: of the output, and of every string on the way."""

LONGEST_LIST: Final = 1_000_000

DEEPEST: Final = 100
"""Levels: of statements and templates inside one another, and of lists and maps in a value."""

CHARACTERS_PER_STEP: Final = 20
ITEMS_PER_STEP: Final = 2


def checked_length(count: int) -> None:
    """Refuse to make a string that is too long, before it is made."""
    if count > LONGEST_TEXT:
        raise FunctionFailed(f"the result has more than {LONGEST_TEXT} characters")


def checked_list_length(count: int) -> None:
    """Refuse to make a list that is too long, before it is made."""
    if count > LONGEST_LIST:
        raise FunctionFailed(f"the result has more than {LONGEST_LIST} elements")


def cost(value: Any) -> int:
    """Give the steps that it takes to read or write a value, without what is inside it."""
    if isinstance(value, str):
        return len(value) // CHARACTERS_PER_STEP
    if isinstance(value, list | tuple | dict):
        return len(value) // ITEMS_PER_STEP
    return 0

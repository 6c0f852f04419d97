"""The one error of this package, and how a position in a source becomes a line and a column."""

from __future__ import annotations


class GoTemplateError(Exception):
    """A template cannot be parsed or rendered; `line` and `column` count from 1, in characters."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"{line}:{column}: {message}")
        self.message = message
        self.line = line
        self.column = column


class FunctionFailed(Exception):
    """A function cannot work with its arguments; the evaluator adds where it was called."""


def error_at(source: str, pos: int, message: str) -> GoTemplateError:
    """Make the error for the character at `pos` of `source`."""
    before = source[:pos]
    line = before.count("\n") + 1
    return GoTemplateError(message, line, pos - (before.rfind("\n") + 1) + 1)

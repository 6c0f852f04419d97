"""Counts the steps of searches that share one limit."""

from __future__ import annotations


class TooManySteps(Exception):
    """The searches took more steps than they may."""


class Steps:
    """What is left of a number of steps; call it to spend some. Raises TooManySteps.

    A million of them take a few seconds.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    def __call__(self, count: int) -> None:
        """Spend `count` steps."""
        self._left -= count
        if self._left < 0:
            raise TooManySteps

"""What a model file wants to have changed in the answers of its model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from localai.regexp.pattern import Pattern
from localai.regexp.stream import streamed

_KEPT_PATTERNS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputEdits:
    """Rules for the text of an answer, in the order in which they apply.

    `cut` are patterns whose matches go; of `extract`, if anything matches, only the matches stay;
    `prefixes` and `suffixes` go from the start and the end, and the white space there with them;
    `reply_prefix` comes before it all. `drops_reasoning`: what was thought is not shown.
    """

    cut: tuple[str, ...] = ()
    extract: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    reply_prefix: str = ""
    drops_reasoning: bool = False


@lru_cache(_KEPT_PATTERNS)
def pattern(source: str) -> Pattern:
    """The pattern that `source` spells, in Go's syntax. Raises BadPattern."""
    return streamed(source)

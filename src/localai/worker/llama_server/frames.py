"""What a model may say around an answer that a grammar rules: its thinking, before it.

llama.cpp frames the JSON that it is asked for in a grammar of its own, which knows the model's
format. That frame is asked for once, with a value in it that no model would say; then the value's
rule is replaced with a grammar of ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from localai.worker.parsers.thinking import TagPair

PROBE: Final = "localai-probe-4f1c"
"""The value in the frame: the schema {"const": PROBE}."""

_VALUE_RULE = re.compile(rf'^([A-Za-z0-9-]+) ::= "\\"{PROBE}\\""$', re.MULTILINE)
# In the engine's grammar for a format, what allows thinking before it: text until its end tag.
_THINKING_FIRST = re.compile(r"^until-\d+ ::=", re.MULTILINE)
# The engine lets a model put its JSON into a block of Markdown, which would then be in the answer.
_FENCED: Final = '"```json" space response-format space "```" | '
_PIECES = re.compile(
    r'"(?:[^"\\]|\\.)*" | \[(?:[^\]\\]|\\.)*\] | !?<[^>\s]*> | \#[^\n]* | \{[0-9,\ \t]*\} | [A-Za-z0-9-]+',
    re.VERBOSE,
)
_OURS: Final = "answer-"


@dataclass(frozen=True, slots=True)
class Frame:
    """The engine's grammar around a value; `prompt_end` is what it has said already."""

    grammar: str
    prompt_end: str

    @property
    def allows_thinking(self) -> bool:
        """Whether a model may think before the value."""
        return bool(_THINKING_FIRST.search(self.grammar)) and bool(_VALUE_RULE.search(self.grammar))

    def around(self, grammar: str) -> str:
        """The frame with a grammar in the place of the value."""
        ours = named_apart(grammar)
        framed = self.grammar.replace(_FENCED, "")
        framed = _VALUE_RULE.sub(lambda found: f"{found[1]} ::= {_OURS}root", framed)
        return f"{framed.rstrip()}\n{ours}"


def named_apart(grammar: str) -> str:
    """A grammar whose rules have names that no other has."""

    def renamed(found: re.Match[str]) -> str:
        piece = found[0]
        return piece if piece[0] in '"[<!#{' else _OURS + piece

    return _PIECES.sub(renamed, grammar)


def after_thinking(pair: TagPair, grammar: str) -> str:
    """A grammar for the rest of the thinking that a prompt has begun, and then for `grammar`."""
    states = [f"thinking-{place}" for place in range(len(pair.end))]
    rules = [f"{name} ::= {_step(pair.end, place, states)}" for place, name in enumerate(states)]
    head = 'root ::= thinking-0 ("\\n" "\\n"?)? answer-root'
    return "\n".join([head, *rules, named_apart(grammar)])


def _step(end: str, place: int, states: list[str]) -> str:
    """What may follow after the first `place` characters of the end tag."""
    options = []
    known = "".join(dict.fromkeys(end))
    for char in known:
        seen = end[:place] + char
        following = max(length for length in range(len(seen) + 1) if seen.endswith(end[:length]))
        if following == len(end):
            options.append(_one_of(char))
        elif following:
            options.append(f"{_one_of(char)} {states[following]}")
        else:
            options.append(f"{_one_of(char)} {states[0]}")
    return " | ".join([*options, f"{_one_of(known, is_negated=True)} {states[0]}"])


def _one_of(chars: str, *, is_negated: bool = False) -> str:
    codes = "".join(f"\\U{ord(char):08X}" for char in chars)
    return f"[{'^' if is_negated else ''}{codes}]"

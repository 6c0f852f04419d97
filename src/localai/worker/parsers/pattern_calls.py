"""Calls found by the patterns of a model file, once the answer is whole.

In this order, as LocalAI does it: replacements; the first of `json_regex_match` that matches gives
JSON to read, else the text itself; or `response_regex` gives names and arguments. Text before the
first place where a pattern can match is passed on at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from localai.regexp import Captures, Pattern, compiled, replaced, span
from localai.regexp.steps import Steps
from localai.wire.functions import ARGUMENT_GROUPS, NAME_GROUPS, FunctionSettings
from localai.worker.parsers.call_scanner import CallScanner, Opening
from localai.worker.parsers.json_calls import JsonCalls, JsonForm
from localai.worker.parsers.json_text import parsed, spelled
from localai.worker.parsers.overlaps import first_place, overlap
from localai.worker.parsers.pieces import Piece, Said, whole_call

_JSON: Final = ("{", "[")


@dataclass(frozen=True, slots=True)
class _Found:
    """A call, and the part of the text that it was found in."""

    start: int
    end: int
    pieces: list[Piece]


class PatternCalls:
    """Reads a whole answer; feed it, then `end` it."""

    def __init__(
        self,
        settings: FunctionSettings,
        form: JsonForm,
        types: Mapping[str, Mapping[str, frozenset[str]]],
        steps: Steps,
    ) -> None:
        self._form = form
        self._types = types
        self._steps = steps
        self._groups = (
            (settings.function_name_key, *NAME_GROUPS),
            (settings.function_arguments_key, *ARGUMENT_GROUPS),
        )
        self._pairs = (settings.argument_regex_key_name, settings.argument_regex_value_name)
        self._responses = [compiled(text) for text in settings.response_regex]
        self._jsons = [compiled(text) for text in settings.json_regex_match]
        self._arguments = [compiled(text) for text in settings.argument_regex]
        self._replacements = [
            (compiled(item.key), item.value) for item in settings.replace_function_results
        ]
        looked_for = [pattern.beginning for pattern in self._responses or self._jsons]
        self._beginnings = tuple({*looked_for, *(() if self._responses else _JSON)})
        self._held = ""
        self._is_found = False

    def feed(self, text: str) -> list[Piece]:
        """Read more; the text that is certain."""
        self._held += text
        if self._is_found:
            return []
        place = first_place(self._held, self._beginnings)
        self._is_found = place is not None
        if place is None:
            place = len(self._held) - overlap(self._held, self._beginnings)
        said, self._held = self._held[:place], self._held[place:]
        return [Said(said)] if said else []

    def end(self) -> list[Piece]:
        """The calls, and what was said around them. Raises TooManySteps."""
        text, self._held = self._held, ""
        found = self._find(text)
        if not found and self._replacements:
            changed = text
            for pattern, value in self._replacements:
                changed = replaced(pattern, changed, value, self._steps)
            found = [_Found(0, len(text), item.pieces) for item in self._find(changed)]
        out: list[Piece] = []
        behind = 0
        for item in found:
            if text[behind : item.start].strip() or not out:
                out.append(Said(text[behind : item.start]))
            out += item.pieces
            behind = max(behind, item.end)
        if text[behind:].strip() or not found:
            out.append(Said(text[behind:]))
        return [piece for piece in out if piece != Said("")]

    def _find(self, text: str) -> list[_Found]:
        if self._responses:
            named = (self._named(pattern, match, text) for pattern, match in self._matches(text))
            return sorted((item for item in named if item), key=lambda item: item.start)
        for pattern in self._jsons:
            matches = pattern.search_all(text, -1, self._steps)
            found = [self._from_json(text, match) for match in matches]
            if any(item.pieces for item in found):
                return [item for item in found if item.pieces]
        whole = _calls_in(text, self._form, is_bare=True)
        return [_Found(*_extent(text), whole)] if whole else []

    def _matches(self, text: str) -> list[tuple[Pattern, Captures]]:
        return [
            (pattern, match)
            for pattern in self._responses
            for match in pattern.search_all(text, -1, self._steps)
        ]

    def _named(self, pattern: Pattern, match: Captures, text: str) -> _Found | None:
        name = _group(pattern, match, text, self._groups[0])
        arguments = self._object(name, _group(pattern, match, text, self._groups[1]))
        if not name or arguments is None:
            return None
        return _Found(*span(match), whole_call(name, arguments))

    def _object(self, name: str, text: str) -> str | None:
        """Arguments as a JSON object; None when they are none."""
        if not self._arguments:
            call = self._form.call({"name": name, "arguments": _value(text)})
            return call[1] if call else None
        whole = _object(text)
        if whole is not None:
            return spelled(whole)
        pairs: dict[str, Any] = {}
        for pattern in self._arguments:
            for match in pattern.search_all(text, -1, self._steps):
                key = _group(pattern, match, text, self._pairs[:1])
                value = _group(pattern, match, text, self._pairs[1:])
                if key and key not in pairs:
                    pairs[key] = self._typed(name, key, value)
        return spelled(pairs)

    def _typed(self, name: str, key: str, text: str) -> Any:
        """A value as what the tool wants it to be; a text unless it says otherwise."""
        types = self._types.get(name, {}).get(key, frozenset())
        if not types or "string" in types:
            return text
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text

    def _from_json(self, text: str, match: Captures) -> _Found:
        has_group = len(match) > 2 and match[2] is not None  # noqa: PLR2004 - the first group
        start, end = match[2:4] if has_group else match[:2]
        return _Found(*span(match), _calls_in(text[start:end], self._form, is_bare=False))


def _object(text: str) -> dict[str, Any] | None:
    """What is a JSON object already."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _value(text: str) -> Any:
    try:
        return parsed(text)
    except ValueError:
        return text


def _group(pattern: Pattern, match: Captures, text: str, names: tuple[str, ...]) -> str:
    """The text of the first of these groups that took part."""
    for number in (pattern.names[name] for name in names if name in pattern.names):
        start, end = match[2 * number : 2 * number + 2]
        if start is not None:
            return text[start:end].strip()
    return ""


def _calls_in(text: str, form: JsonForm, *, is_bare: bool) -> list[Piece]:
    """The calls among the JSON values of a text."""
    openings = [
        Opening(mark, lambda: JsonCalls(form, is_bare=is_bare), read_too=True) for mark in _JSON
    ]
    scanner = CallScanner(openings)
    return [piece for piece in scanner.feed(text) + scanner.end() if not isinstance(piece, Said)]


def _extent(text: str) -> tuple[int, int]:
    """Where the JSON of a text begins and ends."""
    start = first_place(text, _JSON) or 0
    return start, max(text.rfind("}"), text.rfind("]"), start) + 1

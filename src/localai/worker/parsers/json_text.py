"""JSON as models write it: where a value ends, and what is meant by one that is not quite right."""

from __future__ import annotations

import ast
import json
import re
from typing import Any, Final

_LONGEST_REPAIR: Final = 1_000_000  # characters
_MOST_NESTED: Final = 200
_FENCE = re.compile(r"\A\s*```\w*\s*(.*?)\s*(?:```)?\s*\Z", re.DOTALL)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


class ValueEnd:
    """Finds the end of an object, a list or a string that comes in pieces."""

    __slots__ = ("_in_string", "_is_escaped", "open")

    def __init__(self) -> None:
        self._in_string = False
        self._is_escaped = False
        self.open = ""  # the brackets and the quote that are still open

    def find(self, text: str, start: int = 0) -> int | None:
        """The index behind the value; None if it goes on. What lies before `start` was seen."""
        for index in range(start, len(text)):
            character = text[index]
            if self._in_string:
                self._within_string(character)
            elif character == '"':
                self._in_string = True
                self.open += character
            elif character in "{[":
                self.open += character
            elif character in "}]":
                self.open = self.open[:-1]
            else:
                continue
            if not self.open:
                return index + 1
        return None

    def _within_string(self, character: str) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif character == "\\":
            self._is_escaped = True
        elif character == '"':
            self._in_string = False
            self.open = self.open[:-1]

    @property
    def is_too_deep(self) -> bool:
        """Whether no reader of JSON would follow."""
        return len(self.open) > _MOST_NESTED

    def closing(self) -> str:
        """What would end a value that was cut off."""
        escaped = "\\" if self._is_escaped else ""
        ends = {"{": "}", "[": "]", '"': '"'}
        return escaped + "".join(ends[character] for character in reversed(self.open))


class WholeValue:
    """Finds the end of a value that is kept as a whole: its own, or a text that must follow it.

    Such a text inside a string of the value is no end.
    """

    __slots__ = ("_behind", "_end", "_seen")

    def __init__(self, behind: str = "") -> None:
        self._behind = behind
        self._end = ValueEnd()
        self._seen = 0

    def find(self, text: str) -> int | None:
        """The index behind the value in `text`, which is everything so far; None if it goes on."""
        before = max(0, self._seen - len(self._behind) + 1)
        behind = text.find(self._behind, before) if self._behind else -1
        if behind >= 0:
            end = self._end.find(text[:behind], self._seen)
            self._seen = max(self._seen, behind)
            if end is not None or not self.is_in_string:
                return behind if end is None else end
        end = self._end.find(text, self._seen)
        self._seen = len(text)
        return end

    @property
    def is_in_string(self) -> bool:
        """Whether the text so far ends inside a string."""
        return self._end.open.endswith('"')

    @property
    def is_too_deep(self) -> bool:
        """Whether no reader of JSON would follow."""
        return self._end.is_too_deep


def spelled(value: Any) -> str:
    """JSON text of a value; its characters as they are where they can be encoded.

    Raises ValueError for a number that JSON does not have.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates
        return json.dumps(value)
    return text


def parsed(text: str) -> Any:
    """The value of JSON text, or what it was meant to be. Raises ValueError when nobody can tell.

    Accepted are line breaks in strings, a fence of backquotes around it, commas before the end,
    Python's spelling, and an end that is missing.
    """
    if len(text) > _LONGEST_REPAIR:
        raise ValueError("the text is too long")
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        pass
    fenced = _FENCE.match(text)
    plain = fenced[1] if fenced else text.strip()
    end = ValueEnd()
    if end.find(plain) is None and end.open and not end.is_too_deep:
        plain += end.closing()
    if end.is_too_deep:
        raise ValueError("the value is nested too deep")
    for attempt in (plain, _TRAILING_COMMA.sub(r"\1", plain)):
        try:
            return json.loads(attempt, strict=False)
        except ValueError:
            continue
    return _as_python(plain)


def _as_python(text: str) -> Any:
    try:
        value = ast.literal_eval(text)
        spelled(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("the text is no JSON") from error
    return value

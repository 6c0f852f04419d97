"""Calls between tags, such as `<function=get_time><parameter=city>Rome</parameter></function>`.

What the tags are is in a `TagFormat`; arguments come as one JSON object or as keys and values.
White space around a tag is no part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from localai.wire.functions import TagFormat
from localai.worker.parsers.json_text import ValueEnd, WholeValue, parsed, spelled
from localai.worker.parsers.overlaps import overlap
from localai.worker.parsers.pieces import (
    ArgumentsGrown,
    CallEnded,
    CallStarted,
    Piece,
    Rejected,
)

_SPACES: Final = " \t\r\n"
_LONGEST_NAME: Final = 256
_NAME = re.compile(r"[^\s{}<>\[\]\"']+\Z")
_NUMBERED = re.compile(r"functions\.(.+?)(?::\d+)?\Z")  # Kimi's `functions.NAME:INDEX`
_TEXT: Final = frozenset({"string"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TagForm:
    """A format, and what the offered tools say of their arguments.

    `types` maps a tool's name to the JSON types of each of its arguments; no types mean any.
    `is_certain` as in JsonForm.
    """

    format: TagFormat
    types: Mapping[str, Mapping[str, frozenset[str]]]
    is_certain: bool = False


class _State(Enum):
    BETWEEN = "before a call, within the scope"
    NAME = "within a name"
    OBJECT = "at or within arguments in JSON"
    END = "behind those"
    PAIRS = "before a key, or the end of the call"
    KEY = "within a key"
    VALUE = "within a value that is taken as a whole"
    TEXT = "within a value that is a text, and passed on"


class _Broken(Exception):
    """The text does not go on as the format wants it to."""


class TaggedCalls:
    """Reads calls whose `opening` was seen: the scope's start, or the first call's."""

    def __init__(self, form: TagForm, opening: str) -> None:
        self.rest: str | None = None
        self._form = form
        self._format = form.format
        self._in_scope = bool(form.format.scope_start) and opening == form.format.scope_start
        self._state = _State.BETWEEN if self._in_scope else _State.NAME
        self._held = ""  # what is not used yet
        self._whole: WholeValue | None = None  # arguments that are taken as a whole
        self._passed: ValueEnd | None = None  # arguments that are passed on
        self._name = ""
        self._key = ""
        self._pairs = 0
        self._has_text = False  # whether anything of the open text was passed on
        self._is_open = False  # whether a call is
        self._called = False

    def feed(self, text: str) -> list[Piece]:
        """Read more. Raises Rejected."""
        self._held += text
        out: list[Piece] = []
        try:
            while self.rest is None and self._advance(out):
                pass
        except _Broken:
            self._give_up(out)
        return out

    def end(self) -> list[Piece]:
        """A call that was cut off ends with what is known of it. Raises Rejected."""
        out: list[Piece] = []
        try:
            self._end(out)
        except _Broken:
            self._give_up(out)
        self.rest = self.rest or ""
        return out

    def _end(self, out: list[Piece]) -> None:
        match self._state:
            case _State.BETWEEN:
                if not self._called:
                    raise Rejected
                self.rest = self._held
            case _State.NAME:
                raise _Broken
            case _State.OBJECT if self._whole is not None:
                found = self._first(self._format.tool_end, is_last=True)
                end = found[0] if found and self._whole.is_in_string else len(self._held)
                self._call(out, self._understood(self._held[:end]))
                self._held = self._held[end:]
                self._next(self._format.tool_end)
                self.rest = self._held
            case _State.OBJECT if self._passed is None:
                self._call(out, "{}")
            case _State.TEXT:
                self._pass_on(self._held, out, is_last=True)
                out.append(ArgumentsGrown('"'))
                self._close(out)
            case _State.VALUE:
                self._pair(self._held, out)
                self._close(out)
            case _State.PAIRS | _State.KEY:
                self._close(out)
            case _State.OBJECT | _State.END:
                pass  # its arguments were passed on
        if self._is_open:
            out.append(CallEnded())

    def _give_up(self, out: list[Piece]) -> None:
        """End the call that is open; what is left is text. Raises Rejected if there was no call."""
        if not self._called:
            raise Rejected
        if self._is_open:
            self._close(out)
        self.rest = self._held

    def _advance(self, out: list[Piece]) -> bool:
        """Read one thing; False when more text is needed for it."""
        match self._state:
            case _State.BETWEEN:
                return self._between()
            case _State.NAME:
                return self._read_name()
            case _State.OBJECT:
                return self._read_object(out)
            case _State.END:
                return self._read_end()
            case _State.PAIRS:
                return self._read_tag(out)
            case _State.KEY:
                return self._read_key(out)
            case _State.VALUE | _State.TEXT:
                return self._read_value(out)

    # --- tags

    def _next(self, *tags: str | None) -> str | None:
        """Take the tag that comes next, "" when it is none of these, None when that is open."""
        self._held = self._held.lstrip(_SPACES)
        bare = {tag.strip(_SPACES) for tag in tags if tag} - {""}
        for tag in sorted(bare, key=len, reverse=True):
            if self._held.startswith(tag):
                self._held = self._held[len(tag) :]
                return tag
            if tag.startswith(self._held):
                return None
        return ""

    def _first(self, *tags: str | None, is_last: bool = False) -> tuple[int, int] | None:
        """Where the first of these tags is, and its length; None too when it may be a longer one.

        With `is_last` there is no more text to wait for.
        """
        bare = [tag.strip(_SPACES) or tag for tag in tags if tag]
        found = [(self._held.find(tag), -len(tag)) for tag in bare if tag in self._held]
        place, length = min(found, default=(len(self._held), 0))
        if not found or (not is_last and len(self._held) - overlap(self._held, bare) <= place):
            return None
        return place, -length

    def _is(self, tag: str, *expected: str | None) -> bool:
        return bool(tag) and tag in {text.strip(_SPACES) for text in expected if text}

    # --- names

    def _between(self) -> bool:
        form = self._format
        tag = self._next(form.tool_start, form.scope_end if self._in_scope else None)
        if tag is None:
            return False
        if self._is(tag, form.tool_start):
            self._state = _State.NAME
            return True
        if not self._called:
            raise _Broken
        self.rest = self._held
        return False

    def _read_name(self) -> bool:
        form = self._format
        self._held = self._held.lstrip(_SPACES)
        if form.tool_sep:
            found, used = self._first(form.tool_sep), True
        else:  # the name ends with its line, or with whatever comes behind it
            found, used = self._first("\n", form.key_start, form.tool_end), False
        if found is None:
            if len(self._held) > 2 * _LONGEST_NAME:
                raise _Broken
            return False
        place, length = found
        name = self._held[:place].strip()
        numbered = _NUMBERED.match(name)
        name = numbered[1] if numbered else name
        if not _NAME.match(name) or len(name) > _LONGEST_NAME:
            raise _Broken
        self._held = self._held[place + (length if used else 0) :]
        self._name, self._pairs, self._whole, self._passed = name, 0, None, None
        self._state = _State.PAIRS if form.key_start else _State.OBJECT
        return True

    def _start(self, out: list[Piece]) -> None:
        if not self._is_open:
            self._called = self._is_open = True
            out.append(CallStarted(self._name))

    def _call(self, out: list[Piece], arguments: str) -> None:
        self._start(out)
        out += [ArgumentsGrown(arguments), CallEnded()]
        self._is_open = False

    # --- arguments in JSON

    def _read_object(self, out: list[Piece]) -> bool:
        if self._passed is not None:
            return self._pass_object_on(self._passed, out)
        if self._whole is not None:
            return self._read_whole_object(self._whole, out)
        self._held = self._held.lstrip(_SPACES)
        if not self._held:
            return False
        if self._held[0] != "{":
            self._call(out, "{}")
            self._state = _State.END
        elif self._form.is_certain:
            self._start(out)
            self._passed = ValueEnd()
        else:
            self._whole = WholeValue(self._format.tool_end.strip(_SPACES))
        return True

    def _read_whole_object(self, value: WholeValue, out: list[Piece]) -> bool:
        end = value.find(self._held)
        if value.is_too_deep:
            raise _Broken
        if end is None:
            return False
        self._call(out, self._understood(self._held[:end]))
        self._held = self._held[end:]
        self._state = _State.END
        return True

    def _pass_object_on(self, value: ValueEnd, out: list[Piece]) -> bool:
        end = value.find(self._held)
        grown, self._held = self._held[:end], self._held[end:] if end is not None else ""
        if grown:
            out.append(ArgumentsGrown(grown))
        if end is None:
            return False
        out.append(CallEnded())
        self._is_open = False
        self._state = _State.END
        return True

    def _understood(self, text: str) -> str:
        try:
            value = parsed(text)
            arguments = spelled(value)
        except ValueError:
            raise _Broken from None
        if not isinstance(value, dict):
            raise _Broken
        return arguments

    def _read_end(self) -> bool:
        form = self._format
        tag = self._next(form.tool_end, form.last_tool_end)
        if tag is None:
            return False
        return self._behind_call()

    def _behind_call(self) -> bool:
        self._state = _State.BETWEEN
        if not self._in_scope:
            self.rest = self._held  # the next call has an opening of its own
        return self._in_scope

    # --- arguments as keys and values

    def _read_tag(self, out: list[Piece]) -> bool:
        form = self._format
        tag = self._next(form.key_start, form.tool_end, form.last_tool_end)
        if tag is None:
            return False
        if self._is(tag, form.key_start):
            self._state = _State.KEY
            return True
        if not tag:
            raise _Broken
        self._close(out)
        return self._behind_call()

    def _close(self, out: list[Piece]) -> None:
        """End a call of keys and values."""
        self._start(out)
        if self._format.key_start:
            out.append(ArgumentsGrown("}" if self._pairs else "{}"))
        out.append(CallEnded())
        self._is_open = False

    def _read_key(self, out: list[Piece]) -> bool:
        found = self._first(self._format.key_val_sep)
        if found is None:
            if len(self._held) > 2 * _LONGEST_NAME:
                raise _Broken
            return False
        place, length = found
        behind = self._held[place + length :]
        if self._format.key_val_sep2:
            behind, missing = behind.lstrip(_SPACES), self._format.key_val_sep2.strip(_SPACES)
            if missing.startswith(behind) and behind != missing:
                return False
            behind = behind.removeprefix(missing)
        self._key, self._held = self._held[:place].strip(), behind
        self._start(out)
        types = self._form.types.get(self._name, {}).get(self._key, frozenset())
        is_text = self._format.raw_argval or (self._format.raw_argval is None and types == _TEXT)
        self._state = _State.TEXT if is_text else _State.VALUE
        if is_text:
            out.append(ArgumentsGrown(f'{self._comma()}{json.dumps(self._key)}: "'))
            self._has_text = False
        return True

    def _comma(self) -> str:
        self._pairs += 1
        return "{" if self._pairs == 1 else ", "

    def _read_value(self, out: list[Piece]) -> bool:
        form = self._format
        ends = [form.val_end]
        if form.last_val_end is not None:  # then the call may end without another tag
            ends.append(form.last_val_end or form.tool_end)
        found = self._first(*ends)
        is_text = self._state is _State.TEXT
        if found is None:
            if is_text:
                kept = overlap(self._held, [tag.strip(_SPACES) or tag for tag in ends if tag])
                self._pass_on(self._held[: len(self._held) - kept], out, is_last=False)
            return False
        place, length = found
        value, tag = self._held[:place], self._held[place : place + length]
        self._held = self._held[place + (0 if self._is(tag, form.tool_end) else length) :]
        if is_text:
            self._pass_on(value, out, is_last=True)
            out.append(ArgumentsGrown('"'))
        else:
            self._pair(value, out)
        self._state = _State.PAIRS
        return True

    def _pass_on(self, text: str, out: list[Piece], *, is_last: bool) -> None:
        """Pass on the beginning of what is held, as a part of a JSON text."""
        behind = self._held[len(text) :]
        if self._format.trim_raw_argval:
            text = text if self._has_text else text.lstrip(_SPACES)
            sure = text.rstrip(_SPACES)
            behind = behind if is_last else text[len(sure) :] + behind
            text = sure
        if not is_last:
            self._held = behind
        if text:
            self._has_text = True
            out.append(ArgumentsGrown(spelled(text)[1:-1]))

    def _pair(self, text: str, out: list[Piece]) -> None:
        """Add a key with its whole value."""
        types = self._form.types.get(self._name, {}).get(self._key, frozenset())
        value = text.strip(_SPACES) if self._format.trim_raw_argval else text
        try:
            found = spelled(parsed(value))
        except ValueError:
            found = spelled(value)
        if "string" in types and not _fits(found, types - _TEXT):
            found = spelled(value)
        self._start(out)
        out.append(ArgumentsGrown(f"{self._comma()}{json.dumps(self._key)}: {found}"))


_STARTS: Final = {
    "object": "{",
    "array": "[",
    "number": "-0123456789",
    "integer": "-0123456789",
    "boolean": "tf",
    "null": "n",
}


def _fits(text: str, types: frozenset[str]) -> bool:
    """Whether JSON text is of one of these types."""
    return any(text[0] in _STARTS.get(name, "") for name in types)

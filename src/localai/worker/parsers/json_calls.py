"""Calls in JSON: `{"name": "get_time", "arguments": {"city": "Rome"}}`, one or a list of them.

Also read are the forms that models mix it up with: OpenAI's own (`{"type": "function",
"function": {...}}`), `parameters` for `arguments`, and arguments that are JSON inside a string.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from localai.worker.parsers.json_text import ValueEnd, WholeValue, parsed, spelled
from localai.worker.parsers.pieces import (
    ArgumentsGrown,
    CallEnded,
    CallStarted,
    Piece,
    Rejected,
    whole_call,
)

_NAME_KEYS: Final = ("name", "function", "tool", "tool_name")
_ARGUMENT_KEYS: Final = ("arguments", "parameters", "args", "input")
_BARE_KEYS: Final = frozenset({*_NAME_KEYS, *_ARGUMENT_KEYS, "type", "id", "index"})
_SPACES: Final = " \t\r\n"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_NAMED = re.compile(r'"(?:name|tool|tool_name)"\s*:\s*"([^"\\]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonForm:
    """How calls in JSON are spelled.

    `tools` maps the name of each offered tool to the names of its arguments. `is_certain` says
    that a grammar lets the model write nothing but whole calls with the name first, so that
    arguments may be passed on as they come. `wraps_text` makes arguments of one from a plain text.
    """

    tools: dict[str, tuple[str, ...]]
    name_key: str = ""
    arguments_key: str = ""
    is_certain: bool = False
    wraps_text: bool = False

    @property
    def own_name_key(self) -> str:
        """The key of the name in calls that we describe and constrain ourselves."""
        return self.name_key or _NAME_KEYS[0]

    @property
    def own_arguments_key(self) -> str:
        """The key of the arguments in such calls."""
        return self.arguments_key or _ARGUMENT_KEYS[0]

    def call(self, value: Any) -> tuple[str, str] | None:
        """Name and arguments of a JSON value that is a call, else None."""
        if not isinstance(value, dict):
            return None
        inner = value.get("function")
        if isinstance(inner, dict):
            value = inner
        name = _first(value, self.name_key, _NAME_KEYS)
        if not isinstance(name, str) or not name:
            return None
        arguments = self._arguments(name, _first(value, self.arguments_key, _ARGUMENT_KEYS))
        return None if arguments is None else (name, arguments)

    def _arguments(self, name: str, value: Any) -> str | None:
        match value:
            case None:
                return "{}"
            case dict():
                return spelled(value)
            case str():
                return self._from_text(name, value)
            case _:
                return None

    def _from_text(self, name: str, text: str) -> str | None:
        if not text.strip():
            return "{}"
        try:
            value = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return spelled(value)
        if not self.wraps_text:
            return None
        known = self.tools.get(name, ())
        return spelled({known[0] if len(known) == 1 else "query": text})


def _first(value: dict[str, Any], own: str, usual: tuple[str, ...]) -> Any:
    for key in (own,) if own else usual:
        if key in value:
            return value[key]
    return None


class _State(Enum):
    BETWEEN = "before, between or behind the objects"
    OBJECT = "within an object, which is taken as a whole"
    ARGUMENTS = "within arguments that are passed on"
    CLOSING = "between those and the end of their object"


class JsonCalls:
    """Reads calls behind an opening, up to `close` if there is one.

    `is_bare` calls have no opening: they begin with the first bracket that is fed, and count only
    when they name a tool that was offered.
    """

    def __init__(self, form: JsonForm, *, close: str = "", is_bare: bool = False) -> None:
        self.rest: str | None = None
        self._form = form
        self._close = close
        self._is_bare = is_bare
        self._state = _State.BETWEEN
        self._held = ""  # what is not used yet; it begins with the object that is open
        self._whole = WholeValue(close)
        self._passed = ValueEnd()
        self._in_list = False
        self._called = False
        self._head = _head(form) if form.is_certain else None

    def feed(self, text: str) -> list[Piece]:
        """Read more. Raises Rejected."""
        self._held += text
        out: list[Piece] = []
        while self.rest is None and self._advance(out):
            pass
        return out

    def end(self) -> list[Piece]:
        """A call that was cut off counts when it can be understood. Raises Rejected."""
        out: list[Piece] = []
        match self._state:
            case _State.ARGUMENTS:
                out.append(CallEnded())
                self._held = ""
            case _State.OBJECT:
                if self._is_bare and not self._called:
                    raise Rejected
                self._take_unfinished(out)
            case _:
                if not self._called:
                    raise Rejected
        self.rest = self._held
        return out

    def _advance(self, out: list[Piece]) -> bool:
        """Read one thing; False when more text is needed for it."""
        match self._state:
            case _State.BETWEEN:
                return self._between()
            case _State.OBJECT:
                return self._object(out)
            case _State.ARGUMENTS:
                return self._arguments(out)
            case _State.CLOSING:
                self._held = self._held.lstrip(_SPACES)
                self._state = _State.BETWEEN if self._held else self._state
                self._held = self._held.removeprefix("}")
                return bool(self._held)

    def _between(self) -> bool:
        """Look for the next object, the end of the list, or the closing. Raises Rejected."""
        rest = self._held.lstrip(_SPACES)
        if not rest:
            return False
        first = rest[0]
        if first == "{" and (self._in_list or self._close or not self._called):
            self._held = rest
            self._state, self._whole = _State.OBJECT, WholeValue(self._close)
            return True
        if first == "[" and not self._called and not self._in_list:
            self._in_list = True
        elif first == "]" and self._in_list and (self._called or not self._is_bare):
            self._in_list = False
            self._called = True  # a list may be empty
        elif first != "," or not self._in_list:
            return self._behind(rest)
        self._held = rest[1:]
        return True

    def _behind(self, rest: str) -> bool:
        """Read what may follow the calls. Raises Rejected when there was none."""
        if not self._called:
            raise Rejected
        if self._close.startswith(rest) and rest != self._close:
            return False
        is_closed = bool(self._close) and rest.startswith(self._close)
        self.rest = rest.removeprefix(self._close) if is_closed else self._held
        return False

    def _object(self, out: list[Piece]) -> bool:
        if self._is_bare and not self._called:
            self._check_head()
        if self._head is not None and self._pass_on(self._head, out):
            return True
        end = self._whole.find(self._held)
        if self._whole.is_too_deep and not self._called:
            raise Rejected
        if end is None:
            return False
        whole, self._held = self._held[:end], self._held[end:]
        self._state = _State.BETWEEN
        self._take(whole, out)
        return True

    def _check_head(self) -> None:
        """See as early as possible that an object without opening is no call. Raises Rejected."""
        head = self._held[1:].lstrip(_SPACES)
        if not head:
            return
        known = {*_BARE_KEYS, self._form.name_key, self._form.arguments_key} - {""}
        key = _STRING.match(head)
        if key is not None and key[0][1:-1] not in known:
            raise Rejected
        named = _NAMED.match(head)
        if named is not None and named[1] not in self._form.tools:
            raise Rejected
        if key is None and not any(f'"{name}"'.startswith(head) for name in known):
            raise Rejected

    def _pass_on(self, pattern: re.Pattern[str], out: list[Piece]) -> bool:
        """Start a call whose name is known before its arguments are whole. Raises Rejected."""
        head = pattern.match(self._held)
        if head is None:
            return False
        name = json.loads(head[1])
        if self._is_bare and name not in self._form.tools:
            raise Rejected
        self._called = True
        self._held = self._held[head.end() :]
        self._state, self._passed = _State.ARGUMENTS, ValueEnd()
        out.append(CallStarted(name))
        return True

    def _arguments(self, out: list[Piece]) -> bool:
        end = self._passed.find(self._held)
        grown, self._held = self._held[:end], self._held[end:] if end is not None else ""
        if grown:
            out.append(ArgumentsGrown(grown))
        if end is None:
            return False
        out.append(CallEnded())
        self._state = _State.CLOSING
        return True

    def _take_unfinished(self, out: list[Piece]) -> None:
        """Make a call of an object without end; its quotes may not match. Raises Rejected."""
        before, closing, behind = self._held.partition(self._close or "\0")
        if closing and (self._whole.is_in_string or self._call(self._held) is None):
            self._take(before, out)
            self._held = behind
        else:
            self._take(self._held, out)
            self._held = ""

    def _call(self, text: str) -> tuple[str, str] | None:
        try:
            call = self._form.call(parsed(text))
        except ValueError:
            return None
        is_offered = call is not None and call[0] in self._form.tools
        return call if is_offered or not self._is_bare else None

    def _take(self, text: str, out: list[Piece]) -> None:
        """Make a call of a whole object. Raises Rejected when it is none and none was before."""
        call = self._call(text)
        if call is None:
            if not self._called:
                raise Rejected
            return
        self._called = True
        out += whole_call(*call)


def _head(form: JsonForm) -> re.Pattern[str]:
    """The beginning of a call up to its arguments, which have begun."""
    keys = [re.escape(json.dumps(key)) for key in (form.own_name_key, form.own_arguments_key)]
    return re.compile(rf"\{{\s*{keys[0]}\s*:\s*({_STRING.pattern})\s*,\s*{keys[1]}\s*:\s*(?=\{{)")

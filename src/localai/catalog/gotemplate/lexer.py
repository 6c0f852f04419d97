"""Cuts a template into tokens, with Go's rules for trim markers, comments and literals.

Source: the documentation of Go's text/template ("Text and spaces", "Actions").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

LEFT: Final = "{{"
RIGHT: Final = "}}"
SPACES: Final = " \t\r\n"  # what Go trims, and nothing else: not the no-break space
KEYWORDS: Final = frozenset(
    {"block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"}
)
_TRIM_MARKER_LENGTH: Final = 2  # the minus and the space that must stand next to it

_NUMBER = re.compile(
    r"[+-]?(?:0[xX](?P<hex>[0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?)"
    r"|0[oO][0-7_]*|0[bB][01_]*"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)"
)
_QUOTED = re.compile(r'"(?:\\[^\n]|[^"\\\n])*"')
_CHARACTER = re.compile(r"'(?:\\[^\n]|[^'\\\n])*'")
_SPACE_RUN = re.compile(r"[ \t\r\n]+")


class Kind(Enum):
    """What a token is."""

    TEXT = "text"
    LEFT = "{{"
    RIGHT = "}}"
    SPACE = "space"
    ASSIGN = "="
    DECLARE = ":="
    PIPE = "|"
    OPEN = "("
    CLOSE = ")"
    CHAR = "character"
    STRING = "string"
    RAW_STRING = "raw string"
    CHARACTER = "character constant"
    NUMBER = "number"
    FIELD = "field"
    VARIABLE = "variable"
    IDENTIFIER = "function"
    KEYWORD = "keyword"
    BOOL = "boolean"
    DOT = "."
    NIL = "nil"
    EOF = "end of the template"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a template; `pos` counts characters from its start."""

    kind: Kind
    text: str
    pos: int


_SINGLE: Final = {"=": Kind.ASSIGN, "|": Kind.PIPE}


def lex(source: str) -> list[Token]:
    """Cut `source` into tokens. What cannot be cut further is a last token of kind ERROR."""
    lexer = _Lexer(source)
    try:
        lexer.run()
    except _LexError as error:
        lexer.tokens.append(Token(Kind.ERROR, str(error), error.pos))
    return lexer.tokens


class _LexError(Exception):
    def __init__(self, message: str, pos: int) -> None:
        super().__init__(message)
        self.pos = pos


def _is_word(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()


class _Lexer:
    def __init__(self, source: str) -> None:
        self.source = source
        self.pos = 0
        self.depth = 0  # of parentheses
        self.tokens: list[Token] = []

    def run(self) -> None:
        """Read text and actions by turns."""
        source = self.source
        while (start := source.find(LEFT, self.pos)) >= 0:
            marked = self._left_marker(start + len(LEFT))
            text = source[self.pos : start]
            self._emit_text(text.rstrip(SPACES) if marked else text)
            after = start + len(LEFT) + (_TRIM_MARKER_LENGTH if marked else 0)
            if source.startswith("/*", after):
                self._comment(start, after)
            else:
                self.tokens.append(Token(Kind.LEFT, LEFT, start))
                self.pos = after
                self._action(start)
        self._emit_text(source[self.pos :])
        self.tokens.append(Token(Kind.EOF, "", len(source)))

    def _emit_text(self, text: str) -> None:
        if text:
            self.tokens.append(Token(Kind.TEXT, text, self.pos))

    def _left_marker(self, pos: int) -> bool:
        pair = self.source[pos : pos + _TRIM_MARKER_LENGTH]
        return len(pair) == _TRIM_MARKER_LENGTH and pair[0] == "-" and pair[1] in SPACES

    def _right(self, pos: int) -> tuple[bool, bool]:
        """Say whether the action ends at `pos`, and whether it ends with a trim marker."""
        source = self.source
        if source.startswith(RIGHT, pos):
            return True, False
        ends = (
            source.startswith("-" + RIGHT, pos + 1) and pos < len(source) and source[pos] in SPACES
        )
        return ends, ends

    def _skip_right(self, *, trims: bool) -> None:
        self.pos += len(RIGHT) + (_TRIM_MARKER_LENGTH if trims else 0)
        if trims and (run := _SPACE_RUN.match(self.source, self.pos)):
            self.pos = run.end()

    def _comment(self, start: int, after: int) -> None:
        end = self.source.find("*/", after + 2)
        if end < 0:
            raise _LexError("unclosed comment", start)
        self.pos = end + 2
        ends, trims = self._right(self.pos)
        if not ends:
            raise _LexError("comment ends before closing delimiter", self.pos)
        self._skip_right(trims=trims)

    def _action(self, start: int) -> None:
        self.depth = 0
        while True:
            ends, trims = self._right(self.pos)
            if ends:
                if self.depth:
                    raise _LexError("unclosed left paren", self.pos)
                self.tokens.append(Token(Kind.RIGHT, RIGHT, self.pos))
                self._skip_right(trims=trims)
                return
            if self.pos >= len(self.source):
                raise _LexError("unclosed action", start)
            self._token()

    def _token(self) -> None:
        source, pos = self.source, self.pos
        char = source[pos]
        after = source[pos + 1 : pos + 2]
        if char in SPACES:
            self._space()
        elif char in _SINGLE:
            self._emit(_SINGLE[char], pos + 1)
        elif char == ":":
            if after != "=":
                raise _LexError("expected :=", pos)
            self._emit(Kind.DECLARE, pos + 2)
        elif char in "\"'`":
            self._literal(char)
        elif char == "$":
            self._emit(Kind.VARIABLE, self._word_end(pos + 1))
            self._check_terminator()
        elif char == "." and not ("0" <= after <= "9"):
            end = self._word_end(pos + 1)
            self._emit(Kind.DOT if end == pos + 1 else Kind.FIELD, end)
            self._check_terminator()
        elif char in ".+-" or "0" <= char <= "9":
            self._number()
        elif _is_word(char):
            self._identifier()
        elif char == "(":
            self.depth += 1
            self._emit(Kind.OPEN, pos + 1)
        elif char == ")":
            self.depth -= 1
            if self.depth < 0:
                raise _LexError("unexpected right paren", pos)
            self._emit(Kind.CLOSE, pos + 1)
        elif char.isascii() and char.isprintable():
            self._emit(Kind.CHAR, pos + 1)
        else:
            raise _LexError(f"unrecognized character in action: U+{ord(char):04X}", pos)

    def _emit(self, kind: Kind, end: int) -> None:
        self.tokens.append(Token(kind, self.source[self.pos : end], self.pos))
        self.pos = end

    def _space(self) -> None:
        run = _SPACE_RUN.match(self.source, self.pos)
        assert run is not None
        end = run.end()
        if self._right(end - 1)[1]:  # the last space belongs to the closing trim marker
            end -= 1
        if end > self.pos:
            self._emit(Kind.SPACE, end)

    def _literal(self, quote: str) -> None:
        source, pos = self.source, self.pos
        if quote == "`":
            end = source.find("`", pos + 1)
            if end < 0:
                raise _LexError("unterminated raw quoted string", pos)
            self._emit(Kind.RAW_STRING, end + 1)
            return
        is_string = quote == '"'
        found = (_QUOTED if is_string else _CHARACTER).match(source, pos)
        if found is None:
            what = "quoted string" if is_string else "character constant"
            raise _LexError(f"unterminated {what}", pos)
        self._emit(Kind.STRING if is_string else Kind.CHARACTER, found.end())

    def _number(self) -> None:
        found = _NUMBER.match(self.source, self.pos)
        assert found is not None
        end = found.end()
        follows = self.source[end : end + 1]
        # A sign may only start a complex number's second half, and no template counts with those.
        if follows and (_is_word(follows) or follows in "+-"):
            raise _LexError(f"bad number syntax: {self.source[self.pos : end + 1]!r}", self.pos)
        self._emit(Kind.NUMBER, end)

    def _identifier(self) -> None:
        end = self._word_end(self.pos)
        word = self.source[self.pos : end]
        if word in KEYWORDS:
            kind = Kind.KEYWORD
        elif word in {"true", "false"}:
            kind = Kind.BOOL
        else:
            kind = Kind.NIL if word == "nil" else Kind.IDENTIFIER
        self._emit(kind, end)
        self._check_terminator()

    def _word_end(self, pos: int) -> int:
        source = self.source
        while pos < len(source) and _is_word(source[pos]):
            pos += 1
        return pos

    def _check_terminator(self) -> None:
        """See that a word ends where something else may start: `.x+1` is a mistake, not a sum."""
        follows = self.source[self.pos : self.pos + 1]
        if not follows or follows in SPACES or follows in ".,|:()":
            return
        if not self.source.startswith(RIGHT, self.pos):
            raise _LexError(f"bad character {follows!r}", self.pos)

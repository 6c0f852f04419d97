"""A place among the tokens of a template, and errors that name it."""

from __future__ import annotations

from typing import NoReturn

from localai.catalog.gotemplate.errors import GoTemplateError, error_at
from localai.catalog.gotemplate.lexer import Kind, Token, lex


class Cursor:
    """Gives a source's tokens one by one; the last one, EOF or an error, is never passed."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = lex(source)
        self._at = 0

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind is Kind.ERROR:
            self._fail(token, token.text)
        if token.kind is not Kind.EOF:
            self._at += 1
        return token

    def _next_word(self) -> Token:
        token = self._next()
        while token.kind is Kind.SPACE:
            token = self._next()
        return token

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _peek_word(self) -> Token:
        at = self._at
        while self._tokens[at].kind is Kind.SPACE:
            at += 1
        return self._tokens[at]

    def _expect(self, kind: Kind, context: str) -> Token:
        token = self._next_word()
        if token.kind is not kind:
            self._unexpected(token, context)
        return token

    def _error(self, where: Token | int, message: str) -> GoTemplateError:
        pos = where if isinstance(where, int) else where.pos
        return error_at(self._source, pos, message)

    def _fail(self, where: Token | int, message: str) -> NoReturn:
        raise self._error(where, message)

    def _unexpected(self, token: Token, context: str) -> NoReturn:
        if token.kind is Kind.ERROR:
            self._fail(token, token.text)
        shown = "the end of the template" if token.kind is Kind.EOF else f"{token.text[:40]!r}"
        self._fail(token, f"unexpected {shown} in {context}")

    def _is_keyword(self, token: Token, *words: str) -> bool:
        return token.kind is Kind.KEYWORD and token.text in words

"""Makes a tree of a template's tokens, and refuses what Go's parser refuses.

Source: the documentation of Go's text/template ("Actions", "Arguments", "Pipelines", "Variables",
"Nested template definitions").
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from localai.catalog.gotemplate import literals, nodes
from localai.catalog.gotemplate.cursor import Cursor
from localai.catalog.gotemplate.lexer import Kind, Token
from localai.catalog.gotemplate.literals import BadLiteral

DEEPEST: Final = 100
"""How deep actions and parentheses may be nested; it keeps the parser off Python's own limit."""

_OPERANDS: Final = frozenset(
    {
        Kind.BOOL,
        Kind.CHARACTER,
        Kind.DOT,
        Kind.FIELD,
        Kind.IDENTIFIER,
        Kind.NIL,
        Kind.NUMBER,
        Kind.OPEN,
        Kind.RAW_STRING,
        Kind.STRING,
        Kind.VARIABLE,
    }
)
_CONSTANTS: Final = (nodes.Bool, nodes.Dot, nodes.Nil, nodes.Number, nodes.String)


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed source: its own body, and the templates that it defines."""

    body: nodes.Body
    defined: dict[str, nodes.Body]


@dataclass(frozen=True, slots=True)
class _End:
    """What closed a list of statements: `end`, or `else` (with the `if` or `with` after it)."""

    pos: int
    is_else: bool
    again: str = ""


def parse_tree(source: str, functions: Collection[str]) -> Tree:
    """Parse `source`, which may call `functions`. Raises GoTemplateError."""
    return _Parser(source, functions).tree()


def _is_empty(body: nodes.Body) -> bool:
    return all(isinstance(node, nodes.Text) and not node.text.strip() for node in body)


class _Parser(Cursor):
    def __init__(self, source: str, functions: Collection[str]) -> None:
        super().__init__(source)
        self._functions = functions
        self._depth = 0
        self._range_depth = 0
        self._variables = ["$"]
        self._defined: dict[str, nodes.Body] = {}

    def _deeper(self, where: Token) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            self._fail(where, f"more than {DEEPEST} levels of nesting")

    # --- statements

    def tree(self) -> Tree:
        """Parse the whole source."""
        body: list[nodes.Statement] = []
        while self._peek().kind is not Kind.EOF:
            left = self._next()
            if left.kind is Kind.LEFT and self._is_keyword(self._peek_word(), "define"):
                self._next_word()
                self._definition()
                continue
            statement = self._statement(left)
            if isinstance(statement, _End):
                word = "else" if statement.is_else else "end"
                self._fail(statement.pos, f"unexpected {{{{{word}}}}}: nothing is open here")
            body.append(statement)
        return Tree(tuple(body), self._defined)

    def _definition(self) -> None:
        context = "define clause"
        name = self._template_name(context)
        self._expect(Kind.RIGHT, context)
        self._define(name, context)

    def _define(self, name: Token, context: str) -> None:
        outer = (self._variables, self._range_depth)
        self._variables, self._range_depth = ["$"], 0
        self._deeper(name)
        body, end = self._body()
        self._depth -= 1
        self._variables, self._range_depth = outer
        if end.is_else:
            self._fail(end.pos, f"unexpected {{{{else}}}} in {context}")
        self._add(name, body)

    def _add(self, name: Token, body: nodes.Body) -> None:
        text = self._string(name)
        if not _is_empty(self._defined.get(text, ())):
            if _is_empty(body):
                return  # as in Go, an empty definition does not replace a real one
            self._fail(name, f"multiple definition of template {text!r}")
        self._defined[text] = body

    def _body(self) -> tuple[nodes.Body, _End]:
        body: list[nodes.Statement] = []
        while True:
            token = self._next()
            if token.kind is Kind.EOF:
                self._fail(token, "unexpected end of the template: {{end}} is missing")
            statement = self._statement(token)
            if isinstance(statement, _End):
                return tuple(body), statement
            body.append(statement)

    def _statement(self, token: Token) -> nodes.Statement | _End:
        if token.kind is Kind.TEXT:
            return nodes.Text(token.pos, token.text)
        word = self._peek_word()
        if word.kind is not Kind.KEYWORD or word.text == "define":
            return nodes.Action(token.pos, self._pipeline("command", Kind.RIGHT))
        self._next_word()
        match word.text:
            case "if" | "with" | "range":
                return self._control(word)
            case "end":
                self._expect(Kind.RIGHT, "end")
                return _End(word.pos, is_else=False)
            case "else":
                return self._else(word)
            case "template":
                return self._call(word)
            case "block":
                return self._block(word)
            case _:
                return self._jump(word)

    def _else(self, word: Token) -> _End:
        following = self._peek_word()
        if self._is_keyword(following, "if", "with"):
            return _End(word.pos, is_else=True, again=following.text)
        self._expect(Kind.RIGHT, "else")
        return _End(word.pos, is_else=True)

    def _jump(self, word: Token) -> nodes.Statement:
        if not self._range_depth:
            self._fail(word, f"{{{{{word.text}}}}} outside {{{{range}}}}")
        self._expect(Kind.RIGHT, f"{{{{{word.text}}}}}")
        return nodes.Break(word.pos) if word.text == "break" else nodes.Continue(word.pos)

    def _control(self, word: Token) -> nodes.Statement:
        visible = len(self._variables)
        self._deeper(word)
        pipe = self._pipeline(word.text, Kind.RIGHT)
        if word.text == "range":
            self._range_depth += 1
        body, end = self._body()
        if word.text == "range":
            self._range_depth -= 1
        otherwise = self._otherwise(word, end)
        self._depth -= 1
        del self._variables[visible:]
        if word.text == "range":
            return nodes.Range(word.pos, pipe, body, otherwise)
        make = nodes.If if word.text == "if" else nodes.With
        return make(word.pos, pipe, body, otherwise)

    def _otherwise(self, word: Token, end: _End) -> nodes.Body:
        if not end.is_else:
            return ()
        if end.again:
            again = self._next_word()
            if end.again != word.text:
                self._unexpected(again, "else")
            return (self._control(again),)  # it also consumes the {{end}} of both
        otherwise, end = self._body()
        if end.is_else:
            self._fail(end.pos, "expected {{end}}; found {{else}}")
        return otherwise

    def _template_name(self, context: str) -> Token:
        token = self._next_word()
        if token.kind not in {Kind.STRING, Kind.RAW_STRING}:
            self._unexpected(token, context)
        return token

    def _call(self, word: Token) -> nodes.Statement:
        context = "template clause"
        name = self._string(self._template_name(context))
        pipe = None
        if self._peek_word().kind is Kind.RIGHT:
            self._next_word()
        else:
            pipe = self._pipeline(context, Kind.RIGHT)
        return nodes.Call(word.pos, name, pipe)

    def _block(self, word: Token) -> nodes.Statement:
        context = "block clause"
        name = self._template_name(context)
        pipe = self._pipeline(context, Kind.RIGHT)
        self._define(name, context)
        return nodes.Call(word.pos, self._string(name), pipe)

    # --- pipelines

    def _pipeline(self, context: str, end: Kind) -> nodes.Pipe:
        start = self._peek_word()
        variables, assigns = self._declarations(context)
        commands: list[nodes.Command] = []
        while True:
            token = self._peek_word()
            if token.kind is end:
                self._next_word()
                break
            if token.kind not in _OPERANDS:
                self._unexpected(token, context)
            commands.append(self._command())
        if not commands:
            self._fail(start, f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.args[0], _CONSTANTS):
                self._fail(command.pos, f"non executable command in pipeline stage {stage}")
        return nodes.Pipe(start.pos, variables, assigns, tuple(commands))

    def _declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        """Read `$x :=`, `$x =`, or in a range `$i, $e :=`; give the names and whether it assigns."""
        names: list[str] = []
        while self._peek_word().kind is Kind.VARIABLE:
            before = self._at
            variable = self._next_word()
            following = self._next_word() if self._peek_word().kind is not Kind.ERROR else None
            if following is not None and following.kind in {Kind.ASSIGN, Kind.DECLARE}:
                names.append(variable.text)
                self._variables.append(variable.text)
                return tuple(names), following.kind is Kind.ASSIGN
            if following is None or (following.kind, following.text) != (Kind.CHAR, ","):
                self._at = before  # an argument, not a declaration
                break
            if context != "range" or names:
                self._fail(following, f"too many declarations in {context}")
            names.append(variable.text)
            self._variables.append(variable.text)
            if self._peek_word().kind not in {Kind.VARIABLE, Kind.RIGHT, Kind.CLOSE}:
                self._fail(self._peek_word(), "range can only initialize variables")
        return tuple(names), False

    def _command(self) -> nodes.Command:
        start = self._peek_word()
        args: list[nodes.Operand] = []
        while True:
            if (operand := self._operand()) is not None:
                args.append(operand)
            token = self._peek()
            if token.kind is Kind.SPACE:
                self._next()
                continue
            if token.kind is Kind.PIPE:
                self._next()  # a pipe that nothing follows is let through, as in Go
            elif token.kind not in {Kind.RIGHT, Kind.CLOSE}:
                self._unexpected(token, "operand")
            break
        if not args:
            self._fail(start, "empty command")
        return nodes.Command(start.pos, tuple(args))

    def _operand(self) -> nodes.Operand | None:
        term = self._term()
        if term is None or self._peek().kind is not Kind.FIELD:
            return term
        start = self._peek()
        names: list[str] = []
        while self._peek().kind is Kind.FIELD:
            names.append(self._next().text[1:])
        match term:
            case nodes.Field():
                return nodes.Field(term.pos, (*term.names, *names))
            case nodes.Variable():
                return nodes.Variable(term.pos, term.name, (*term.names, *names))
            case nodes.Bool() | nodes.Dot() | nodes.Nil() | nodes.Number() | nodes.String():
                raise self._error(start, "unexpected . after a constant")
            case _:
                return nodes.Chain(term.pos, term, tuple(names))

    def _term(self) -> nodes.Operand | None:
        token = self._peek_word()
        if token.kind not in _OPERANDS:
            return None
        self._next_word()
        text, pos = token.text, token.pos
        match token.kind:
            case Kind.IDENTIFIER:
                if text not in self._functions:
                    self._fail(token, f"function {text!r} not defined")
                return nodes.Function(pos, text)
            case Kind.DOT:
                return nodes.Dot(pos)
            case Kind.NIL:
                return nodes.Nil(pos)
            case Kind.VARIABLE:
                if text not in self._variables:
                    self._fail(token, f"undefined variable {text!r}")
                return nodes.Variable(pos, text, ())
            case Kind.FIELD:
                return nodes.Field(pos, (text[1:],))
            case Kind.BOOL:
                return nodes.Bool(pos, text == "true")
            case Kind.STRING | Kind.RAW_STRING:
                return nodes.String(pos, self._string(token))
            case Kind.OPEN:
                self._deeper(token)
                pipe = self._pipeline("parenthesized pipeline", Kind.CLOSE)
                self._depth -= 1
                return pipe
            case _:
                return self._number(token)

    def _string(self, token: Token) -> str:
        if token.kind is Kind.RAW_STRING:
            return literals.raw_string(token.text)
        try:
            return literals.string(token.text)
        except BadLiteral as error:
            raise self._error(token, str(error)) from None

    def _number(self, token: Token) -> nodes.Number:
        try:
            if token.kind is Kind.CHARACTER:
                code = literals.character(token.text)
                return nodes.Number(token.pos, token.text, code, code)
            return nodes.Number(token.pos, token.text, *literals.number(token.text))
        except BadLiteral as error:
            raise self._error(token, str(error)) from None

"""Walks a parsed template and writes its text.

Source: the documentation of Go's text/template. What that leaves open follows its behavior: a map
without the key asked for gives `<no value>`, a struct without the field is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, NoReturn

from localai.catalog.gotemplate import limits, nodes
from localai.catalog.gotemplate.errors import FunctionFailed, GoTemplateError, error_at
from localai.catalog.gotemplate.functions import FUNCTIONS, TYPE_NAMES, Function
from localai.catalog.gotemplate.parser import Tree
from localai.catalog.gotemplate.printing import plain, printed
from localai.catalog.gotemplate.values import MISSING, Record, clean, type_of


class _Signal(Enum):
    """Why a list of statements ended before its end."""

    BREAK = "break"
    CONTINUE = "continue"


_NOTHING: Final = object()  # no value comes out of the pipeline before this command


class Run:
    """One rendering of a template; `now` is the clock of the function of that name."""

    def __init__(self, source: str, tree: Tree, now: Callable[[], datetime]) -> None:
        self._source = source
        self._tree = tree
        self._now = now
        self._pieces: list[str] = []
        self._length = 0
        self._steps = limits.MOST_STEPS
        self._depth = 0
        self._variables: list[tuple[str, Any]] = []

    def text(self, data: Any) -> str:
        """Write the whole text. Raises GoTemplateError."""
        self._variables = [("$", data)]
        try:
            self._walk(data, self._tree.body)
        except RecursionError:
            self._fail(0, "the data or the template are nested too deep")
        return clean("".join(self._pieces))

    # --- limits and errors

    def _error(self, pos: int, message: str) -> GoTemplateError:
        return error_at(self._source, pos, message)

    def _fail(self, pos: int, message: str) -> NoReturn:
        raise self._error(pos, message)

    def _charge(self, pos: int, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            self._fail(pos, f"the template takes more than {limits.MOST_STEPS} steps")

    def _enter(self, pos: int) -> None:
        self._depth += 1
        if self._depth > limits.DEEPEST:
            self._fail(pos, f"more than {limits.DEEPEST} levels of templates and actions")

    def _measure(self, pos: int, value: Any) -> None:
        """Charge for everything inside a value, and refuse one that is too deep or holds itself."""
        level: list[Any] = [value]
        for _ in range(limits.DEEPEST):
            inner: list[Any] = []
            characters = 0
            for item in level:
                if isinstance(item, str):
                    characters += len(item)
                elif children := _children(item):
                    self._charge(pos, 1 + len(children) // limits.ITEMS_PER_STEP)
                    inner += children
            self._charge(pos, characters // limits.CHARACTERS_PER_STEP)
            if not inner:
                return
            level = inner
        self._fail(pos, f"a value is nested more than {limits.DEEPEST} levels deep")

    # --- statements

    def _write(self, pos: int, text: str) -> None:
        self._length += len(text)
        if self._length > limits.LONGEST_TEXT:
            self._fail(pos, f"the text is longer than {limits.LONGEST_TEXT} characters")
        self._pieces.append(text)

    def _walk(self, dot: Any, body: nodes.Body) -> _Signal | None:
        for node in body:
            self._charge(node.pos, 1)
            match node:
                case nodes.Text():
                    self._write(node.pos, node.text)
                case nodes.Action():
                    value = self._pipe(dot, node.pipe)
                    if not node.pipe.variables:
                        if not isinstance(value, str):
                            self._measure(node.pos, value)
                        self._write(node.pos, printed(value))
                case nodes.If() | nodes.With():
                    if (signal := self._choose(dot, node)) is not None:
                        return signal
                case nodes.Range():
                    if (signal := self._range(dot, node)) is not None:
                        return signal
                case nodes.Call():
                    self._template(dot, node)
                case nodes.Break():
                    return _Signal.BREAK
                case nodes.Continue():
                    return _Signal.CONTINUE
        return None

    def _choose(self, dot: Any, node: nodes.If | nodes.With) -> _Signal | None:
        mark = len(self._variables)
        self._enter(node.pos)
        value = self._pipe(dot, node.pipe)
        if value:
            signal = self._walk(value if isinstance(node, nodes.With) else dot, node.body)
        else:
            signal = self._walk(dot, node.otherwise)
        del self._variables[mark:]
        self._depth -= 1
        return signal

    def _range(self, dot: Any, node: nodes.Range) -> _Signal | None:
        mark = len(self._variables)
        self._enter(node.pos)
        elements = self._elements(self._pipe(dot, node.pipe), node)
        inner = len(self._variables)
        is_empty = True
        for key, element in elements:
            is_empty = False
            self._charge(node.pos, 1)
            self._set_loop_variables(node.pipe, mark, key, element)
            if self._walk(element, node.body) is _Signal.BREAK:
                break
            del self._variables[inner:]
        # A break or continue of this loop ends here; one in its else belongs to the loop around.
        signal = self._walk(dot, node.otherwise) if is_empty else None
        del self._variables[mark:]
        self._depth -= 1
        return signal

    def _set_loop_variables(self, pipe: nodes.Pipe, mark: int, key: Any, element: Any) -> None:
        values = (key, element) if len(pipe.variables) > 1 else (element,)
        for i, (name, value) in enumerate(zip(pipe.variables, values, strict=False)):
            if pipe.assigns:
                self._assign(pipe.pos, name, value)
            else:
                self._variables[mark + i] = (name, value)

    def _elements(self, value: Any, node: nodes.Range) -> Iterable[tuple[Any, Any]]:
        match value:
            case list() | tuple():
                return enumerate(value)
            case Mapping():
                return [(key, value[key]) for key in sorted(value)]
            case bool():
                pass
            case int():
                if len(node.pipe.variables) > 1:
                    self._fail(
                        node.pos, f"can't use {value} to iterate over more than one variable"
                    )
                return ((i, i) for i in range(value))
            case _ if value is None or value is MISSING:
                return ()
            case _:
                pass
        raise self._error(node.pos, f"range can't iterate over a value of type {type_of(value)}")

    def _template(self, dot: Any, node: nodes.Call) -> None:
        body = self._tree.defined.get(node.name)
        if body is None:
            self._fail(node.pos, f"template {node.name!r} not defined")
        self._enter(node.pos)
        data = MISSING if node.pipe is None else self._pipe(dot, node.pipe)
        outer, self._variables = self._variables, [("$", data)]
        self._walk(data, body)
        self._variables = outer
        self._depth -= 1

    # --- pipelines

    def _pipe(self, dot: Any, pipe: nodes.Pipe) -> Any:
        value: Any = _NOTHING
        for command in pipe.commands:
            value = self._command(dot, command, value)
        if value is None:
            value = MISSING  # as in Go, nil loses its type on its way out of a pipeline
        for name in pipe.variables:
            if pipe.assigns:
                self._assign(pipe.pos, name, value)
            else:
                self._variables.append((name, value))
        return value

    def _command(self, dot: Any, command: nodes.Command, final: Any) -> Any:
        word = command.args[0]
        has_args = len(command.args) > 1 or final is not _NOTHING
        match word:
            case nodes.Field():
                return self._chain(dot, word.names, word.pos, has_args=has_args)
            case nodes.Function():
                return self._function(dot, word, command.args[1:], final)
            case nodes.Variable():
                value = self._variable(word)
                if word.names:
                    return self._chain(value, word.names, word.pos, has_args=has_args)
            case nodes.Chain():
                value = self._operand(dot, word.base)
                return self._chain(value, word.names, word.pos, has_args=has_args)
            case nodes.Nil():
                self._fail(word.pos, "nil is not a command")
            case _:
                value = self._operand(dot, word)
        if has_args:
            self._fail(word.pos, "can't give argument to non-function")
        return value

    def _operand(self, dot: Any, node: nodes.Operand) -> Any:
        """Give the value of an operand where any type will do."""
        match node:
            case nodes.Field():
                return self._chain(dot, node.names, node.pos)
            case nodes.String() | nodes.Bool() | nodes.Number():
                return node.value
            case nodes.Dot():
                return dot
            case nodes.Variable():
                return self._chain(self._variable(node), node.names, node.pos)
            case nodes.Pipe():
                self._enter(node.pos)
                value = self._pipe(dot, node)
                self._depth -= 1
                return value
            case nodes.Function():
                return self._function(dot, node, (), _NOTHING)
            case nodes.Chain():
                return self._chain(self._operand(dot, node.base), node.names, node.pos)
            case nodes.Nil():
                return None

    def _variable(self, node: nodes.Variable) -> Any:
        for name, value in reversed(self._variables):
            if name == node.name:
                return value
        raise self._error(node.pos, f"undefined variable: {node.name}")

    def _assign(self, pos: int, name: str, value: Any) -> None:
        for i in range(len(self._variables) - 1, -1, -1):
            if self._variables[i][0] == name:
                self._variables[i] = (name, value)
                return
        self._fail(pos, f"undefined variable: {name}")

    def _chain(
        self, value: Any, names: tuple[str, ...], pos: int, *, has_args: bool = False
    ) -> Any:
        for name in names:
            if isinstance(value, Record):
                if name not in value.fields:
                    known = ", ".join(f".{field}" for field in value.fields)
                    self._fail(
                        pos,
                        f"can't evaluate field {name} in type {value.type_name}; it has {known}",
                    )
                value = value.fields[name]
            elif isinstance(value, Mapping):
                value = value.get(name, MISSING)
            elif value is None:
                self._fail(pos, f"nil pointer evaluating interface {{}}.{name}")
            elif value is not MISSING:
                self._fail(pos, f"can't evaluate field {name} in type {type_of(value)}")
        if has_args:
            self._fail(pos, f"{names[-1]} has arguments but cannot be invoked as function")
        return value

    # --- functions

    def _function(
        self, dot: Any, node: nodes.Function, args: tuple[nodes.Operand, ...], final: Any
    ) -> Any:
        function = FUNCTIONS[node.name]
        self._check_count(function, node, len(args) + (final is not _NOTHING))
        if node.name in {"and", "or"}:
            return self._and_or(dot, args, final, stops_at=node.name == "or")
        kinds = function.parameters + function.rest * len(args)
        values = [self._argument(dot, arg, kind) for arg, kind in zip(args, kinds, strict=False)]
        if final is not _NOTHING:
            kind = (function.parameters + function.rest * (len(args) + 1))[len(args)]
            values.append(self._typed(node.pos, final, kind))
        return self._called(function, node, values)

    def _called(self, function: Function, node: nodes.Function, values: list[Any]) -> Any:
        for value in values:
            if function.is_deep and not isinstance(value, str):
                self._measure(node.pos, value)
            else:
                self._charge(node.pos, limits.cost(value))
        if function.is_metered:
            values = [lambda steps: self._charge(node.pos, steps), *values]
        try:
            result = function.call(*values) if function.call else self._now()
        except (ArithmeticError, FunctionFailed, ValueError) as error:
            self._fail(node.pos, f"error calling {node.name}: {error}")
        self._charge(node.pos, 1 + limits.cost(result))
        if isinstance(result, str) and len(result) > limits.LONGEST_TEXT:
            self._fail(
                node.pos, f"error calling {node.name}: more than {limits.LONGEST_TEXT} characters"
            )
        return result

    def _check_count(self, function: Function, node: nodes.Function, count: int) -> None:
        wanted = len(function.parameters)
        if count == wanted or (function.rest and count > wanted):
            return
        at_least = "at least " if function.rest else ""
        self._fail(
            node.pos,
            f"wrong number of args for {node.name}: want {at_least}{wanted} got {count}",
        )

    def _and_or(
        self, dot: Any, args: tuple[nodes.Operand, ...], final: Any, *, stops_at: bool
    ) -> Any:
        """Give the first operand that decides, or the last; what follows is not evaluated."""
        value: Any = None
        for arg in args:
            value = self._argument(dot, arg, "v")
            if bool(value) is stops_at:
                return value
        return value if final is _NOTHING else final

    def _argument(self, dot: Any, node: nodes.Operand, kind: str) -> Any:
        if isinstance(node, nodes.String | nodes.Bool | nodes.Number):
            return self._constant(node, kind)
        if isinstance(node, nodes.Nil) and kind not in "avm":
            self._fail(node.pos, f"cannot assign nil to {TYPE_NAMES[kind]}")
        return self._typed(node.pos, self._operand(dot, node), kind)

    def _constant(self, node: nodes.String | nodes.Bool | nodes.Number, kind: str) -> Any:
        """Give a constant as a parameter wants it: 3.0 is an integer, too."""
        value: Any = node.value
        if kind in "av" or _fits(value, kind):
            return value
        if kind == "i" and isinstance(node, nodes.Number) and node.whole is not None:
            return node.whole
        raise self._error(node.pos, f"expected {TYPE_NAMES[kind]}; found {plain(value)[:40]!r}")

    def _typed(self, pos: int, value: Any, kind: str) -> Any:
        if value is None or value is MISSING:
            if kind in "av":
                return None
            if kind == "m":
                return {}
            self._fail(pos, f"invalid value; expected {TYPE_NAMES[kind]}")
        if kind in "av" or _fits(value, kind):
            return value
        raise self._error(
            pos, f"wrong type for value; expected {TYPE_NAMES[kind]}; got {type_of(value)}"
        )


def _fits(value: Any, kind: str) -> bool:
    if kind == "s":
        return isinstance(value, str)
    if kind == "b":
        return isinstance(value, bool)
    if kind == "m":
        return isinstance(value, Mapping)
    return isinstance(value, int) and not isinstance(value, bool)


def _children(value: Any) -> Sequence[Any]:
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, Mapping):
        return (*value, *value.values())
    return tuple(value.fields.values()) if isinstance(value, Record) else ()

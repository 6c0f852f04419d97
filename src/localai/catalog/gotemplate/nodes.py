"""What a parsed template is made of. Every node knows its position in the source."""

from __future__ import annotations

from dataclasses import dataclass

# --- operands: what a command is made of


@dataclass(frozen=True, slots=True)
class Dot:
    """`.`: the value that `range` and `with` set."""

    pos: int


@dataclass(frozen=True, slots=True)
class Nil:
    """`nil`: only an argument, never a command."""

    pos: int


@dataclass(frozen=True, slots=True)
class Bool:
    """`true` or `false`."""

    pos: int
    value: bool


@dataclass(frozen=True, slots=True)
class Number:
    """A constant without a type; `whole` is its value as an integer, if it is one.

    `value` is what it becomes where any type will do: a float if it is written like one.
    """

    pos: int
    text: str
    value: int | float
    whole: int | None


@dataclass(frozen=True, slots=True)
class String:
    """A string in quotes or back quotes."""

    pos: int
    value: str


@dataclass(frozen=True, slots=True)
class Field:
    """`.a.b.c`."""

    pos: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x.a.b`; the name keeps its dollar sign."""

    pos: int
    name: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function."""

    pos: int
    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of something else: `(pipeline).a.b`."""

    pos: int
    base: Operand
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """An operand and its arguments."""

    pos: int
    args: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands joined by `|`, whose value may go to variables; `assigns` tells `=` from `:=`."""

    pos: int
    variables: tuple[str, ...]
    assigns: bool
    commands: tuple[Command, ...]


Operand = Dot | Nil | Bool | Number | String | Field | Variable | Function | Chain | Pipe

# --- statements


@dataclass(frozen=True, slots=True)
class Text:
    """Text between actions."""

    pos: int
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """A pipeline whose value is printed, unless it goes to variables."""

    pos: int
    pipe: Pipe


@dataclass(frozen=True, slots=True)
class If:
    """`if`; an `else if` is an If inside `otherwise`."""

    pos: int
    pipe: Pipe
    body: Body
    otherwise: Body


@dataclass(frozen=True, slots=True)
class With:
    """`with`: as `if`, and dot is the value."""

    pos: int
    pipe: Pipe
    body: Body
    otherwise: Body


@dataclass(frozen=True, slots=True)
class Range:
    """`range`: the body once for each element, or `otherwise` if there is none."""

    pos: int
    pipe: Pipe
    body: Body
    otherwise: Body


@dataclass(frozen=True, slots=True)
class Call:
    """`template "name" pipeline`; `block` is this and a definition."""

    pos: int
    name: str
    pipe: Pipe | None


@dataclass(frozen=True, slots=True)
class Break:
    """`break`."""

    pos: int


@dataclass(frozen=True, slots=True)
class Continue:
    """`continue`."""

    pos: int


Statement = Text | Action | If | With | Range | Call | Break | Continue
Body = tuple[Statement, ...]

"""Every function that a template may call: Go's own, and those of sprig that make sense here.

Left out are sprig's functions that read the environment, the network or randomness, and those that
make keys: a prompt has no use for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from localai.catalog.gotemplate import (
    core_functions,
    data_functions,
    number_functions,
    pattern_functions,
    text_functions,
    time_functions,
)
from localai.catalog.gotemplate.values import Table

TYPE_NAMES: Final = {
    "s": "string",
    "i": "int",
    "b": "bool",
    "m": "map[string]interface {}",
    "a": "interface {}",
    "v": "reflect.Value",
}

# They look at everything inside a value, so its size and depth are measured first.
_DEEP: Final = frozenset(
    {
        *("cat", "html", "join", "js", "print", "printf", "println", "quote", "sortAlpha"),
        *("squote", "toString", "toStrings", "urlquery"),
        *("mustToJson", "mustToPrettyJson", "mustToRawJson"),
        *("toJson", "toPrettyJson", "toRawJson"),
        *("deepCopy", "deepEqual", "has", "merge", "mergeOverwrite", "uniq", "without"),
        *("dict", "dig"),  # their keys become texts
    }
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of templates: the kind of each parameter, as in TYPE_NAMES, and what it does.

    `rest` is the kind of any further arguments, empty if none are taken. `call` is None for what
    the evaluator does itself. `is_deep` functions look at everything inside their arguments;
    `is_metered` ones take what charges for steps as their first argument.
    """

    name: str
    parameters: str
    rest: str
    call: Callable[..., Any] | None
    is_deep: bool
    is_metered: bool


def _function(name: str, signature: str, call: Callable[..., Any] | None) -> Function:
    kinds = signature.split()
    rest = kinds.pop()[0] if kinds and kinds[-1].endswith("*") else ""
    is_metered = name in pattern_functions.FUNCTIONS
    return Function(name, "".join(kinds), rest, call, name in _DEEP, is_metered)


def _all() -> dict[str, Function]:
    table: Table = {
        **core_functions.FUNCTIONS,
        **data_functions.FUNCTIONS,
        **number_functions.FUNCTIONS,
        **pattern_functions.FUNCTIONS,
        **text_functions.FUNCTIONS,
        **time_functions.FUNCTIONS,
    }
    found = {name: _function(name, *entry) for name, entry in table.items()}
    # sprig's must-functions fail where the others give nothing; here these fail in the same way
    for name in (
        *("append", "chunk", "compact", "first", "has", "initial", "last", "prepend", "push"),
        *("rest", "reverse", "uniq", "without"),
    ):
        found["must" + name.capitalize()] = found[name]
    return found


FUNCTIONS: Final[Mapping[str, Function]] = _all()

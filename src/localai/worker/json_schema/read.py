"""From a schema to a tree of nodes. What the tree cannot say is a SchemaProblem."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from localai.worker.json_schema import facts as fact
from localai.worker.json_schema.apart import exclusive
from localai.worker.json_schema.containers import read_array, read_object
from localai.worker.json_schema.facts import OF_TYPE, Document, Facts, Located, Said
from localai.worker.json_schema.nodes import (
    TYPES,
    Anything,
    Key,
    Node,
    Nothing,
    Reference,
    Union,
    Values,
    type_of,
)
from localai.worker.json_schema.problems import SchemaProblem, wrong
from localai.worker.json_schema.scalars import accepts, read_number, read_string

_MOST_NODES: Final = 6_000
_EVERY_TYPE: Final = frozenset(TYPES) - {"integer"}


@dataclass(frozen=True, slots=True)
class Tree:
    """A schema as nodes; `targets` are what its references lead to."""

    root: Node
    targets: Mapping[Key, Node]


def read_schema(schema: Any) -> Tree:
    """Read a schema whose numbers are int and Decimal. Raises SchemaProblem."""
    reader = _Reader(Document(schema))
    root = reader.node((Located(schema, ""),))
    return Tree(root, reader.targets)


class _Reader:
    """Reads one document."""

    def __init__(self, document: Document) -> None:
        self.targets: dict[Key, Node] = {}
        self._document = document
        self._nodes = 0

    def node(self, schemas: Sequence[Located]) -> Node:
        """The node of schemas that hold together."""
        apart = {item.pointer: item for item in schemas if item.schema is not True}
        together = tuple(apart.values())
        if not together:
            return Anything()
        if not any(self._document.is_reference(item.schema) for item in together):
            return self._read(together)
        key = tuple(apart)
        if key not in self.targets:
            self.targets[key] = Nothing(key[0])  # it stays so if it leads to nothing but itself
            self.targets[key] = self._read(together)
        found = self.targets[key]
        return found if isinstance(found, Anything) else Reference(key)

    def _read(self, schemas: tuple[Located, ...]) -> Node:
        facts = self._document.facts(schemas)
        return self._solve(facts, facts.groups)

    def _solve(self, facts: Facts, groups: list[tuple[str, str, list[Located]]]) -> Node:
        """Choose one alternative of each group; what is said besides holds for all of them."""
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise SchemaProblem("", "it has too many alternatives that combine, or is too large")
        if facts.nothing is not None:
            return Nothing(facts.nothing)
        if not groups:
            return self._build(facts)
        (keyword, place, options), rest = groups[0], groups[1:]
        found = []
        for option in options:
            if not facts.said and not rest:
                found.append(self.node((option,)))
            else:
                more = self._document.facts((option,))
                found.append(self._solve(facts.joined(more), [*more.groups, *rest]))
        living: list[Node] = [node for node in found if not isinstance(node, Nothing)]
        if keyword == "oneOf" and len(living) > 1:
            self._check_types(facts, options)
            living = exclusive(living, self.targets, place)
        return _union(living, place)

    def _check_types(self, facts: Facts, options: list[Located]) -> None:
        """Refuse an alternative of `oneOf` that says no type: it allows values of all others."""
        for option in options:
            both = facts.joined(self._document.facts((option,)))
            groups = self._document.facts((option,)).groups
            if not groups and not both.has_any(("type", "enum", "const")):
                raise SchemaProblem(
                    option.pointer,
                    "it says no type, so it may hold beside another alternative of oneOf",
                    hint="Add its `type`.",
                )

    def _build(self, facts: Facts) -> Node:
        _refuse_conditions(facts)
        types = _types(facts)
        if types is not None and not types:
            said = [*facts.get("type"), *facts.get("not")]
            return Nothing(said[0].pointer)
        if facts.has_any(("enum", "const")):
            return _values(facts, types)
        if types is None:
            implied = frozenset(name for name, words in OF_TYPE.items() if facts.has_any(words))
            if not implied:
                return Anything()
            types = implied
        return _union([self._of_type(name, facts) for name in TYPES if name in types], "")

    def _of_type(self, name: str, facts: Facts) -> Node:
        match name:
            case "object":
                return read_object(facts, self.node)
            case "array":
                return read_array(facts, self.node)
            case "string":
                return read_string(facts)
            case "boolean":
                return Values((True, False))
            case "null":
                return Values((None,))
            case _:
                return read_number(facts, is_whole=name == "integer")


def _union(options: list[Node], place: str) -> Node:
    """One of several nodes, in as few nodes as it takes."""
    flat: list[Node] = []
    nothing = Nothing(place)
    for option in options:
        if isinstance(option, Nothing):
            nothing = option
        else:
            flat += option.options if isinstance(option, Union) else (option,)
    if any(isinstance(option, Anything) for option in flat):
        return Anything()
    if not flat:
        return nothing
    return flat[0] if len(flat) == 1 else Union(tuple(flat))


def _refuse_conditions(facts: Facts) -> None:
    for said in facts.get("if"):
        if facts.has_any(("then", "else")):
            raise SchemaProblem(
                said.pointer,
                "a grammar cannot say what follows from a condition",
                hint="Write the cases as alternatives of anyOf.",
            )


def _types(facts: Facts) -> frozenset[str] | None:
    """The types that are allowed; None when nothing is said of them."""
    allowed: frozenset[str] | None = None
    for said in facts.get("type"):
        asked = fact.types(said)
        if "number" in asked:
            asked |= {"integer"}
        allowed = asked if allowed is None else allowed & asked
    for said in facts.get("not"):
        allowed = _not(said, _EVERY_TYPE | {"integer"} if allowed is None else allowed, facts)
    if allowed is not None and "number" in allowed:
        allowed -= {"integer"}
    return allowed


def _not(said: Said, allowed: frozenset[str], facts: Facts) -> frozenset[str]:
    """Take types away; nothing else that `not` may hold can be said, but for excluded values."""
    schema = said.value
    if isinstance(schema, dict) and set(schema) == {"type"}:
        taken = fact.types(Said(schema["type"], f"{said.pointer}/type"))
        if taken != {"integer"} or "number" not in allowed:
            return allowed - taken - ({"integer"} if "number" in taken else set())
    is_of_values = isinstance(schema, dict) and set(schema) in ({"enum"}, {"const"})
    if is_of_values and facts.has_any(("enum", "const")):
        return allowed  # `_values` leaves them out
    raise SchemaProblem(
        said.pointer,
        "a grammar cannot say what something is not",
        hint="Say what it is instead.",
    )


def _values(facts: Facts, types: frozenset[str] | None) -> Node:
    """The values that are listed, but for those that another keyword rules out."""
    said = [*facts.get("const"), *facts.get("enum")]
    kept = {_canonical(value): value for value in _listed(said[0])}
    for item in said[1:]:
        also = set(map(_canonical, _listed(item)))
        kept = {key: value for key, value in kept.items() if key in also}
    for value in _banned(facts):
        kept.pop(_canonical(value), None)
    allowed = tuple(
        value
        for value in kept.values()
        if _is_of_type(value, types) and accepts(facts, value, said[0].pointer)
    )
    return Values(allowed) if allowed else Nothing(said[0].pointer)


def _banned(facts: Facts) -> Iterator[Any]:
    """The values that `not` lists."""
    for item in facts.get("not"):
        schema = item.value if isinstance(item.value, dict) else {}
        for keyword in ("enum", "const"):
            if keyword in schema:
                yield from _listed(Said(schema[keyword], f"{item.pointer}/{keyword}"))


def _is_of_type(value: Any, types: frozenset[str] | None) -> bool:
    kind = type_of(value)
    return types is None or kind in types or (kind == "integer" and "number" in types)


def _listed(said: Said) -> list[Any]:
    if said.pointer.endswith("/const"):
        return [said.value]
    if not isinstance(said.value, list) or not said.value:
        raise wrong(said.pointer, "a list of at least one value is needed")
    return said.value


def _canonical(value: Any) -> str:
    """A text that equal JSON values have in common: 1 and 1.0, but not 1 and true."""
    match value:
        case Decimal() if value == value.to_integral_value():
            return str(int(value))
        case Decimal():
            return str(value.normalize())
        case list():
            return f"[{','.join(map(_canonical, value))}]"
        case dict():
            pairs = (f"{json.dumps(key)}:{_canonical(item)}" for key, item in sorted(value.items()))
            return f"{{{','.join(pairs)}}}"
        case _:
            return json.dumps(value)

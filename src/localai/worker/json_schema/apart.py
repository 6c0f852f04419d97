"""Whether the alternatives of a `oneOf` exclude each other, so that never two of them hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from typing import Any, Final

from localai.worker.json_schema.nodes import (
    Anything,
    Array,
    Choice,
    Key,
    Node,
    Nothing,
    Number,
    Object,
    Reference,
    String,
    Union,
    Values,
    type_of,
)
from localai.worker.json_schema.problems import SchemaProblem
from localai.worker.json_schema.scalars import is_number_of, is_text_of

_DEEPEST: Final = 8

Targets = Mapping[Key, Node]


def exclusive(options: Sequence[Node], targets: Targets, place: str) -> list[Node]:
    """Alternatives of which never two hold for what is made by one of them.

    Where a property tells objects apart, it becomes required. Raises SchemaProblem when it is not
    known how to tell them apart.
    """
    for found in (list(options), _told_apart(options, targets)):
        overlaps = [
            (one, other)
            for one, other in permutations(range(len(found)), 2)
            if not _apart(found[one], options[other], targets)
        ]
        if not overlaps:
            return found
    first, second = overlaps[0]
    raise SchemaProblem(
        place,
        f"its alternatives {first} and {second} may hold for the same value, which oneOf forbids",
        hint="Use anyOf, or give each alternative a required property with a `const` of its own.",
    )


def _told_apart(options: Sequence[Node], targets: Targets) -> list[Node]:
    """The objects among the options, with every property required that tells two of them apart."""
    objects = {
        i: node
        for i, option in enumerate(options)
        if isinstance(node := _led_to(option, targets), Object)
    }
    telling = {
        name
        for one, other in permutations(objects.values(), 2)
        for name in one.properties.keys() & other.properties.keys()
        if _apart(one.properties[name], other.properties[name], targets)
    }
    return [
        replace(objects[i], required=objects[i].required | (telling & objects[i].properties.keys()))
        if i in objects
        else option
        for i, option in enumerate(options)
    ]


def _led_to(node: Node, targets: Targets) -> Node:
    for _ in range(_DEEPEST):
        if not isinstance(node, Reference):
            break
        node = targets[node.key]
    return node


def _apart(made: Node, other: Node, targets: Targets, depth: int = 0) -> bool:
    """Whether no value that `made` makes is one that `other` allows, as far as is known."""
    made, other = _led_to(made, targets), _led_to(other, targets)
    if depth > _DEEPEST or isinstance(other, Anything | Reference) or isinstance(made, Reference):
        return False
    match made, other:
        case (Nothing(), _) | (_, Nothing()):
            return True
        case (Anything(), _):
            return False
        case (Union(), _):
            return all(_apart(option, other, targets, depth + 1) for option in made.options)
        case (_, Union()):
            return all(_apart(made, option, targets, depth + 1) for option in other.options)
        case (Values(), _):
            return not any(_allows(other, value, targets, depth + 1) for value in made.values)
        case (_, Values()):
            return _kinds(made).isdisjoint(map(type_of, other.values))
        case (Object(), Object()):
            return _objects_apart(made, other, targets, depth)
        case (Number(), Number()):
            return _numbers_apart(made, other)
        case _:
            return _kinds(made).isdisjoint(_kinds(other))


def _kinds(node: Node) -> frozenset[str]:
    match node:
        case Object():
            return frozenset({"object"})
        case Array() | Choice():
            return frozenset({"array"})
        case String():
            return frozenset({"string"})
        case Number():
            return frozenset({"number", "integer"})
        case Values():
            return frozenset(map(type_of, node.values))
        case _:
            return frozenset()


def _objects_apart(made: Object, other: Object, targets: Targets, depth: int) -> bool:
    if made.others is None and not other.required <= made.properties.keys():
        return True
    if other.is_closed and not made.required <= other.properties.keys():
        return True
    return any(
        name in other.properties
        and _apart(made.properties[name], other.properties[name], targets, depth + 1)
        for name in made.required & made.properties.keys()
    )


def _numbers_apart(made: Number, other: Number) -> bool:
    for low, high in ((made, other), (other, made)):
        if low.high is not None and high.low is not None:
            touches = low.high == high.low and not (low.excludes_high or high.excludes_low)
            if low.high < high.low or (low.high == high.low and not touches):
                return True
    return False


def _allows(node: Node, value: Any, targets: Targets, depth: int) -> bool:
    """Whether a node may allow a value; True where that is not known."""
    node = _led_to(node, targets)
    if depth > _DEEPEST:
        return True
    kind = type_of(value)
    match node:
        case Nothing():
            return False
        case Values():
            return any(one == value and type_of(one) == kind for one in node.values)
        case Union():
            return any(_allows(option, value, targets, depth + 1) for option in node.options)
        case String():
            return kind == "string" and (not node.is_exact or is_text_of(node, value))
        case Number():
            return kind in {"number", "integer"} and is_number_of(node, Decimal(value))
        case Object():
            return kind == "object" and all(
                name in value
                and _allows(node.properties.get(name, Anything()), value[name], targets, depth + 1)
                for name in node.required
            )
        case Array() | Choice():
            return kind == "array"
        case _:
            return True

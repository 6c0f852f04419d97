"""What keywords say together: the schemas of `allOf` and `$ref` are one with those around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from localai.worker.json_schema.nodes import TYPES
from localai.worker.json_schema.problems import SchemaProblem, below, wrong


class Located(NamedTuple):
    """A schema and where it stands."""

    schema: Any
    pointer: str


class Said(NamedTuple):
    """The value of a keyword, and where it stands."""

    value: Any
    pointer: str


OF_TYPE: Final = {
    "object": [
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
        "unevaluatedProperties",
    ],
    "array": [
        "items",
        "prefixItems",
        "additionalItems",
        "minItems",
        "maxItems",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "unevaluatedItems",
    ],
    "string": ["minLength", "maxLength", "pattern", "format"],
    "number": ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
}
_EVERYWHERE: Final = ["type", "enum", "const", "not", "if", "then", "else"]
KEYWORDS: Final = frozenset(_EVERYWHERE).union(*OF_TYPE.values())
"""Every keyword that can change validity, but for those that lead to other schemas."""

_UNKNOWN_REFERENCES: Final = ("$dynamicRef", "$recursiveRef")


@dataclass(slots=True)
class Facts:
    """The keywords of schemas that hold together, each as often as it is said.

    `groups` are their `anyOf` and `oneOf`: the keyword, its place and the alternatives.
    """

    said: dict[str, list[Said]] = field(default_factory=dict)
    groups: list[tuple[str, str, list[Located]]] = field(default_factory=list)
    nothing: str | None = None  # the pointer of a schema `false`

    def get(self, keyword: str) -> list[Said]:
        """Everything that is said under `keyword`."""
        return self.said.get(keyword, [])

    def has_any(self, keywords: Iterable[str]) -> bool:
        """Whether anything is said under these."""
        return any(self.said.get(keyword) for keyword in keywords)

    def joined(self, other: Facts) -> Facts:
        """What both say, without their groups."""
        said = {keyword: list(items) for keyword, items in self.said.items()}
        for keyword, items in other.said.items():
            said[keyword] = [*said.get(keyword, []), *items]
        return Facts(said=said, nothing=self.nothing or other.nothing)


class Document:
    """One schema with everything that its references can lead to."""

    def __init__(self, root: Any) -> None:
        self.root = root

    def facts(self, schemas: tuple[Located, ...]) -> Facts:
        """What `schemas` say together. Raises SchemaProblem."""
        facts = Facts()
        waiting, seen = list(schemas), set[str]()
        while waiting:
            schema, pointer = waiting.pop(0)
            if pointer in seen or schema is True:
                continue
            seen.add(pointer)
            if schema is False:
                facts.nothing = facts.nothing or pointer
                continue
            if not isinstance(schema, dict):
                raise wrong(pointer, "a schema is an object, true or false")
            waiting += self._spread(schema, pointer, facts)
        return facts

    def is_reference(self, schema: Any) -> bool:
        """Whether a schema leads to another."""
        return isinstance(schema, dict) and "$ref" in schema

    def _spread(self, schema: dict[str, Any], pointer: str, facts: Facts) -> Iterator[Located]:
        """Collect a schema's keywords, and give the schemas that hold together with it."""
        for keyword, value in schema.items():
            place = below(pointer, keyword)
            if keyword == "$ref":
                yield self._target(value, place)
            elif keyword == "allOf":
                yield from self._list(value, place)
            elif keyword in ("anyOf", "oneOf"):
                facts.groups.append((keyword, place, self._list(value, place)))
            elif keyword in _UNKNOWN_REFERENCES:
                raise SchemaProblem(place, "such references are not known here", hint="Use $ref.")
            elif keyword in KEYWORDS:
                facts.said.setdefault(keyword, []).append(Said(value, place))
            # everything else cannot change what is valid (JSON Schema Core §6.5)

    @staticmethod
    def _list(value: Any, place: str) -> list[Located]:
        if not isinstance(value, list) or not value:
            raise wrong(place, "a list of at least one schema is needed")
        return [Located(schema, below(place, i)) for i, schema in enumerate(value)]

    def _target(self, reference: Any, place: str) -> Located:
        if not isinstance(reference, str):
            raise wrong(place, "a reference is a text")
        head, _, path = reference.partition("#")
        if head or (path and not path.startswith("/")):
            raise SchemaProblem(
                place,
                f"{reference[:80]!r} leads out of this schema, or to a name in it",
                hint="Refer to a place in it, as in #/$defs/name.",
            )
        found: Any = self.root
        pointer = ""
        for part in unquote(path).split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdecimal() and int(name[:9]) < len(found):
                found = found[int(name)]
            else:
                raise wrong(place, f"{reference[:80]!r} leads to nothing in this schema")
            pointer = below(pointer, name)
        return Located(found, pointer)


# ---- readers of single values


def count(said: Said) -> int:
    """A length or number of items."""
    value = said.value
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise wrong(said.pointer, f"a whole number from 0 on is needed, not {shown(value)}")
    return value


def number(said: Said) -> Decimal:
    """A number."""
    if not isinstance(said.value, int | Decimal) or isinstance(said.value, bool):
        raise wrong(said.pointer, f"a number is needed, not {shown(said.value)}")
    return Decimal(said.value)


def mapping(said: Said) -> dict[str, Any]:
    """A mapping of names to something."""
    if not isinstance(said.value, dict):
        raise wrong(said.pointer, "an object is needed")
    return said.value


def names(said: Said) -> list[str]:
    """A list of names."""
    if not isinstance(said.value, list) or not all(isinstance(name, str) for name in said.value):
        raise wrong(said.pointer, "a list of names is needed")
    return said.value


def types(said: Said) -> frozenset[str]:
    """The types that are allowed."""
    listed = said.value if isinstance(said.value, list) else [said.value]
    for name in listed:
        if name not in TYPES:
            raise wrong(said.pointer, f"{shown(name)} is no type; there are {', '.join(TYPES)}")
    if not listed:
        raise wrong(said.pointer, "a list of at least one type is needed")
    return frozenset(listed)


def shown(value: Any) -> str:
    """A value, short enough for a message."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line of text

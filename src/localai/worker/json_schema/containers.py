"""Objects and lists of a schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from localai.worker.json_schema import facts as fact
from localai.worker.json_schema.facts import Facts, Located, Said
from localai.worker.json_schema.nodes import (
    Anything,
    Array,
    Choice,
    Node,
    Nothing,
    Object,
    String,
    Values,
)
from localai.worker.json_schema.problems import SchemaProblem, below, wrong
from localai.worker.json_schema.regex import Regex, matches
from localai.worker.json_schema.scalars import bounds, is_text_of, name_pattern

NodeOf = Callable[[Sequence[Located]], Node]

_MOST_UNIQUE = 64  # values that can be listed once each


@dataclass(slots=True)
class _Part:
    """What one of the schemas that hold together says of an object or a list."""

    properties: dict[str, Located] = field(default_factory=dict)
    patterns: list[tuple[Regex, Located]] = field(default_factory=list)
    others: Located | None = None
    head: list[Located] = field(default_factory=list)
    rest: Located | None = None

    def speaks_of(self, name: str) -> bool:
        """Whether its `additionalProperties` are not about this name."""
        return name in self.properties or any(matches(regex, name) for regex, _ in self.patterns)


def _parts(facts: Facts, keywords: Sequence[str]) -> dict[str, _Part]:
    """An empty part for each schema that says one of `keywords`, by its pointer."""
    said = [item for keyword in keywords for item in facts.get(keyword)]
    return {_parent(item): _Part() for item in said}


def _parent(said: Said) -> str:
    return said.pointer.rpartition("/")[0]


# ---- objects


def read_object(facts: Facts, node: NodeOf) -> Node:
    """What is said of objects."""
    parts = _object_parts(facts)
    names = dict.fromkeys(name for part in parts.values() for name in part.properties)
    required = dict.fromkeys(name for said in facts.get("required") for name in _required(said))
    allowed = [Located(said.value, said.pointer) for said in facts.get("propertyNames")]
    form = node(allowed) if allowed else String()
    properties: dict[str, Node] = {}
    for name in (*names, *(name for name in required if name not in names)):
        value = (
            node(_schemas_of(name, parts))
            if _is_name(name, form, allowed)
            else Nothing(allowed[0].pointer)
        )
        if not isinstance(value, Nothing):
            properties[name] = value
        elif name in required:
            return value
    others, form = _others(parts, form, facts, node)
    is_closed = any(
        part.others is not None and part.others.schema is False for part in parts.values()
    )
    made = Object(
        properties=properties,
        required=frozenset(required),
        others=others,
        names=form,
        is_closed=is_closed,
    )
    _refuse_dependencies(facts, made)
    return _counted(made, facts)


def _object_parts(facts: Facts) -> dict[str, _Part]:
    parts = _parts(facts, ("properties", "additionalProperties", "patternProperties"))
    for said in facts.get("properties"):
        parts[_parent(said)].properties = {
            name: Located(schema, below(said.pointer, name))
            for name, schema in fact.mapping(said).items()
        }
    for said in facts.get("patternProperties"):
        parts[_parent(said)].patterns = [
            (
                name_pattern(Said(source, below(said.pointer, source))),
                Located(schema, below(said.pointer, source)),
            )
            for source, schema in fact.mapping(said).items()
        ]
    for said in facts.get("additionalProperties"):
        parts[_parent(said)].others = Located(said.value, said.pointer)
    return parts


def _required(said: Said) -> list[str]:
    if isinstance(said.value, bool):
        raise wrong(said.pointer, "a list of names is needed, beside `properties`")
    return fact.names(said)


def _schemas_of(name: str, parts: dict[str, _Part]) -> list[Located]:
    """Everything that holds for the value under a name."""
    found = []
    for part in parts.values():
        if name in part.properties:
            found.append(part.properties[name])
        found += [schema for regex, schema in part.patterns if matches(regex, name)]
        if part.others is not None and not part.speaks_of(name):
            found.append(part.others)
    return found


def _is_name(name: str, form: Node, allowed: list[Located]) -> bool:
    match form:
        case String():
            return is_text_of(form, name)
        case Values():
            return name in form.values
        case Anything():
            return True
        case _:
            raise SchemaProblem(
                allowed[0].pointer,
                "names can only have a pattern, a length, or be listed",
                hint="Name the properties in `properties`.",
            )


def _others(
    parts: dict[str, _Part], form: Node, facts: Facts, node: NodeOf
) -> tuple[Node | None, Node]:
    """What may stand under further names, None if nothing, and the form of those names."""
    said = [part.others for part in parts.values() if part.others is not None]
    patterns = [pattern for part in parts.values() for pattern in part.patterns]
    names = [name for part in parts.values() for name in part.properties]
    unevaluated = facts.get("unevaluatedProperties")
    if not isinstance(form, String | Values):
        form = String()
    if any(schema.schema is False for schema in said) and not patterns:
        return None, form
    if patterns:
        return _of_pattern(parts, patterns, names, form, node)
    if said:
        if names and (form != String()):
            return None, form  # names of that form are not known to differ from the others
        value = node(said)
        return (None if isinstance(value, Nothing) else value), form
    if names:
        return None, form
    for item in unevaluated:
        if item.value is not True:
            value = node([Located(item.value, item.pointer)])
            return (None if isinstance(value, Nothing) else value), form
    return Anything(), form


def _of_pattern(
    parts: dict[str, _Part],
    patterns: list[tuple[Regex, Located]],
    names: list[str],
    form: Node,
    node: NodeOf,
) -> tuple[Node | None, Node]:
    """Further names of a pattern: only where it is one, and the listed names are none of it."""
    regex, schema = patterns[0]
    if len(patterns) > 1 or form != String() or any(matches(regex, name) for name in names):
        if names:
            return None, form
        raise SchemaProblem(
            patterns[-1][1].pointer,
            "a grammar cannot tell names of several patterns apart",
            hint="Name the properties in `properties`, or keep one pattern.",
        )
    others = [
        part.others for part in parts.values() if part.others is not None and not part.patterns
    ]
    value = node([schema, *others])
    return (None if isinstance(value, Nothing) else value), String(pattern=regex)


def _refuse_dependencies(facts: Facts, made: Object) -> None:
    for keyword in ("dependentRequired", "dependentSchemas", "dependencies"):
        for said in facts.get(keyword):
            for name, needed in fact.mapping(said).items():
                is_met = isinstance(needed, list) and made.required.issuperset(needed)
                if is_met or (name not in made.properties and made.others is None):
                    continue
                raise SchemaProblem(
                    below(said.pointer, name),
                    "a grammar cannot say what one property asks of others",
                    hint="Require them always, or write the cases as alternatives of anyOf.",
                )


def _counted(made: Object, facts: Facts) -> Node:
    """With limits to the number of properties, where they say something."""
    least, most = bounds(facts, "minProperties", "maxProperties")
    declared = len(made.properties)
    if most is not None and (most < least or most < len(made.required)):
        return Nothing(facts.get("maxProperties")[0].pointer)
    if most is not None and made.others is None and most >= declared:
        most = None
    if least <= len(made.required):
        least = 0
    if least > declared and (made.others is None or least > declared + 1):
        pointer = facts.get("minProperties")[0].pointer
        if made.others is None and made.is_closed:
            return Nothing(pointer)
        raise SchemaProblem(
            pointer,
            f"a grammar cannot count properties with free names; {declared} are listed",
            hint="List more names in `properties`, or leave the number out.",
        )
    return Object(
        properties=made.properties,
        required=made.required,
        others=made.others,
        names=made.names,
        least=least,
        most=most,
        is_closed=made.is_closed,
    )


# ---- lists


def read_array(facts: Facts, node: NodeOf) -> Node:
    """What is said of lists."""
    least, most = bounds(facts, "minItems", "maxItems")
    if most is not None and least > most:
        return Nothing(facts.get("maxItems")[0].pointer)
    _refuse_contains(facts)
    parts = list(_array_parts(facts).values())
    rest_said = [part.rest for part in parts if part.rest is not None]
    rest = node(rest_said)
    head: list[Node] = []
    for place in range(max((len(part.head) for part in parts), default=0)):
        at = [part.head[place] if place < len(part.head) else part.rest for part in parts]
        head.append(node([schema for schema in at if schema is not None]))
    ends = [i for i, item in enumerate(head) if isinstance(item, Nothing)]
    if ends or (most is not None and most < len(head)):
        head = head[: min([*ends, len(head) if most is None else most])]
        rest = Nothing(_first_pointer(facts))
    if head and not rest_said and least <= len(head):
        most = len(head)  # further items are allowed, and nothing is said of them
    if isinstance(rest, Nothing):
        if least > len(head):
            return rest
        most = len(head)
    made = Array(
        head=tuple(head),
        rest=rest,
        least=max(0, least - len(head)),
        most=None if most is None else most - len(head),
    )
    return _unique(made, facts)


def _array_parts(facts: Facts) -> dict[str, _Part]:
    parts = _parts(facts, ("prefixItems", "items", "additionalItems"))
    for said in facts.get("prefixItems"):
        parts[_parent(said)].head = _listed(said)
    for said in facts.get("items"):
        if isinstance(said.value, list):  # until draft 2019-09
            parts[_parent(said)].head = _listed(said)
        else:
            parts[_parent(said)].rest = Located(said.value, said.pointer)
    for said in facts.get("additionalItems"):
        part = parts[_parent(said)]
        if part.head and part.rest is None:
            part.rest = Located(said.value, said.pointer)
    return parts


def _listed(said: Said) -> list[Located]:
    if not isinstance(said.value, list):
        raise wrong(said.pointer, "a list of schemas is needed")
    return [Located(schema, below(said.pointer, i)) for i, schema in enumerate(said.value)]


def _first_pointer(facts: Facts) -> str:
    said = [item for keyword in ("items", "prefixItems") for item in facts.get(keyword)]
    return said[0].pointer if said else ""


def _refuse_contains(facts: Facts) -> None:
    least = min((fact.count(said) for said in facts.get("minContains")), default=1)
    for said in facts.get("contains"):
        if least or facts.get("maxContains"):
            raise SchemaProblem(
                said.pointer,
                "a grammar cannot say that some item has a form",
                hint="Put that item first, in `prefixItems`.",
            )
    for said in facts.get("unevaluatedItems"):
        is_said = facts.has_any(("items", "prefixItems"))
        if said.value is not True and not (said.value is False and is_said):
            raise SchemaProblem(
                said.pointer, "a grammar cannot say that", hint="Use `items` for all further items."
            )


def _unique(made: Array, facts: Facts) -> Node:
    said = [item for item in facts.get("uniqueItems") if item.value is True]
    total = None if made.most is None else len(made.head) + made.most
    if not said or total in (0, 1):
        return made
    if made.head or not isinstance(made.rest, Values) or len(made.rest.values) > _MOST_UNIQUE:
        raise SchemaProblem(
            said[0].pointer,
            f"a grammar can keep items apart only if they are at most {_MOST_UNIQUE} listed values",
            hint="List the values with `enum`, or leave it out and remove what comes twice.",
        )
    count = len(made.rest.values)
    if made.least > count:
        return Nothing(said[0].pointer)
    most = count if made.most is None else min(made.most, count)
    return Choice(values=made.rest.values, least=made.least, most=most)

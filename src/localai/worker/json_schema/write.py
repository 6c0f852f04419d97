"""From a tree of nodes to the rules of a grammar."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, assert_never

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
)
from localai.worker.json_schema.numbers import number_expression
from localai.worker.json_schema.problems import SchemaProblem, wrong
from localai.worker.json_schema.read import Tree, read_schema
from localai.worker.json_schema.strings import (
    CHAR,
    CHAR_RULE,
    FORMATS,
    literal,
    repeated,
    text_of_pattern,
)

ROOT: Final = "root"
_LARGEST_GRAMMAR: Final = 1_000_000  # characters
_KEPT_GRAMMARS: Final = 64
_QUOTE: Final = '"\\""'
_WORDS = re.compile(r"[^a-zA-Z0-9]+")
# Between the parts of a value: nothing, a space, or the start of an indented line.
_SPACE: Final = '"" | " " | "\\n" "\\n"? [ \\t]{0,20}'
_VALUE_RULES: Final = {
    "value": "object | array | string | number | boolean | null",
    "object": '"{" ws (string ws ":" ws value (ws "," ws string ws ":" ws value)*)? ws "}"',
    "array": '"[" ws (value (ws "," ws value)*)? ws "]"',
    "string": f"{_QUOTE} {CHAR_RULE}* {_QUOTE}",
    "number": number_expression(Number(), lambda *_: None),
    "boolean": '"true" | "false"',
    "null": '"null"',
    "ws": _SPACE,
    CHAR_RULE: CHAR,
}
_ANY_OBJECT: Final = Object(others=Anything())


@lru_cache(_KEPT_GRAMMARS)
def compile_schema(text: str) -> str:
    """The grammar of a schema that is given as JSON text; its first rule is `root`.

    An empty schema means any object, as for llama.cpp. Raises SchemaProblem.
    """
    try:
        schema = json.loads(text, parse_float=Decimal)
    except RecursionError:
        raise wrong("", "it is nested too deep") from None
    try:
        tree = read_schema(schema) if schema != {} else Tree(_ANY_OBJECT, {})
        rules = Rules()
        rules.set(ROOT, "")  # it stands first
        rules.set(ROOT, Writer(tree, rules).expression("item"))
    except RecursionError:
        raise SchemaProblem("", "it is nested too deep") from None
    return "\n".join(f"{name} ::= {body}" for name, body in rules.bodies.items())


def _finite(tree: Tree) -> frozenset[Key]:
    """The targets of which some value ends, though they may lead to themselves."""
    found: frozenset[Key] = frozenset()
    while True:
        more = {key for key, node in tree.targets.items() if _ends(node, found)} - found
        if not more:
            return found
        found |= more


def _ends(node: Node, finite: frozenset[Key]) -> bool:
    match node:
        case Nothing():
            return False
        case Reference():
            return node.key in finite
        case Union():
            return any(_ends(option, finite) for option in node.options)
        case Array():
            rest = node.least == 0 or _ends(node.rest, finite)
            return rest and all(_ends(item, finite) for item in node.head)
        case Object():
            return all(_ends(node.properties[name], finite) for name in node.required)
        case _:
            return True


def _without_itself(key: Key, targets: Mapping[Key, Node]) -> Node:
    """What a reference leads to, without ways back to it that pass nothing else."""

    def options(node: Node, passed: frozenset[Key]) -> list[Node]:
        match node:
            case Union():
                return [found for option in node.options for found in options(option, passed)]
            case Reference():
                target = targets[node.key]
                if not isinstance(target, Union | Reference):
                    return [node]
                return [] if node.key in passed else options(target, passed | {node.key})
            case _:
                return [node]

    found = options(targets[key], frozenset({key}))
    return found[0] if len(found) == 1 else Union(tuple(found))


class Rules:
    """The rules of a grammar. Rules with the same body are one rule."""

    def __init__(self) -> None:
        self.bodies: dict[str, str] = {}
        self._names: dict[str, str] = {}  # by their bodies
        self._size = 0

    def add(self, hint: str, body: str) -> str:
        """Add a rule, called like `hint` if that name is free; its name."""
        known = self._names.get(body)
        if known is not None:
            return known
        name = self.free(hint)
        self._names[body] = name
        self.set(name, body)
        return name

    def free(self, hint: str) -> str:
        """A name like `hint` that no rule has."""
        base = _WORDS.sub("-", hint).strip("-")[:40] or "item"
        name, number = base, 1
        while name in self.bodies or name in _VALUE_RULES or name == ROOT:
            number += 1
            name = f"{base}-{number}"
        return name

    def set(self, name: str, body: str) -> None:
        """Set the rule of a name. Raises SchemaProblem when there is too much of it all."""
        self._size += len(body)
        if self._size > _LARGEST_GRAMMAR:
            raise SchemaProblem("", "its grammar would be too large", hint="Make it smaller.")
        self.bodies[name] = body

    def known(self, name: str) -> str:
        """The name of one of the rules for any value, which is added with all that it needs."""
        if name not in self.bodies:
            self.bodies[name] = body = _VALUE_RULES[name]
            for word in re.findall(r"[a-z]+", re.sub(r'"(?:[^"\\]|\\.)*"|\[[^]]*\]', "", body)):
                self.known(word)
        return name


class Writer:
    """Writes the rules of one tree; properties named in `order` come first in their objects."""

    def __init__(self, tree: Tree, rules: Rules, order: Sequence[str] = ()) -> None:
        self._tree = tree
        self._rules = rules
        self._order = {name: place for place, name in enumerate(order)}
        self._of_targets: dict[Key, str] = {}
        self._finite = _finite(tree)
        self._hint = ""

    def expression(self, hint: str) -> str:
        """What the tree allows; its rules have names like `hint`. Raises SchemaProblem."""
        root = self._tree.root
        if not self._has_end(root):
            pointer = root.pointer if isinstance(root, Nothing) else ""
            raise wrong(pointer, "nothing can satisfy it")
        self._hint = hint
        return self._node(root, hint)

    # ---- nodes

    def _node(self, node: Node, hint: str) -> str:
        """An expression for the node; the names of its rules begin like `hint`."""
        match node:
            case Anything():
                return self._rules.known("value")
            case Values():
                return _either(literal(_as_json(value)) for value in node.values)
            case Number():
                if node == Number():
                    return self._rules.known("number")
                return self._rules.add(f"{hint}-number", number_expression(node, self._rules.set))
            case String():
                return self._string(node, hint)
            case Array():
                return self._rules.add(hint, self._array(node, hint))
            case Choice():
                return self._rules.add(hint, self._choice(node, hint))
            case Object():
                return self._rules.add(hint, self._object(node, hint))
            case Union():
                return _either(
                    self._node(option, hint) for option in node.options if self._has_end(option)
                )
            case Reference():
                return self._reference(node, hint)
            case Nothing():
                raise wrong(node.pointer, "nothing can satisfy it")
            case _:
                assert_never(node)

    def _reference(self, node: Reference, hint: str) -> str:
        known = self._of_targets.get(node.key)
        if known is None:
            last = node.key[-1].rpartition("/")[2]
            known = self._of_targets[node.key] = self._rules.free(f"{self._hint}-{last or hint}")
            self._rules.bodies[known] = ""  # the name is taken
            self._rules.set(known, self._node(_without_itself(node.key, self._tree.targets), known))
        return known

    def _has_end(self, node: Node) -> bool:
        """Whether any value can be made that ends."""
        return _ends(node, self._finite)

    def _string(self, node: String, hint: str) -> str:
        if node == String(is_exact=node.is_exact):
            return self._rules.known("string")
        if node.pattern is not None:
            body = text_of_pattern(node.pattern, self._rules.add)
        elif node.format is not None:
            body = self._rules.add(node.format, FORMATS[node.format])
        else:
            body = repeated(CHAR_RULE, node.least, node.most, self._rules.add)
        self._rules.known(CHAR_RULE)
        return self._rules.add(f"{hint}-text", f"{_QUOTE} {body} {_QUOTE}")

    # ---- lists

    def _array(self, node: Array, hint: str) -> str:
        self._rules.known("ws")
        comma = '"," ws '
        head = [self._node(item, f"{hint}-{place}") for place, item in enumerate(node.head)]
        most = node.most if self._has_end(node.rest) else 0
        leading = f" ws {comma}".join(head)
        if most == 0:
            return _listed(leading)
        rest = self._rules.add(f"{hint}-item", self._node(node.rest, f"{hint}-item"))
        more = self._rules.add(f"{hint}-more", f"ws {comma}{rest}")
        if head:
            counted = repeated(more, node.least, most, self._rules.add)
            return _listed(f"{leading} {counted}")
        following = repeated(
            more, max(node.least - 1, 0), None if most is None else most - 1, self._rules.add
        )
        items = f"{rest} {following}".strip()
        return _listed(items if node.least else f"({items})?")

    def _choice(self, node: Choice, hint: str) -> str:
        """Some of the values in their order: a rule for each place and number of those before."""
        self._rules.known("ws")
        values = [literal(_as_json(value)) for value in node.values]
        most = len(values) if node.most is None else node.most

        def rest(place: int, count: int) -> str | None:
            """What may follow before value `place`, after `count` values; None if nothing can."""
            if count + len(values) - place < node.least:
                return None
            options = []
            if count < most:
                for later in range(place, len(values)):
                    tail = name(later + 1, count + 1)
                    if tail is not None:
                        comma = 'ws "," ws ' if count else ""
                        options.append(f"{comma}{values[later]} {tail}".strip())
            if not options:
                return "" if count >= node.least else None
            return _maybe(options) if count >= node.least else _either(options)

        known: dict[tuple[int, int], str | None] = {}

        def name(place: int, count: int) -> str | None:
            if (place, count) not in known:
                body = rest(place, count)
                known[place, count] = self._rules.add(f"{hint}-rest", body) if body else body
            return known[place, count]

        return _listed(rest(0, 0) or "")

    # ---- objects

    def _object(self, node: Object, hint: str) -> str:
        self._rules.known("ws")
        pairs = []
        last = len(self._order)
        named = sorted(node.properties.items(), key=lambda item: self._order.get(item[0], last))
        for name, value in named:
            if not self._has_end(value) and name not in node.required:
                continue
            label = f"{hint}-{name}"
            key = literal(json.dumps(name, ensure_ascii=False))
            body = f'{key} ws ":" ws {self._node(value, label)}'
            pairs.append((self._rules.add(f"{label}-pair", body), name in node.required))
        other = self._other(node, hint)
        if node.least == 0 and node.most is None:
            return f'"{{" ws {self._members(pairs, other, hint)} ws "}}"'
        return f'"{{" ws {self._counted(node, pairs, other, hint)} ws "}}"'

    def _other(self, node: Object, hint: str) -> str | None:
        """A pair under a further name; it is none of the listed ones."""
        if node.others is None or not self._has_end(node.others):
            return None
        value = self._node(node.others, f"{hint}-other")
        if isinstance(node.names, String) and node.names == String():
            self._rules.known(CHAR_RULE)
            key = self._rules.add(f"{hint}-name", _other_names(sorted(node.properties)))
        else:
            key = self._node(node.names, f"{hint}-name")
        return self._rules.add(f"{hint}-other-pair", f'{key} ws ":" ws {value}')

    def _members(self, pairs: Sequence[tuple[str, bool]], other: str | None, hint: str) -> str:
        """The pairs in their order, those that are not required left out or not."""
        comma = 'ws "," ws '
        tail = f" ({comma}{other})*" if other else ""
        after = [""] * len(pairs) + [tail]  # what follows pair i, when one stands before
        for place in range(len(pairs) - 1, -1, -1):
            pair, is_required = pairs[place]
            here = f" {comma}{pair}" if is_required else f" ({comma}{pair})?"
            rest = here + after[place + 1]
            is_long = after[place + 1].strip() and place > 0
            after[place] = f" {self._rules.add(f'{hint}-rest', rest.strip())}" if is_long else rest
        options = []
        for place, (pair, is_required) in enumerate(pairs):
            options.append(f"{pair}{after[place + 1]}")
            if is_required:
                return _either(options)
        if other:
            options.append(f"{other}{tail}")
        return _maybe(options) if options else ""

    def _counted(
        self, node: Object, pairs: Sequence[tuple[str, bool]], other: str | None, hint: str
    ) -> str:
        """The pairs with a limit to their number: a rule for each place and number so far."""
        most = node.most if node.most is not None else len(pairs) + 1_000_000
        known: dict[tuple[int, int], str | None] = {}

        def rest(place: int, count: int) -> str | None:
            """What may follow before pair `place`, after `count` pairs; None if nothing can."""
            comma = 'ws "," ws ' if count else ""
            if place == len(pairs):
                return self._others_counted(node, other, count, most)
            pair, is_required = pairs[place]
            options = []
            if count < most and (tail := name(place + 1, count + 1)) is not None:
                options.append(f"{comma}{pair} {tail}".strip())
            if not is_required and (tail := name(place + 1, count)) is not None:
                options.append(tail or '""')
            return _either(options) if options else None

        def name(place: int, count: int) -> str | None:
            if (place, count) not in known:
                body = rest(place, count)
                known[place, count] = self._rules.add(f"{hint}-rest", body) if body else body
            return known[place, count]

        found = rest(0, 0)
        if found is None:
            raise wrong("", "an object cannot have so few or so many properties")
        return found

    def _others_counted(self, node: Object, other: str | None, count: int, most: int) -> str | None:
        needed = max(0, node.least - count)
        if needed > (1 if other else 0) or count > most:
            return None  # two further names might be the same
        if other is None or count == most:
            return None if needed else ""
        more = self._rules.add("more", f'ws "," ws {other}')
        limit = None if node.most is None else most - count
        if count:
            return repeated(more, needed, limit, self._rules.add)
        following = repeated(more, 0, None if limit is None else limit - 1, self._rules.add)
        body = f"{other} {following}".strip()
        return body if needed else f"({body})?"


def _as_json(value: Any) -> str:
    """A value as JSON text, its numbers as they were written."""
    match value:
        case Decimal():
            return str(value)
        case list():
            return f"[{', '.join(map(_as_json, value))}]"
        case dict():
            pairs = (
                f"{json.dumps(key, ensure_ascii=False)}: {_as_json(item)}"
                for key, item in value.items()
            )
            return f"{{{', '.join(pairs)}}}"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _either(options: Iterable[str]) -> str:
    """One of several expressions, as one expression."""
    listed = list(dict.fromkeys(options))
    return listed[0] if len(listed) == 1 else f"({' | '.join(listed)})"


def _maybe(options: Iterable[str]) -> str:
    """One of several expressions, or none."""
    return f"({' | '.join(dict.fromkeys(options))})?"


def _listed(items: str) -> str:
    return f'"[" ws {items} ws "]"' if items else '"[" ws "]"'


def _other_names(names: Sequence[str]) -> str:
    """A name that is none of `names`: it leaves them at some character, or goes on after them.

    Names are written without escapes, so that no other spelling of one of `names` can come.
    """
    plain = '[^"\\\\\\u0000-\\u001F\\u007F]'
    if not names:
        return f"{_QUOTE} {plain}* {_QUOTE}"
    return f"{_QUOTE} {_leaving(names, plain)} {_QUOTE}"


def _leaving(names: Sequence[str], plain: str) -> str:
    """What may follow where `names` are the rests of the names that began so."""
    heads: dict[str, list[str]] = {}
    for name in names:
        if name:
            heads.setdefault(name[0], []).append(name[1:])
    options = []
    taken = "".join(_in_class(head) for head in heads)
    options.append(f'[^"\\\\\\u0000-\\u001F\\u007F{taken}] {plain}*')
    options += [f"[{_in_class(head)}] {_leaving(rests, plain)}" for head, rests in heads.items()]
    body = f"({' | '.join(options)})"
    return body if "" in names else f"{body}?"


def _in_class(char: str) -> str:
    code = ord(char)
    if char.isascii() and char.isalnum():
        return char
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"  # noqa: PLR2004 - what \\u can spell

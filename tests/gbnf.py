"""A second reader of GBNF, which says whether a text obeys a grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""\s+ | "(?:[^"\\]|\\.)*" | \[(?:[^\]\\]|\\.)*\] | \{[0-9,]*\} | [A-Za-z0-9-]+ | [()|?*+]""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_MOST_STATES = 100_000

# A state is what is still to come, as nested pairs: (item, rest). Items are ("char", ranges,
# negated) and ("rule", name).
State = tuple[object, "State"] | None


class Gbnf:
    """One grammar."""

    def __init__(self, text: str) -> None:
        self._rules: dict[str, list[list[object]]] = {}
        self._made = 0
        for line in text.splitlines():
            name, _, body = line.partition(" ::= ")
            assert name not in self._rules, f"{name} is defined twice"
            tokens = [token for token in _TOKEN.findall(body) if not token.isspace()]
            assert not _TOKEN.sub("", body), f"{name}: {_TOKEN.sub('', body)!r}"
            options, rest = self._options(tokens)
            assert not rest, f"{name}: {rest}"
            self._rules[name] = options
        for options in self._rules.values():
            for option in options:
                for item in option:
                    if item[0] == "rule":  # type: ignore[index]
                        assert item[1] in self._rules, f"{item[1]} is not defined"  # type: ignore[index]

    def accepts(self, text: str) -> bool:
        """Whether the whole text obeys."""
        return None in self._after(text)

    def allows(self, text: str) -> bool:
        """Whether a text that obeys may begin so."""
        return bool(self._after(text))

    def _after(self, text: str) -> set[State]:
        states = self._opened({(("rule", "root"), None)})
        for character in text:
            states = self._opened(
                {rest for item, rest in filter(None, states) if _fits(item, character)}
            )
            if not states:
                break
        return states

    def _opened(self, states: set[State]) -> set[State]:
        """The states that begin with a character, or are at the end."""
        done: set[State] = set()
        seen: set[State] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state in seen:
                continue
            seen.add(state)
            assert len(seen) < _MOST_STATES, "the grammar is too ambiguous"
            if state is None or state[0][0] == "char":  # type: ignore[index]
                done.add(state)
                continue
            for option in self._rules[state[0][1]]:  # type: ignore[index]
                following = state[1]
                for item in reversed(option):
                    following = (item, following)
                waiting.append(following)
        return done

    def _options(self, tokens: list[str]) -> tuple[list[list[object]], list[str]]:
        options: list[list[object]] = [[]]
        while tokens:
            token, *tokens = tokens
            if token == "|":
                options.append([])
                continue
            if token == ")":
                return options, [token, *tokens]
            if token == "(":
                inner, rest = self._options(tokens)
                assert rest[:1] == [")"], "a group is not closed"
                tokens = rest[1:]
                items: list[object] = [("rule", self._new(inner))]
            elif token[0] == '"':
                items = [("char", ((ord(one), ord(one)),), False) for one in _plain(token[1:-1])]
            elif token[0] == "[":
                items = [_class(token)]
            else:
                items = [("rule", token)]
            if tokens and tokens[0][0] in "?*+{":
                sign, *tokens = tokens
                items = self._repeated(items, sign)
            options[-1] += items
        return options, []

    def _repeated(self, items: list[object], sign: str) -> list[object]:
        signs = {"?": (0, 1), "*": (0, None), "+": (1, None)}
        if sign in signs:
            least, most = signs[sign]
        else:
            low, comma, high = sign[1:-1].partition(",")
            least, most = int(low), int(high) if high else None if comma else int(low)
        *before, last = items
        one = [last]
        if most is None:
            name = self._new([])
            self._rules[name] = [[*one, ("rule", name)], []]
            return [*before, *one * least, ("rule", name)]
        tail: list[object] = []
        for _ in range(most - least):
            tail = [("rule", self._new([[*one, *tail], []]))]
        return [*before, *one * least, *tail]

    def _new(self, options: list[list[object]]) -> str:
        self._made += 1
        name = f"_{self._made}"
        self._rules[name] = options
        return name


def _plain(text: str) -> Iterator[str]:
    for match in re.finditer(r"\\x(..)|\\u(....)|\\U(.{8})|\\(.)|(.)", text, re.DOTALL):
        code = match[1] or match[2] or match[3]
        yield (
            chr(int(code, 16))
            if code
            else _ESCAPES.get(match[4], match[4])
            if match[4]
            else match[5]
        )


def _class(token: str) -> object:
    body = token[1:-1]
    negated = body.startswith("^")
    spelled = re.findall(r"\\x..|\\u....|\\U.{8}|\\.|.", body[negated:], re.DOTALL)
    ranges, position = [], 0
    while position < len(spelled):
        first = last = next(_plain(spelled[position]))
        if position + 2 < len(spelled) and spelled[position + 1] == "-":
            last = next(_plain(spelled[position + 2]))
            position += 2
        ranges.append((ord(first), ord(last)))
        position += 1
    return ("char", tuple(ranges), negated)


def _fits(item: object, character: str) -> bool:
    _, ranges, negated = item  # type: ignore[misc]
    return any(first <= ord(character) <= last for first, last in ranges) != negated

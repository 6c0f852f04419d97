"""Whether a text is one of a grammar's: slow, simple, and independent of the engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from localai.worker.llama_server.grammar_check import (
    Characters,
    Grammar,
    Group,
    Literal,
    Named,
    Repeated,
    Token,
    parse_grammar,
)


@dataclass(slots=True)
class Recognizer:
    """One text and one grammar."""

    grammar: Grammar
    text: str
    known: dict[tuple[str, int], frozenset[int]] = field(default_factory=dict)

    def accepts(self) -> bool:
        return len(self.text) in self.rule("root", 0)

    def rule(self, name: str, start: int) -> frozenset[int]:
        """Where a text of the rule can end that begins at `start`."""
        found = self.known.get((name, start))
        if found is None:
            found = self.known[name, start] = self.group(self.grammar.rules[name], start)
        return found

    def group(self, group: Group, start: int) -> frozenset[int]:
        ends: set[int] = set()
        for option in group.options:
            places = frozenset({start})
            for repeated in option:
                places = self.repeated(repeated, places)
            ends |= places
        return frozenset(ends)

    def repeated(self, repeated: Repeated, places: frozenset[int]) -> frozenset[int]:
        found = places if repeated.least == 0 else frozenset[int]()
        count = 0
        while places and (repeated.most is None or count < repeated.most):
            count += 1
            places = frozenset(end for place in places for end in self.item(repeated.item, place))
            if count >= repeated.least:
                if places <= found:
                    break
                found |= places
        return found

    def item(
        self, item: Literal | Characters | Token | Named | Group, start: int
    ) -> frozenset[int]:
        match item:
            case Literal(text=text):
                is_there = self.text.startswith(text, start)
                return frozenset({start + len(text)}) if is_there else frozenset()
            case Characters():
                if start == len(self.text):
                    return frozenset()
                char = self.text[start]
                is_in = any(first <= char <= last for first, last in item.ranges)
                return frozenset({start + 1}) if is_in != item.is_negated else frozenset()
            case Named(name=name):
                return self.rule(name, start)
            case Group():
                return self.group(item, start)
            case Token():
                raise AssertionError


def accepts(grammar: str, text: str) -> bool:
    """Whether `text` is one of the texts of `grammar`."""
    return Recognizer(parse_grammar(grammar), text).accepts()

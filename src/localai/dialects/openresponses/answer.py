"""The encoder of a whole answer."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from localai.dialects.openresponses.items import Item
from localai.dialects.openresponses.response import (
    COMPLETED,
    INCOMPLETE,
    INCOMPLETE_REASONS,
    Spelling,
    text_part,
    to_json,
)
from localai.domain.events import TokenLogprob
from localai.domain.parts import Media, Reasoning, Text, ToolCall
from localai.domain.stream_rules import Answer, ChoiceAnswer


class ResponseWhole:
    """Spells one whole answer as a Response object."""

    def __init__(self, spelled: Spelling, model: str) -> None:
        self._spelled = spelled
        self._model = model

    def encode(self, answer: Answer) -> bytes:
        """The response body."""
        choice = answer.choices.get(0) or ChoiceAnswer()
        output = self.items(choice)
        body = self._spelled.ended(self._model, choice.reason, output, answer.usage, answer.timings)
        return to_json(body)

    def items(self, choice: ChoiceAnswer) -> list[Item]:
        """The output items of the answer. The one that a limit cut is not complete."""
        parts = [part for part in choice.parts if not isinstance(part, Media)]
        statuses = [COMPLETED] * len(parts)
        if parts and choice.reason in INCOMPLETE_REASONS:
            statuses[-1] = INCOMPLETE
        tokens = _by_text(choice.logprobs, parts)
        return [
            self._item(place, part, status, tokens[place])
            for place, (part, status) in enumerate(zip(parts, statuses, strict=True))
        ]

    def _item(
        self,
        place: int,
        part: Text | Reasoning | ToolCall,
        status: str,
        tokens: Sequence[TokenLogprob],
    ) -> Item:
        match part:
            case Text(text=text):
                return self._spelled.message(place, [text_part(text, tokens)], status)
            case Reasoning(text=text):
                return self._spelled.reasoning(place, [self._spelled.thoughts.part(text)], status)
            case ToolCall():
                call = (part.call_id, part.name, part.arguments)
                return self._spelled.call(place, call, status)


def _by_text(
    tokens: Sequence[TokenLogprob], parts: Sequence[Text | Reasoning | ToolCall]
) -> list[Sequence[TokenLogprob]]:
    """The tokens of each text. An answer has them all in one list, with those of its reasoning.

    A part's bytes are looked for from the end, where the answer is: a model that thinks often
    says the same words twice, and marks between the parts are tokens too.
    """
    if len(parts) == 1 and isinstance(parts[0], Text):
        return [tokens]
    starts = [0, *accumulate(len(token.data) for token in tokens)]
    data = b"".join(token.data for token in tokens)
    found: list[Sequence[TokenLogprob]] = []
    end = len(data)
    for part in reversed(parts):
        text = (part.arguments if isinstance(part, ToolCall) else part.text).encode()
        at = data.rfind(text, 0, end)
        if at < 0 or not isinstance(part, Text):
            found.append(())
        else:
            first = bisect_right(starts, at) - 1
            found.append(tokens[first : bisect_left(starts, at + len(text))])
        end = at if at >= 0 else end
    return found[::-1]

"""Completions: the two encoders, for a stream and for a whole answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from localai.dialects.contract import Frame
from localai.dialects.openai.logprobs import CompletionLogprobs
from localai.dialects.openai.spelling import (
    FINISH_REASONS,
    ChunkPieces,
    Spelling,
    failed,
    to_json,
)
from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    Progress,
    Started,
    TokenLogprob,
)
from localai.domain.stream_rules import Answer, ChoiceAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How prompts become choices: prompt p makes the choices p*n to p*n + n-1.

    `echoes` holds the text of each prompt if it is to be repeated: None for a prompt of token
    ids, whose text the answer tells.
    """

    n_prompts: int
    choices_per_prompt: int
    echoes: tuple[str | None, ...] | None
    has_logprobs: bool

    def choices(self, prompt: int) -> range:
        """The choices that a prompt makes."""
        return range(prompt * self.choices_per_prompt, (prompt + 1) * self.choices_per_prompt)

    def echo(self, prompt: int, tokens: Sequence[TokenLogprob]) -> str:
        """The text to repeat before the answers to a prompt; empty without `echo`."""
        if self.echoes is None:
            return ""
        text = self.echoes[prompt]
        if text is not None:
            return text
        return b"".join(token.data for token in tokens).decode(errors="replace")


class CompletionStream:
    """Spells one checked stream as text_completion objects."""

    def __init__(self, spelled: Spelling, model: str, layout: Layout) -> None:
        self._pieces = ChunkPieces(spelled, "text_completion", model)
        self._layout = layout
        choices = range(layout.n_prompts * layout.choices_per_prompt)
        self._logprobs = [CompletionLogprobs() for _ in choices]
        self._before_text = [
            self._pieces.head + b'{"index":%d,"text":' % choice for choice in choices
        ]
        self._after_text = b',"logprobs":null,"finish_reason":null}' + self._pieces.tail

    def feed(self, event: Event) -> Sequence[Frame]:
        """The frames for `event`, which may be none."""
        if type(event) is Delta and event.kind is BlockKind.TEXT and not event.logprobs:
            if not event.text:
                return ()
            text = to_json(event.text)  # the token path: one escape, one join
            return (Frame(self._before_text[event.choice] + text + self._after_text),)
        match event:
            case Started():
                return self._echo(event)
            case Delta():
                return self._delta(event)
            case ChoiceEnded():
                return (self._frame(event.choice, "", reason=event.reason),)
            case Finished():
                return self._pieces.last(event.usage, event.timings)
            case Failed():
                return failed(event)
            case Progress() | BlockStarted() | BlockEnded():
                return ()
            case _:
                assert_never(event)

    def _echo(self, event: Started) -> Sequence[Frame]:
        text = self._layout.echo(event.prompt, event.prompt_logprobs)
        if not text:
            return ()
        frames = []
        for choice in self._layout.choices(event.prompt):
            frames.append(self._frame(choice, text, event.prompt_logprobs))
            self._logprobs[choice].move_to(len(text))
        return frames

    def _delta(self, event: Delta) -> Sequence[Frame]:
        if event.kind is not BlockKind.TEXT:
            return ()  # raw text has no other blocks
        if not event.text and not self._layout.has_logprobs:
            return ()
        return (self._frame(event.choice, event.text, event.logprobs),)

    def _frame(
        self,
        choice: int,
        text: str,
        tokens: Sequence[TokenLogprob] = (),
        reason: FinishReason | None = None,
    ) -> Frame:
        shows_logprobs = self._layout.has_logprobs and tokens
        spelled = {
            "index": choice,
            "text": text,
            "logprobs": self._logprobs[choice].spell(tokens) if shows_logprobs else None,
            "finish_reason": None if reason is None else _finish_reason(reason),
        }
        return self._pieces.frame(spelled)


class CompletionWhole:
    """Spells one whole answer as a text_completion object."""

    def __init__(self, spelled: Spelling, model: str, layout: Layout) -> None:
        self._spelled = spelled
        self._model = model
        self._layout = layout

    def encode(self, answer: Answer) -> bytes:
        """The response body."""
        body = self._spelled.head("text_completion", self._model)
        body["choices"] = [
            self._choice(index, choice, answer) for index, choice in sorted(answer.choices.items())
        ]
        body["usage"] = self._spelled.usage(answer.usage, answer.timings)
        return to_json(body)

    def _choice(self, index: int, choice: ChoiceAnswer, answer: Answer) -> dict[str, Any]:
        prompt = index // self._layout.choices_per_prompt
        prompt_tokens = answer.prompt_logprobs.get(prompt, ())
        echo = self._layout.echo(prompt, prompt_tokens)
        return {
            "index": index,
            "text": echo + choice.text,
            "logprobs": self._spell_logprobs(echo, prompt_tokens, choice.logprobs),
            "finish_reason": _finish_reason(choice.reason),
        }

    def _spell_logprobs(
        self, echo: str, prompt: Sequence[TokenLogprob], generated: Sequence[TokenLogprob]
    ) -> dict[str, list[Any]] | None:
        if not self._layout.has_logprobs:
            return None
        logprobs = CompletionLogprobs()
        spelled = logprobs.spell(prompt if echo else ())
        logprobs.move_to(len(echo))
        for name, values in logprobs.spell(generated).items():
            spelled[name] += values
        return spelled


def _finish_reason(reason: FinishReason) -> str:
    """A completion calls no tools, and this API has no word for it here."""
    return "stop" if reason is FinishReason.TOOL_CALLS else FINISH_REASONS[reason]

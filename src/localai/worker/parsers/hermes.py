"""Tool calls in the Hermes format, for models whose template does not know tools.

    <tool_call>
    {"name": "get_weather", "arguments": {"city": "Rome"}}
    </tool_call>

Source: https://huggingface.co/NousResearch/Hermes-2-Pro-Llama-3-8B, "Prompt Format for Function
Calling". `describe_tools` puts the tools into the conversation, `HermesCalls` finds the calls in
the answer.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    FinishReason,
    TokenLogprob,
)
from localai.domain.generation import ToolSpec
from localai.domain.parts import Message, Part, Role, Text, ToolCall, ToolResult

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_UNUSED_PART = Text(text="")
_INTRODUCTION = """You can call these functions:
{tools}

To call one, answer with nothing but its name and arguments as JSON, in this form:
{opening}
{{"name": "function-name", "arguments": {{"argument": "value"}}}}
{closing}
Call a function only when it helps to answer; otherwise answer in plain words."""


def describe_tools(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> tuple[Message, ...]:
    """The conversation as plain text turns, with the tools in its system message."""
    listed = "\n".join(
        json.dumps(
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": json.loads(tool.parameters),
            },
            ensure_ascii=False,
        )
        for tool in tools
    )
    introduction = _INTRODUCTION.format(tools=listed, opening=_OPEN, closing=_CLOSE)
    plain = [_as_text(message) for message in messages]
    if plain and plain[0].role in (Role.SYSTEM, Role.DEVELOPER):
        first = replace(plain[0], parts=(*plain[0].parts, Text(text=f"\n\n{introduction}")))
        return (first, *plain[1:])
    return (Message(role=Role.SYSTEM, parts=(Text(text=introduction),)), *plain)


def _as_text(message: Message) -> Message:
    """Calls and results as text; a template without tools has no role for results either."""
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            call = f'{{"name": {json.dumps(part.name)}, "arguments": {part.arguments or "{}"}}}'
            parts.append(Text(text=f"{_OPEN}\n{call}\n{_CLOSE}"))
        elif isinstance(part, ToolResult):
            parts.append(Text(text=f"<tool_response>\n{part.text}\n</tool_response>"))
        else:
            parts.append(part)
    role = Role.USER if message.role is Role.TOOL else message.role
    return Message(role=role, parts=tuple(parts), name=message.name)


class _Call(msgspec.Struct):
    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


@dataclass(slots=True)
class _Choice:
    """One choice: the text that may yet become a call, and its own numbering of blocks."""

    held: str = ""
    logprobs: list[TokenLogprob] = field(default_factory=list)
    is_in_call: bool = False
    block: int = -1
    is_open: bool = False
    calls: int = 0


class HermesCalls:
    """Turns `<tool_call>` in the text of a stream into tool calls."""

    def __init__(self, *, parallel: bool) -> None:
        self._parallel = parallel
        self._choices: dict[int, _Choice] = {}

    def feed(self, event: Event) -> list[Event]:
        """The events to pass on for `event`."""
        match event:
            case Delta(kind=BlockKind.TEXT):
                choice = self._choice(event.choice)
                choice.held += event.text
                choice.logprobs.extend(event.logprobs)
                return self._advance(event.choice, choice)
            case BlockStarted():
                return (
                    self._open(event.choice, event.kind) if event.kind is not BlockKind.TEXT else []
                )
            case Delta():
                return [replace(event, block=self._choice(event.choice).block)]
            case BlockEnded():
                choice = self._choice(event.choice)
                return self._flush(event.choice, choice) + self._close(event.choice)
            case ChoiceEnded():
                choice = self._choice(event.choice)
                out = self._flush(event.choice, choice) + self._close(event.choice)
                called = choice.calls and event.reason is FinishReason.STOP
                reason = FinishReason.TOOL_CALLS if called else event.reason
                return [*out, replace(event, reason=reason)]
            case _:
                return [event]

    def _advance(self, index: int, choice: _Choice) -> list[Event]:
        """Pass on what is certain: text before a call, and calls that are whole."""
        out: list[Event] = []
        while True:
            if choice.is_in_call:
                body, found, rest = choice.held.partition(_CLOSE)
                if not found:
                    return out
                choice.held, choice.is_in_call = rest, False
                out += self._call(index, choice, body)
                continue
            text, found, rest = choice.held.partition(_OPEN)
            if found:
                out += self._text(index, choice, text.rstrip() if choice.calls else text)
                choice.held, choice.is_in_call = rest, True
                continue
            keep = _overlap(choice.held)
            sure = choice.held[: len(choice.held) - keep]
            choice.held = choice.held[len(sure) :]
            return out + self._text(index, choice, sure)

    def _flush(self, index: int, choice: _Choice) -> list[Event]:
        """The end of the text: an unfinished call is read if it can be, else it is text."""
        held, choice.held = choice.held, ""
        if choice.is_in_call:
            choice.is_in_call = False
            return self._call(index, choice, held)
        return self._text(index, choice, held)

    def _call(self, index: int, choice: _Choice, body: str) -> list[Event]:
        try:
            call = msgspec.json.decode(body.strip().encode(), type=_Call)
        except msgspec.DecodeError:
            return self._text(index, choice, f"{_OPEN}{body}{_CLOSE}")
        if choice.calls and not self._parallel:
            return []
        choice.calls += 1
        arguments = bytes(call.arguments).decode()
        out = self._open(
            index, BlockKind.TOOL_CALL, call_id=f"call_{secrets.token_hex(12)}", name=call.name
        )
        out.append(Delta(index, choice.block, BlockKind.TOOL_CALL, arguments))
        return out + self._close(index)

    def _text(self, index: int, choice: _Choice, text: str) -> list[Event]:
        if not text or (choice.calls and not text.strip()):
            return []  # the white space between calls belongs to the format
        out = [] if choice.is_open else self._open(index, BlockKind.TEXT)
        logprobs, choice.logprobs = tuple(choice.logprobs), []
        out.append(Delta(index, choice.block, BlockKind.TEXT, text, b"", logprobs))
        return out

    def _open(
        self, index: int, kind: BlockKind, *, call_id: str | None = None, name: str | None = None
    ) -> list[Event]:
        choice = self._choice(index)
        out = self._close(index)
        choice.block += 1
        choice.is_open = True
        return [*out, BlockStarted(index, choice.block, kind, call_id, name)]

    def _close(self, index: int) -> list[Event]:
        choice = self._choice(index)
        if not choice.is_open:
            return []
        choice.is_open = False
        return [BlockEnded(index, choice.block, _UNUSED_PART)]

    def _choice(self, index: int) -> _Choice:
        return self._choices.setdefault(index, _Choice())


def _overlap(text: str) -> int:
    """The length of the end of `text` that may be the start of a call."""
    for length in range(min(len(text), len(_OPEN) - 1), 0, -1):
        if _OPEN.startswith(text[-length:]):
            return length
    return 0

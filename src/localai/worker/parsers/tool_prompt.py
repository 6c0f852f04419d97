"""Tells a model of its tools in words, for templates that cannot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from localai.domain.generation import ToolSpec
from localai.domain.parts import Message, Part, Role, Text, ToolCall, ToolResult
from localai.wire.functions import FunctionSettings, Markers, TagFormat
from localai.worker.parsers.call_forms import CallForms, Form

_KNOWN: Final = "You can call these functions:\n{tools}"
_HOW: Final = """To call one, answer with nothing but the call, in this form:
{form}"""
_WHEN: Final = "Call a function only when it helps to answer; otherwise answer in plain words."
_ALWAYS: Final = "To answer in plain words, call {name}."


def describe_tools(
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    forms: CallForms,
    settings: FunctionSettings,
) -> tuple[Message, ...]:
    """The conversation as plain text turns, with the tools in its system message."""
    plain = spelled_out(messages, forms, settings)
    introduction = _introduction(tools, forms, settings)
    if plain and plain[0].role in (Role.SYSTEM, Role.DEVELOPER):
        first = replace(plain[0], parts=(*plain[0].parts, Text(text=f"\n\n{introduction}")))
        return (first, *plain[1:])
    return (Message(role=Role.SYSTEM, parts=(Text(text=introduction),)), *plain)


def spelled_out(
    messages: Sequence[Message], forms: CallForms, settings: FunctionSettings
) -> tuple[Message, ...]:
    """The conversation with its calls, and their results, as text."""
    speller = _Speller(forms.forms[0], settings)
    return tuple(speller.as_text(message) for message in messages)


def _introduction(tools: Sequence[ToolSpec], forms: CallForms, settings: FunctionSettings) -> str:
    listed = "\n".join(
        json.dumps(
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": _value(tool.parameters),
            },
            ensure_ascii=False,
        )
        for tool in tools
    )
    parts = [_KNOWN.format(tools=listed)]
    if not forms.needs_all:  # else only the model knows what its calls look like
        speller = _Speller(forms.forms[0], settings)
        example = speller.call("function-name", {"argument": "value"})
        parts.append(_HOW.format(form=example))
    answer = settings.no_action
    told = answer is not None and answer.name in {tool.name for tool in tools}
    parts.append(_ALWAYS.format(name=answer.name) if told and answer is not None else _WHEN)
    return "\n\n".join(parts)


class _Speller:
    """Writes calls and results in one form."""

    def __init__(self, form: Form, settings: FunctionSettings) -> None:
        self._form = form
        self._keys = (
            settings.function_name_key or "name",
            settings.function_arguments_key or "arguments",
        )

    def as_text(self, message: Message) -> Message:
        """Calls and results as text; a template without tools has no role for results either."""
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                parts.append(Text(text=self.call(part.name, _value(part.arguments))))
            elif isinstance(part, ToolResult):
                parts.append(Text(text=f"<tool_response>\n{part.text}\n</tool_response>"))
            else:
                parts.append(part)
        role = Role.USER if message.role is Role.TOOL else message.role
        return Message(role=role, parts=tuple(parts), name=message.name)

    def call(self, name: str, arguments: Any) -> str:
        """A call as the model is to write it."""
        if isinstance(self._form, Markers):
            name_key, arguments_key = self._keys
            call = _json({name_key: name, arguments_key: arguments})
            return "\n".join(text for text in (self._form.open, call, self._form.close) if text)
        return self._tagged(self._form, name, arguments)

    def _tagged(self, form: TagFormat, name: str, arguments: Any) -> str:
        if form.key_start and isinstance(arguments, dict):
            inner = "".join(
                f"{form.key_start}{key}{form.key_val_sep}{form.key_val_sep2}"
                f"{value if isinstance(value, str) else _json(value)}{form.val_end}\n"
                for key, value in arguments.items()
            )
            inner = f"\n{inner}"
        else:
            inner = _json(arguments)
        call = f"{form.tool_start}{name}{form.tool_sep}{inner}{form.tool_end}"
        return "\n".join(text for text in (form.scope_start, call, form.scope_end) if text)


def _value(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

"""The conversation of a chat request as domain messages.

This API names no calls: a result says at most which tool it is of. Calls get ids here, and
results are matched to them in order.
"""

from __future__ import annotations

from typing import assert_never

from localai.dialects.ollama.images import images
from localai.dialects.ollama.requests import ChatMessage, MessageToolCall
from localai.dialects.ollama.tools import arguments_text
from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.parts import Message, Part, Reasoning, Role, Text, ToolCall, ToolResult

_ROLES = {role.value: role for role in Role}


def conversation(messages: list[ChatMessage]) -> tuple[Message, ...]:
    """Every message, in order. Raises RequestError whose `param` is the message's path."""
    reader = _Reader()
    return tuple(reader.read(message, f"messages[{i}]") for i, message in enumerate(messages))


class _Reader:
    """Reads one conversation; remembers which calls wait for their results."""

    def __init__(self) -> None:
        self._waiting: list[ToolCall] = []
        self._last_role: Role | None = None
        self._made_ids = 0

    def read(self, message: ChatMessage, path: str) -> Message:
        """The next message."""
        role = _ROLES.get(message.role)
        if role is None:
            *most, last = _ROLES
            allowed = f"it must be {', '.join(most)} or {last}"
            text = f"{path}.role is {message.role[:40]!r}; {allowed}."
            raise InvalidRequest(text, param=f"{path}.role")
        name = None
        match role:
            case Role.ASSISTANT:
                parts = self._said_by_model(message, path)
            case Role.TOOL:
                parts, name = self._tool_result(message, path)
            case Role.SYSTEM | Role.DEVELOPER | Role.USER:
                parts = _shown(message, path)
            case _:
                assert_never(role)
        self._last_role = role
        return Message(role=role, parts=parts, name=name)

    def _said_by_model(self, message: ChatMessage, path: str) -> tuple[Part, ...]:
        if self._last_role is not Role.ASSISTANT:  # clients may keep each line as a message
            self._waiting.clear()
        calls = [
            self._call(call, f"{path}.tool_calls[{i}]")
            for i, call in enumerate(message.tool_calls or ())
        ]
        self._waiting += calls
        parts: list[Part] = [Reasoning(text=message.thinking)] if message.thinking else []
        parts += images(message.images, f"{path}.images")
        if message.content or not (calls or parts):
            parts.append(Text(text=message.content or ""))
        return (*parts, *calls)

    def _call(self, call: MessageToolCall, path: str) -> ToolCall:
        if call.function is None or not call.function.name:
            param = f"{path}.function.name"
            raise InvalidRequest(f"{param} is missing.", param=param)
        return ToolCall(
            call_id=call.id or self._new_id(),
            name=call.function.name,
            arguments=arguments_text(call.function.arguments, f"{path}.function.arguments"),
        )

    def _tool_result(self, message: ChatMessage, path: str) -> tuple[tuple[Part, ...], str | None]:
        if message.images:
            text = f"{path}.images are of a tool; only the text of a result is supported."
            hint = "Send them in a message of the user."
            raise Unsupported(text, feature="images", param=f"{path}.images", hint=hint)
        call = self._answered_call(message)
        if call is None:  # of no call that is here: the history may have been shortened
            call_id, name = message.tool_call_id or self._new_id(), message.tool_name
        else:
            call_id, name = call.call_id, message.tool_name or call.name
        return (ToolResult(call_id=call_id, text=message.content or ""),), name or None

    def _answered_call(self, message: ChatMessage) -> ToolCall | None:
        """The first waiting call that the result may belong to, which then waits no more."""
        for place, call in enumerate(self._waiting):
            if message.tool_call_id:
                fits = call.call_id == message.tool_call_id
            else:
                fits = not message.tool_name or call.name == message.tool_name
            if fits:
                return self._waiting.pop(place)
        return None

    def _new_id(self) -> str:
        """An id of nine letters and digits: the only form that Mistral's templates accept."""
        self._made_ids += 1
        return f"call{self._made_ids:05d}"


def _shown(message: ChatMessage, path: str) -> tuple[Part, ...]:
    """Images stand before the text, as in Ollama's own prompts."""
    shown = images(message.images, f"{path}.images")
    if shown and not message.content:
        return shown
    return (*shown, Text(text=message.content or ""))

"""The conversation of a chat request as domain messages."""

from __future__ import annotations

from typing import assert_never

from localai.dialects.media import document_from, media_from
from localai.dialects.openai.requests import CalledFunction, ChatMessage, ContentPart
from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.parts import (
    Media,
    MediaKind,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)

_ROLES = {role.value: role for role in Role} | {"function": Role.TOOL}

_MEDIA_KINDS = {
    "audio_url": MediaKind.AUDIO,
    "image": MediaKind.IMAGE,
    "image_url": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "video_url": MediaKind.VIDEO,
}


def conversation(messages: list[ChatMessage]) -> tuple[Message, ...]:
    """Every message, in order. Raises RequestError whose `param` is the message's path."""
    if not messages:
        raise InvalidRequest("messages is empty; send at least one message.", param="messages")
    return tuple(_message(message, f"messages[{i}]") for i, message in enumerate(messages))


def _message(message: ChatMessage, path: str) -> Message:
    role = _ROLES.get(message.role)
    if role is None:
        message_text = f"{path}.role is {message.role[:40]!r}; it must be {_one_of(_ROLES)}."
        raise InvalidRequest(message_text, param=f"{path}.role")
    match role:
        case Role.ASSISTANT:
            parts = _said_by_model(message, path)
        case Role.TOOL:
            parts = (_tool_result(message, path),)
        case Role.SYSTEM | Role.DEVELOPER | Role.USER:
            parts = tuple(_content(message, path))
        case _:
            assert_never(role)
    return Message(role=role, parts=parts, name=message.name)


def _one_of(names: dict[str, Role]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"


def _content(message: ChatMessage, path: str) -> list[Text | Media]:
    path = f"{path}.content"
    if message.content is None:
        raise InvalidRequest(f"{path} is missing.", param=path)
    if isinstance(message.content, str):
        return [Text(text=message.content)]
    if not message.content:
        raise InvalidRequest(f"{path} is an empty list; send text.", param=path)
    return [_part(part, f"{path}[{i}]") for i, part in enumerate(message.content)]


def _part(part: ContentPart, path: str) -> Text | Media:
    match part.type:
        case "text":
            return Text(text=_given(part.text, f"{path}.text"))
        case "refusal":
            return Text(text=_given(part.refusal, f"{path}.refusal"))
        case "input_audio":
            data = part.input_audio.data if part.input_audio is not None else None
            path = f"{path}.input_audio.data"
            return media_from(_given(data, path), MediaKind.AUDIO, path)
        case kind if kind in _MEDIA_KINDS:
            source = part.address(kind)
            return media_from(
                _given(source, f"{path}.{kind}.url"), _MEDIA_KINDS[kind], f"{path}.{kind}.url"
            )
        case "file":
            path = f"{path}.file"
            if part.file is None:
                raise InvalidRequest(f"{path} is missing.", param=path)
            fields = {"file_data": part.file.file_data, "file_id": part.file.file_id}
            return document_from(path, fields, title=part.file.filename)
        case other:
            known = "text, image_url, input_audio or file"
            message = f"{path}.type is {other[:40]!r}; it must be {known}."
            raise InvalidRequest(message, param=f"{path}.type")


def _given(value: str | None, param: str) -> str:
    if value is None:
        raise InvalidRequest(f"{param} is missing.", param=param)
    return value


def _said_by_model(message: ChatMessage, path: str) -> tuple[Part, ...]:
    calls = _calls(message, path)
    reasoning = message.reasoning_content or message.reasoning
    parts: list[Part] = [Reasoning(text=reasoning)] if reasoning else []
    if message.content is not None:
        parts += _content(message, path) if message.content or not calls else []
    elif message.refusal:
        parts.append(Text(text=message.refusal))
    elif not calls and not reasoning:
        param = f"{path}.content"
        text = f"{param} is missing; only a message with tool calls may leave it out."
        raise InvalidRequest(text, param=param)
    return (*parts, *calls)


def _calls(message: ChatMessage, path: str) -> list[ToolCall]:
    calls = [
        _call(call.function, call.id, f"{path}.tool_calls[{i}]")
        for i, call in enumerate(message.tool_calls or ())
    ]
    if message.function_call is not None:
        name = message.function_call.name
        calls.append(_call(message.function_call, name, f"{path}.function_call", inner=""))
    return calls


def _call(
    function: CalledFunction | None, call_id: str | None, path: str, *, inner: str = ".function"
) -> ToolCall:
    if function is None or not function.name:
        param = f"{path}{inner}.name"
        raise InvalidRequest(f"{param} is missing.", param=param)
    if not call_id:
        raise InvalidRequest(f"{path}.id is missing.", param=f"{path}.id")
    return ToolCall(call_id=call_id, name=function.name, arguments=function.arguments or "{}")


def _tool_result(message: ChatMessage, path: str) -> ToolResult:
    is_older = message.role == "function"  # such results name the function, not the call
    key, call_id = ("name", message.name) if is_older else ("tool_call_id", message.tool_call_id)
    if not call_id:
        raise InvalidRequest(f"{path}.{key} is missing.", param=f"{path}.{key}")
    parts = _content(message, path)
    for position, part in enumerate(parts):
        if isinstance(part, Media):
            what = f"{path}.content[{position}]"
            raise Unsupported(f"{what} is no text; a tool's result is text.", param=what)
    return ToolResult(call_id=call_id, text=Message(role=Role.TOOL, parts=tuple(parts)).text)

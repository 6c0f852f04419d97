"""The conversation of a response: items in their full form as domain messages."""

from __future__ import annotations

from collections.abc import Iterable

from localai.dialects.media import document_from, media_from, stored_media
from localai.dialects.openresponses.items import Item
from localai.domain.parts import (
    MediaKind,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)

Placed = tuple[str, Item]
"""An item and its path in the request."""


def placed(items: Iterable[Item], name: str = "input") -> list[Placed]:
    """The items of a list, each with its path."""
    return [(f"{name}[{i}]", item) for i, item in enumerate(items)]


def conversation(instructions: str | None, items: Iterable[Placed]) -> tuple[Message, ...]:
    """The instructions as a system message, then every turn.

    What the model said stands in several items (reasoning, message, calls); those that follow one
    another are one message. Raises InvalidRequest for media that cannot be read.
    """
    messages: list[Message] = []
    said: list[Part] = []
    if instructions:
        messages.append(Message(role=Role.SYSTEM, parts=(Text(text=instructions),)))
    for path, item in items:
        parts = _said(item)
        if parts is not None:
            said += parts
            continue
        _end_turn(said, messages)
        messages.append(_told(item, path))
    _end_turn(said, messages)
    return tuple(messages)


def _end_turn(said: list[Part], messages: list[Message]) -> None:
    if said:
        messages.append(Message(role=Role.ASSISTANT, parts=tuple(said)))
        said.clear()


def _said(item: Item) -> list[Part] | None:
    """The parts of an item of the model's; None for what it was told."""
    match item:
        case {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}:
            return [ToolCall(call_id=call_id, name=name, arguments=arguments)]
        case {"type": "reasoning"}:
            parts = item.get("content") or item.get("summary") or ()
            text = "".join(part["text"] for part in parts)
            return [Reasoning(text=text)] if text else []
        case {"type": "message", "role": "assistant", "content": content}:
            texts = (part.get("text") or part.get("refusal") or "" for part in content)
            return [Text(text=text) for text in texts if text]
        case _:
            return None


def _told(item: Item, path: str) -> Message:
    if item["type"] == "function_call_output":
        output = item["output"]
        text = output if isinstance(output, str) else "".join(part["text"] for part in output)
        return Message(role=Role.TOOL, parts=(ToolResult(call_id=item["call_id"], text=text),))
    parts = [_part(part, f"{path}.content[{i}]") for i, part in enumerate(item["content"])]
    return Message(role=Role(item["role"]), parts=tuple(parts))


def _part(part: Item, path: str) -> Part:
    match part["type"]:
        case "input_image" if part["image_url"] is None:
            return stored_media(part["file_id"], MediaKind.IMAGE, f"{path}.file_id")
        case "input_image":
            return media_from(part["image_url"], MediaKind.IMAGE, f"{path}.image_url")
        case "input_audio":
            data = part["input_audio"]["data"]
            return media_from(data, MediaKind.AUDIO, f"{path}.input_audio.data")
        case "input_file":
            fields = {name: part.get(name) for name in ("file_data", "file_id", "file_url")}
            return document_from(path, fields, title=part.get("filename"))
        case _:
            return Text(text=part["text"])

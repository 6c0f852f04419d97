"""The conversation of a request as domain messages."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import assert_never

from localai.dialects.anthropic.blocks import shown, tool_result
from localai.dialects.anthropic.requests import (
    ContentBlock,
    DocumentBlock,
    ImageBlock,
    PromptBody,
    RedactedThinkingBlock,
    SearchResultBlock,
    ShownBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Turn,
)
from localai.dialects.json_body import json_object
from localai.domain.errors import InvalidRequest
from localai.domain.parts import Message, Part, Reasoning, Role, Text, ToolCall

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}

# The one role that may have these blocks.
_OWN_BLOCKS: dict[type[ContentBlock], str] = {
    ThinkingBlock: "assistant",
    RedactedThinkingBlock: "assistant",
    ToolUseBlock: "assistant",
    ToolResultBlock: "user",
}


def conversation(body: PromptBody) -> tuple[Message, ...]:
    """Every message, in order. Raises RequestError whose `param` is the block's path.

    Turns of one role in a row are one turn, as Anthropic says. Results of tools come before what
    the user says beside them.
    """
    if not body.messages:
        raise InvalidRequest("messages is empty; send at least one message.", param="messages")
    messages = list(_turns(body.messages))
    if messages and not messages[-1].parts:  # nothing to go on from
        messages.pop()
    if not messages:
        message = "messages[0].content is empty; send text."
        raise InvalidRequest(message, param="messages[0].content")
    return (*_system(body.system), *messages)


def _system(system: str | list[TextBlock] | None) -> tuple[Message, ...]:
    texts = [system] if isinstance(system, str) else [block.text for block in system or ()]
    parts = tuple(Text(text=text) for text in texts if text)
    return (Message(role=Role.SYSTEM, parts=parts),) if parts else ()


def _turns(turns: list[Turn]) -> Iterator[Message]:
    for _, group in groupby(enumerate(turns), key=_speaker):
        results: list[Message] = []
        parts: list[Part] = []
        for i, turn in group:
            role = _role(turn, f"messages[{i}]")
            for said in _said(turn, f"messages[{i}].content"):
                if isinstance(said, Message):
                    results.append(said)
                else:
                    parts.append(said)
        yield from results
        if parts or not results:
            yield Message(role=role, parts=tuple(parts))


def _speaker(place: tuple[int, Turn]) -> tuple[str, int]:
    """What turns have in common that are one; instructions stay apart."""
    number, turn = place
    return turn.role, number if turn.role == "system" else 0


def _role(turn: Turn, path: str) -> Role:
    role = _ROLES.get(turn.role)
    if role is None:
        message = f"{path}.role is {turn.role[:40]!r}; it must be user, assistant or system."
        raise InvalidRequest(message, param=f"{path}.role")
    return role


def _said(turn: Turn, path: str) -> Iterator[Part | Message]:
    """The parts of a turn, and a message for each result of a tool."""
    if not turn.content and turn.role != "assistant":  # whose answers may have been empty
        raise InvalidRequest(f"{path} is empty; send text.", param=path)
    if isinstance(turn.content, str):
        if turn.content:
            yield Text(text=turn.content)
        return
    for i, block in enumerate(turn.content):
        place = f"{path}[{i}]"
        _check_place(block, turn.role, place)
        if isinstance(block, ToolResultBlock):
            yield Message(role=Role.TOOL, parts=tool_result(block, place))
        else:
            yield from _parts(block, place)


def _check_place(block: ContentBlock, role: str, path: str) -> None:
    owner = _OWN_BLOCKS.get(type(block))
    if owner is not None and owner != role:
        kind = block.__struct_config__.tag
        message = f"{path} is a {kind} block, which only a message of role {owner!r} may have."
        raise InvalidRequest(message, param=path)
    if role == "system" and not isinstance(block, TextBlock):
        raise InvalidRequest(f"{path} must be text in a system message.", param=path)


def _parts(
    block: ShownBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock, path: str
) -> tuple[Part, ...]:
    match block:
        case TextBlock() | ImageBlock() | DocumentBlock() | SearchResultBlock():
            return shown(block, path)
        case ThinkingBlock():
            return (Reasoning(text=block.thinking),) if block.thinking else ()
        case RedactedThinkingBlock():
            return ()
        case ToolUseBlock():
            return (_call(block, path),)
        case _:
            assert_never(block)


def _call(block: ToolUseBlock, path: str) -> ToolCall:
    for key, value in (("id", block.id), ("name", block.name)):
        if not value:
            raise InvalidRequest(f"{path}.{key} is empty.", param=f"{path}.{key}")
    arguments = json_object(block.input, f"{path}.input") or "{}"
    return ToolCall(call_id=block.id, name=block.name, arguments=arguments)

"""Tools and how free the model is to call them."""

from __future__ import annotations

from typing import Any

import msgspec

from localai.dialects.json_body import json_object
from localai.dialects.openresponses.requests import ResponsesBody, Tool, ToolChoice
from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.generation import ToolMode, ToolPolicy, ToolSpec

_WORDS = {"auto": ToolMode.AUTO, "none": ToolMode.NONE, "required": ToolMode.REQUIRED}
_LEAVE_OUT = "Leave it out, or give the model a function that does it."


def tools_and_policy(body: ResponsesBody) -> tuple[tuple[ToolSpec, ...], ToolPolicy]:
    """The tools of a request, and which calls are allowed. Raises RequestError."""
    tools: list[ToolSpec] = []
    for i, tool in enumerate(body.tools or ()):
        spec = _spec(tool, f"tools[{i}]")
        if any(spec.name == other.name for other in tools):
            message = f"tools[{i}] is the second tool named {spec.name!r}; names must differ."
            raise InvalidRequest(message, param=f"tools[{i}]")
        tools.append(spec)
    choice = body.tool_choice
    parallel = body.parallel_tool_calls is not False
    name = None
    match choice:
        case None:
            mode = ToolMode.AUTO
        case str():
            mode = _mode(choice, "tool_choice")
        case ToolChoice(type="allowed_tools"):
            mode = _mode(choice.mode, "tool_choice.mode")
            allowed = [_named(one.name, tools) for one in choice.tools or ()]
            tools = [tool for tool in tools if tool.name in allowed]
        case ToolChoice(type="function"):
            mode, name = ToolMode.NAMED, _named(choice.name, tools)
        case _:
            raise _no_choice(choice)
    if mode is ToolMode.REQUIRED and not tools:
        message = "tool_choice asks for a tool call, and there are no tools."
        raise InvalidRequest(message, param="tool_choice")
    return tuple(tools), ToolPolicy(mode=mode, name=name, parallel=parallel)


def echoed_tools(body: ResponsesBody) -> list[dict[str, Any]]:
    """The tools as the response repeats them."""
    return [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": msgspec.json.decode(tool.parameters),
            "strict": bool(tool.strict),
        }
        for tool in body.tools or ()
    ]


def echoed_choice(choice: str | ToolChoice | None) -> Any:
    """The tool choice as the response repeats it."""
    match choice:
        case None:
            return "auto"
        case ToolChoice(type="allowed_tools"):
            tools = [{"type": "function", "name": tool.name} for tool in choice.tools or ()]
            return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}
        case ToolChoice():
            return {"type": "function", "name": choice.name}
        case word:
            return word


def _spec(tool: Tool, path: str) -> ToolSpec:
    if tool.type != "function":
        message = f"Tools of type {tool.type[:40]!r} are not supported; only functions are."
        raise Unsupported(message, feature="tools", param=f"{path}.type", hint=_LEAVE_OUT)
    if not tool.name:
        hint = "Here a tool is flat: {type, name, parameters}." if tool.name is None else ""
        raise InvalidRequest(f"{path}.name is missing.", param=f"{path}.name", hint=hint)
    return ToolSpec(
        name=tool.name,
        description=tool.description or "",
        parameters=json_object(tool.parameters, f"{path}.parameters") or "{}",
        param=f"{path}.parameters",
        strict=bool(tool.strict),
    )


def _mode(word: str, param: str) -> ToolMode:
    mode = _WORDS.get(word)
    if mode is None:
        message = f"{param} is {word[:40]!r}; it must be auto, none or required."
        raise InvalidRequest(message, param=param)
    return mode


def _no_choice(choice: ToolChoice) -> Unsupported:
    message = (
        f"A tool_choice of type {choice.type[:40]!r} is not supported; "
        "it may be function or allowed_tools."
    )
    return Unsupported(message, feature="tool_choice", param="tool_choice.type")


def _named(name: str | None, tools: list[ToolSpec]) -> str:
    for tool in tools:
        if tool.name == name:
            return tool.name
    if not name:
        raise InvalidRequest("tool_choice names no tool.", param="tool_choice")
    known = ", ".join(tool.name for tool in tools[:8]) or "none"
    message = f"tool_choice names the tool {name[:80]!r}, which is not among the tools ({known})."
    raise InvalidRequest(message, param="tool_choice")

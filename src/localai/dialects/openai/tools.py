"""Tools and how free the model is to call them."""

from __future__ import annotations

from typing import Final

import msgspec

from localai.dialects.fields import refuse_twins
from localai.dialects.json_body import json_object
from localai.dialects.openai.requests import (
    AllowedTools,
    ChatBody,
    FunctionSpec,
    NamedFunction,
    Tool,
    ToolChoice,
)
from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.generation import ToolMode, ToolPolicy, ToolSpec

_WORDS = {
    "auto": ToolMode.AUTO,
    "none": ToolMode.NONE,
    "required": ToolMode.REQUIRED,
    "any": ToolMode.REQUIRED,  # other servers' word for it
}
_SEVERAL: Final = ToolPolicy()
_ONE: Final = ToolPolicy(parallel=False)
_choice_decoder = msgspec.json.Decoder(ToolChoice)


def tools_and_policy(body: ChatBody) -> tuple[tuple[ToolSpec, ...], ToolPolicy]:
    """The tools of a request, and which calls are allowed. Raises RequestError."""
    if body.functions is None and not body.tools and body.tool_choice is None:
        return (), _SEVERAL if body.parallel_tool_calls is not False else _ONE
    if body.functions is not None and body.tools is not None:
        message = "tools and functions are the same thing; send only tools."
        raise InvalidRequest(message, param="functions")
    if body.functions is not None:
        return _older_form(body)
    tools = tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(body.tools or ()))
    refuse_twins(tools, "tools")
    choice = _choice(body.tool_choice)
    if isinstance(choice, AllowedTools):
        tools = _only(choice, tools)
        choice = _mode(choice.mode, "tool_choice.allowed_tools.mode")
    parallel = body.parallel_tool_calls is not False
    return tools, _policy(choice, tools, "tool_choice", parallel=parallel)


def _older_form(body: ChatBody) -> tuple[tuple[ToolSpec, ...], ToolPolicy]:
    functions = body.functions or ()
    tools = tuple(_spec(one, f"functions[{i}]") for i, one in enumerate(functions))
    refuse_twins(tools, "functions")
    choice: ToolMode | str
    match body.function_call:
        case None:
            choice = ToolMode.AUTO
        case NamedFunction(name=name):
            choice = name
        case word:
            choice = _mode(word, "function_call")
    return tools, _policy(choice, tools, "function_call", parallel=False)


def _tool(tool: Tool, path: str) -> ToolSpec:
    if tool.type != "function":
        message = f"Tools of type {tool.type[:40]!r} are not supported; only functions are."
        raise Unsupported(message, feature="tools", param=f"{path}.type")
    if tool.function is None:
        raise InvalidRequest(f"{path}.function is missing.", param=f"{path}.function")
    return _spec(tool.function, f"{path}.function")


def _spec(function: FunctionSpec, path: str) -> ToolSpec:
    if not function.name:
        raise InvalidRequest(f"{path}.name is empty; it must be a name.", param=f"{path}.name")
    return ToolSpec(
        name=function.name,
        description=function.description or "",
        parameters=json_object(function.parameters, f"{path}.parameters") or "{}",
        param=f"{path}.parameters",
        strict=bool(function.strict),
    )


def _choice(choice: str | ToolChoice | None) -> ToolMode | str | AllowedTools:
    """A mode, the name of the one tool to call, or some of the tools."""
    if choice is None:
        return ToolMode.AUTO
    if isinstance(choice, str):
        if not choice.lstrip().startswith("{"):
            return _mode(choice, "tool_choice")
        choice = _choice_in_text(choice)
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        return choice.allowed_tools
    name = choice.function.name if choice.function is not None else choice.name
    if choice.type == "function" and name:
        return name
    message = "tool_choice must be auto, none, required, or {type: function, function: {name}}."
    raise InvalidRequest(message, param="tool_choice")


def _choice_in_text(text: str) -> ToolChoice:
    """Some clients send the object as a JSON text."""
    try:
        return _choice_decoder.decode(text)
    except (msgspec.DecodeError, RecursionError):
        message = "tool_choice holds a text that is no tool choice."
        raise InvalidRequest(message, param="tool_choice") from None


def _mode(word: str, param: str) -> ToolMode:
    mode = _WORDS.get(word)
    if mode is None:
        message = f"{param} is {word[:40]!r}; it must be auto, none or required."
        raise InvalidRequest(message, param=param)
    return mode


def _only(allowed: AllowedTools, tools: tuple[ToolSpec, ...]) -> tuple[ToolSpec, ...]:
    names = [tool.function.name for tool in allowed.tools if tool.function is not None]
    for name in names:
        _check_named(name, tools, "tool_choice")
    return tuple(tool for tool in tools if tool.name in names)


def _policy(
    choice: ToolMode | str, tools: tuple[ToolSpec, ...], param: str, *, parallel: bool
) -> ToolPolicy:
    if not isinstance(choice, ToolMode):
        _check_named(choice, tools, param)
        return ToolPolicy(mode=ToolMode.NAMED, name=choice, parallel=parallel)
    if choice is ToolMode.REQUIRED and not tools:
        raise InvalidRequest(f"{param} asks for a tool call, and there are no tools.", param=param)
    return ToolPolicy(mode=choice, parallel=parallel)


def _check_named(name: str, tools: tuple[ToolSpec, ...], param: str) -> None:
    if all(tool.name != name for tool in tools):
        known = ", ".join(tool.name for tool in tools[:8]) or "none"
        message = f"{param} names the tool {name[:80]!r}, which is not among the tools ({known})."
        raise InvalidRequest(message, param=param)

"""Tools and how free the model is to call them."""

from __future__ import annotations

from localai.dialects.anthropic.requests import PromptBody, Tool, ToolChoice
from localai.dialects.fields import refuse_twins
from localai.dialects.json_body import json_object
from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.generation import ToolMode, ToolPolicy, ToolSpec

_MODES = {
    "auto": ToolMode.AUTO,
    "any": ToolMode.REQUIRED,
    "tool": ToolMode.NAMED,
    "none": ToolMode.NONE,
}


def tools_and_policy(body: PromptBody) -> tuple[tuple[ToolSpec, ...], ToolPolicy]:
    """The tools of a request, and which calls are allowed. Raises RequestError."""
    tools = tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(body.tools or ()))
    refuse_twins(tools, "tools", ".name")
    choice = body.tool_choice
    if choice is None:
        return tools, ToolPolicy()
    if isinstance(choice, str):
        choice, param = ToolChoice(type=choice), "tool_choice"
    else:
        param = "tool_choice.type"
    mode = _MODES.get(choice.type)
    if mode is None:
        message = f"{param} is {choice.type[:40]!r}; it must be auto, any, tool or none."
        raise InvalidRequest(message, param=param)
    if mode is ToolMode.REQUIRED and not tools:
        raise InvalidRequest(f"{param} asks for a tool call, and there are no tools.", param=param)
    name = _named(choice, tools) if mode is ToolMode.NAMED else None
    return tools, ToolPolicy(mode=mode, name=name, parallel=not choice.disable_parallel_tool_use)


def _tool(tool: Tool, path: str) -> ToolSpec:
    if tool.type not in {None, "custom"}:
        message = f"{path} is {tool.type!r}, a tool of Anthropic's own, which is not supported."
        hint = "Send tools with a name and an input_schema."
        raise Unsupported(message, feature=str(tool.type), param=f"{path}.type", hint=hint)
    if not tool.name:
        raise InvalidRequest(f"{path}.name is missing.", param=f"{path}.name")
    schema = json_object(tool.input_schema, f"{path}.input_schema")
    if schema is None:
        param = f"{path}.input_schema"
        raise InvalidRequest(f"{param} is missing.", param=param)
    return ToolSpec(
        name=tool.name,
        description=tool.description or "",
        parameters=schema,
        strict=bool(tool.strict),
        param=f"{path}.input_schema",
    )


def _named(choice: ToolChoice, tools: tuple[ToolSpec, ...]) -> str:
    param = "tool_choice.name"
    if not choice.name:
        message = f"{param} is missing; it must be the name of the tool to call."
        raise InvalidRequest(message, param=param)
    if all(tool.name != choice.name for tool in tools):
        known = ", ".join(tool.name for tool in tools[:8]) or "none"
        message = f"{param} is {choice.name[:80]!r}, which is not among the tools ({known})."
        raise InvalidRequest(message, param=param)
    return choice.name

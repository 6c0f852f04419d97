"""The tools of a request, and the arguments of calls in both directions."""

from __future__ import annotations

from typing import Any

import msgspec

from localai.dialects.fields import refuse_twins
from localai.dialects.json_body import json_object
from localai.dialects.ollama.requests import FunctionSpec, Tool
from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.generation import ToolSpec

UNREADABLE_ARGUMENTS = "_raw"


def tool_specs(tools: list[Tool] | None) -> tuple[ToolSpec, ...]:
    """Every tool, in order. Raises RequestError whose `param` is the tool's path."""
    specs = tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(tools or ()))
    refuse_twins(specs, "tools")
    return specs


def arguments_text(raw: msgspec.Raw, param: str) -> str:
    """The arguments of a call in the history, as JSON text. Raises InvalidRequest.

    Ollama's clients send an object; those written for OpenAI's API send it as a text.
    """
    if not bytes(raw).startswith(b'"'):
        return json_object(raw, param) or "{}"
    inner = msgspec.json.decode(raw, type=str)
    return json_object(msgspec.Raw(inner.strip().encode() or b"{}"), param) or "{}"


def arguments_object(arguments: str) -> Any:
    """A call's arguments as the model wrote them, as an object, numbers unchanged.

    What is not a JSON object, such as a call that was cut off, is kept under one key: a guess at
    the rest would look like a call that the model meant, and an empty object would run it with
    every default.
    """
    if not arguments.strip():
        return {}
    try:
        is_object = isinstance(msgspec.json.decode(arguments), dict)
    except (msgspec.DecodeError, RecursionError):
        is_object = False
    if not is_object:
        return {UNREADABLE_ARGUMENTS: arguments}
    return msgspec.Raw(msgspec.json.format(arguments.encode(), indent=-1))  # on one line


def _tool(tool: Tool, path: str) -> ToolSpec:
    if tool.type not in (None, "", "function"):
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
    )

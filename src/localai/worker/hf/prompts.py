"""Conversations as the tokenizer's own template wants them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import TemplateError

from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.generation import Chat, Completion, GenerationRequest, ToolMode
from localai.domain.parts import Media, Message, Reasoning, Role, Text, ToolCall, ToolResult
from localai.worker.tool_use import ToolUse

if TYPE_CHECKING:
    from collections.abc import Sequence

_KWARGS = "chat_template_kwargs"  # in engine_options, as JSON text


def render(request: GenerationRequest, tokenizer: Any, use: ToolUse) -> list[int]:
    """The prompt's token ids. Raises RequestError for what the model has no form for."""
    prompt = request.prompt
    if isinstance(prompt, Completion):
        return _completion(prompt, tokenizer)
    assert isinstance(prompt, Chat)
    if not getattr(tokenizer, "chat_template", None):
        raise Unsupported(
            "This model has no chat template.",
            feature="chat",
            param="messages",
            hint="Use /v1/completions, or give its model file templates: `template.chat_message`.",
        )
    tools = [] if request.tool_policy.mode is ToolMode.NONE else list(request.tools)
    messages = prompt.messages
    if not knows_tools(tokenizer):
        told = use.told(request).prompt
        assert isinstance(told, Chat)
        messages, tools = told.messages, []
    turns = [turn for message in messages for turn in _turns(message)]
    goes_on = bool(turns) and turns[-1]["role"] == "assistant" and "tool_calls" not in turns[-1]
    try:
        encoded = tokenizer.apply_chat_template(
            turns,
            tools=[_tool(tool) for tool in tools] or None,
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
            return_dict=True,
            **_variables(request),
        )
    except (TemplateError, ValueError, TypeError, KeyError) as error:
        raise InvalidRequest(
            f"The model's chat template refuses this conversation: {error}", param="messages"
        ) from error
    ids: list[int] = encoded["input_ids"]
    return ids


def knows_tools(tokenizer: Any) -> bool:
    """Whether the template has a form for tools."""
    template = getattr(tokenizer, "chat_template", None)
    texts = template.values() if isinstance(template, dict) else [template or ""]
    return any("tools" in text for text in texts)


def _completion(prompt: Completion, tokenizer: Any) -> list[int]:
    if prompt.suffix is not None:
        raise Unsupported("This engine fills no gaps.", feature="suffix", param="suffix")
    if prompt.token_ids is not None:
        least, most = min(prompt.token_ids, default=0), max(prompt.token_ids, default=0)
        if least < 0 or most >= len(tokenizer):
            wrong = least if least < 0 else most
            message = f"{wrong} is no token of this model; it has 0 to {len(tokenizer) - 1}."
            raise InvalidRequest(message, param="prompt")
        return list(prompt.token_ids)
    ids: list[int] = tokenizer(prompt.text)["input_ids"]
    return ids


def _variables(request: GenerationRequest) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(request.engine_options.get(_KWARGS, "{}"))
    if request.reasoning_effort is not None:
        said.setdefault("enable_thinking", request.reasoning_effort != "none")
        said.setdefault("reasoning_effort", request.reasoning_effort)
    return said


def _tool(tool: Any) -> dict[str, Any]:
    described = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(tool.parameters),
    }
    return {"type": "function", "function": described}


def _turns(message: Message) -> Sequence[dict[str, Any]]:
    """One message as the dictionaries that templates read; each tool's result is its own."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    if results:
        return [
            {"role": "tool", "content": part.text, "tool_call_id": part.call_id} for part in results
        ]
    if any(isinstance(part, Media) for part in message.parts):
        raise Unsupported("This model reads text only.", feature="media", param="messages")
    role = Role.SYSTEM if message.role is Role.DEVELOPER else message.role
    turn: dict[str, Any] = {
        "role": role.value,
        "content": "".join(part.text for part in message.parts if isinstance(part, Text)),
    }
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    if calls:
        turn["tool_calls"] = [
            {
                "type": "function",
                "id": call.call_id,
                "function": {"name": call.name, "arguments": json.loads(call.arguments or "{}")},
            }
            for call in calls
        ]
    thought = "".join(part.text for part in message.parts if isinstance(part, Reasoning))
    if thought:
        turn["reasoning_content"] = thought
    return [turn]

"""What a body asks for, as a domain request."""

from __future__ import annotations

from dataclasses import replace

from localai.dialects.anthropic.conversation import conversation
from localai.dialects.anthropic.requests import (
    MOST_STOPS,
    MessagesBody,
    OutputFormat,
    PromptBody,
    Thinking,
)
from localai.dialects.anthropic.tools import tools_and_policy
from localai.dialects.contract import Origin
from localai.dialects.fields import stop_texts
from localai.dialects.json_body import json_object
from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.generation import (
    Chat,
    GenerationRequest,
    JsonSchema,
    PlainText,
    Sampling,
)

EFFORTS = ("low", "medium", "high", "xhigh", "max")
THINKING_TYPES = ("enabled", "disabled", "adaptive", "between_tools")
DISPLAYS = ("summarized", "omitted")
BUDGET_OPTION = "thinking_budget_tokens"

_EFFORT_OF_ENABLED = "medium"


def prompt_request(body: PromptBody, origin: Origin) -> GenerationRequest:
    """A request with everything that decides the prompt. Raises RequestError."""
    if body.mcp_servers:
        message = "mcp_servers is not empty; this API does not call MCP servers."
        raise Unsupported(message, feature="mcp_servers", param="mcp_servers", hint="Leave it out.")
    tools, policy = tools_and_policy(body)
    budget_tokens = _budget_tokens(body.thinking)
    return GenerationRequest(
        model=body.model or "",
        prompt=Chat(messages=conversation(body)),
        tools=tools,
        tool_policy=policy,
        output=_output(body),
        reasoning_effort=_reasoning_effort(body),
        client=origin.client,
        engine_options={} if budget_tokens is None else {BUDGET_OPTION: str(budget_tokens)},
    )


def message_request(body: MessagesBody, origin: Origin) -> GenerationRequest:
    """All of a request. Raises RequestError."""
    if bytes(body.container) != b"null":
        message = "container is set, and this server has no containers to run code in."
        raise Unsupported(message, feature="container", param="container", hint="Leave it out.")
    budget_tokens = _budget_tokens(body.thinking)
    if budget_tokens is not None and budget_tokens >= body.max_tokens:
        param = "thinking.budget_tokens"
        message = f"{param} is {budget_tokens}; it must be less than max_tokens, {body.max_tokens}."
        raise InvalidRequest(message, param=param)
    return replace(
        prompt_request(body, origin),
        sampling=Sampling(temperature=body.temperature, top_k=body.top_k, top_p=body.top_p),
        max_tokens=body.max_tokens,
        stop=stop_texts(body.stop_sequences, "stop_sequences", MOST_STOPS),
        counts_prompt_first=bool(body.stream),
    )


def shows_thinking(body: PromptBody) -> bool:
    """Whether the answer holds the text of what the model thought."""
    return body.thinking is None or body.thinking.display != "omitted"


def _budget_tokens(thinking: Thinking | None) -> int | None:
    if thinking is None:
        return None
    _check_word(thinking.type, THINKING_TYPES, "thinking.type")
    if thinking.display is not None:
        _check_word(thinking.display, DISPLAYS, "thinking.display")
    if thinking.type != "enabled":
        return None
    if thinking.budget_tokens is None:
        param = "thinking.budget_tokens"
        raise InvalidRequest(f"{param} is missing.", param=param)
    return thinking.budget_tokens


def _reasoning_effort(body: PromptBody) -> str | None:
    effort = None if body.output_config is None else body.output_config.effort
    if effort is not None:
        _check_word(effort, EFFORTS, "output_config.effort")
    match None if body.thinking is None else body.thinking.type:
        case "disabled":
            return "none"
        case "enabled":
            return effort or _EFFORT_OF_ENABLED
        case _:
            return effort


def _output(body: PromptBody) -> JsonSchema | PlainText:
    param = "output_config.format"
    form = None if body.output_config is None else body.output_config.format
    if body.output_format is not None:
        if form is not None:
            message = "output_format is the older place of output_config.format; send one of them."
            raise InvalidRequest(message, param="output_format")
        param, form = "output_format", body.output_format
    return PlainText() if form is None else _json_schema(form, param)


def _json_schema(form: OutputFormat, param: str) -> JsonSchema:
    _check_word(form.type, ("json_schema",), f"{param}.type")
    schema = json_object(form.schema, f"{param}.schema")
    if schema is None:
        raise InvalidRequest(f"{param}.schema is missing.", param=f"{param}.schema")
    return JsonSchema(schema=schema, param=f"{param}.schema")


def _check_word(word: str, allowed: tuple[str, ...], param: str) -> None:
    if word not in allowed:
        *most, last = allowed
        words = f"{', '.join(most)} or {last}" if most else last
        raise InvalidRequest(f"{param} is {word[:40]!r}; it must be {words}.", param=param)

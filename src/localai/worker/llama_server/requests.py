"""Domain requests as llama-server bodies."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, assert_never

from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.generation import (
    MEDIA_MARKER,
    Chat,
    Completion,
    GenerationRequest,
    PlainText,
    Sampling,
    ToolMode,
)
from localai.domain.parts import (
    Media,
    MediaKind,
    Message,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from localai.worker.llama_server.one_call import wants_one_call
from localai.worker.llama_server.sound import checked_sound
from localai.worker.llama_server.tool_schemas import engine_tool

PRESERVED = "preserved_tokens"
"""The engine option (a JSON list) that names special tokens which are to be seen in the answer."""

TEMPLATE_FIELDS = ("chat_template_kwargs", "reasoning_effort")
"""The fields of a chat's body that say how its prompt is rendered, besides what it holds."""

_SAMPLING = tuple(field.name for field in fields(Sampling))
_SHORT_PROMPT = 2048  # characters; never many more tokens
_MAX_UINT32 = 0xFFFFFFFF
# Only what is read back: the full last message repeats the prompt and every setting.
_FIELDS = [
    "content",
    "index",
    "stop",
    "stop_type",
    "stopping_word",
    "tokens_predicted",
    "tokens_evaluated",
    "timings",
]


def matches_stops_itself(request: GenerationRequest) -> bool:
    """Whether this side must look for the stop sequences.

    While llama-server holds text back in case a stop sequence follows, it leaves out the log
    probabilities of those tokens, and it counts a stop sequence's tokens by tokenizing it anew.
    """
    return bool(request.stop) and request.logprobs is not None


def is_cut_short(request: GenerationRequest) -> bool:
    """Whether this side may end the engine's work, and has to know how far it was then."""
    return matches_stops_itself(request) or wants_one_call(request)


def sampling_body(sampling: Sampling) -> dict[str, Any]:
    """The sampling fields that are set; llama-server uses the same names."""
    body: dict[str, Any] = {}
    for name in _SAMPLING:
        value = getattr(sampling, name)
        if value is not None:
            body[name] = value
    if sampling.logit_bias is not None:
        body["logit_bias"] = [[token_id, bias] for token_id, bias in sampling.logit_bias.items()]
    if sampling.seed is not None:
        body["seed"] = sampling.seed % _MAX_UINT32  # the largest value means "random" to llama.cpp
    return body


def bound_look_back(body: dict[str, Any], context_size: int) -> None:
    """Let the penalties look back at most the whole context; -1, which means that, included.

    llama-server takes no -1, and allocates as many places as it is told: gigabytes, if asked.
    """
    for name in ("repeat_last_n", "dry_penalty_last_n"):
        asked = body.get(name)
        if asked is not None:
            body[name] = context_size if asked < 0 else min(asked, context_size)


def _common_body(request: GenerationRequest) -> dict[str, Any]:
    body = sampling_body(request.sampling)
    body["stream"] = body["cache_prompt"] = True
    if request.max_tokens is not None:
        body["n_predict"] = request.max_tokens
    is_cut = is_cut_short(request)
    if is_cut:
        body["timings_per_token"] = True  # the only count of tokens in a stream that is cut short
    if is_cut or request.counts_prompt_first or _takes_a_while(request):
        body["return_progress"] = True  # which costs a wake-up or two before the first token
    if request.stop and not matches_stops_itself(request):
        body["stop"] = list(request.stop)
    if request.choices > 1:
        body["n_cmpl"] = request.choices
    return body


def _takes_a_while(request: GenerationRequest) -> bool:
    """Whether the prompt may be so long that somebody waits for a sign of life."""
    prompt = request.prompt
    if request.tools:
        return True
    if isinstance(prompt, Completion):
        size = len(prompt.text or "") + len(prompt.token_ids or ())
        return size > _SHORT_PROMPT or bool(prompt.media)
    if not isinstance(prompt, Chat):
        return True
    size = 0
    for message in prompt.messages:
        for part in message.parts:
            if not isinstance(part, Text):
                return True
            size += len(part.text)
    return size > _SHORT_PROMPT


def chat_body(request: GenerationRequest, messages: tuple[Message, ...]) -> dict[str, Any]:
    """A body for `/v1/chat/completions`."""
    body = _common_body(request)
    body["messages"] = [_message(message) for message in _with_one_last_turn(messages)]
    body["stream_options"] = {"include_usage": True}
    if "stop" in body:
        body["verbose"] = True  # only this says which stop sequence ended a chat
    if request.logprobs is not None:
        body["logprobs"] = True
        body["top_logprobs"] = max(1, request.logprobs)  # 0 would switch them off
    _add_tools(body, request)
    _add_reasoning(body, request)
    return body


def completion_body(
    request: GenerationRequest,
    prompt: Completion,
    *,
    shown: Sequence[str] = (),
    marker: str = MEDIA_MARKER,
) -> dict[str, Any]:
    """A body for `/completion`, or for `/infill` when the prompt has a suffix.

    `shown` are control tokens that shall stand in the text when the model says them; `marker` is
    what the server wants where the prompt's media belong.
    """
    body = _common_body(request)
    preserved = [*shown, *json.loads(request.engine_options.get(PRESERVED, "[]"))]
    if preserved:
        body[PRESERVED] = preserved
    body["response_fields"] = _FIELDS
    if prompt.suffix is not None:
        body |= {"input_prefix": prompt.text or "", "input_suffix": prompt.suffix, "prompt": ""}
    elif prompt.media:
        text = (prompt.text or "").replace(MEDIA_MARKER, marker)
        data = [base64.b64encode(_checked(part)).decode() for part in prompt.media]
        body["prompt"] = {"prompt_string": text, "multimodal_data": data}
    else:
        body["prompt"] = (
            list(prompt.token_ids) if prompt.token_ids is not None else prompt.text or ""
        )
    if request.logprobs is not None:
        body["n_probs"] = max(1, request.logprobs)
    return body


def _add_reasoning(body: dict[str, Any], request: GenerationRequest) -> None:
    """How much to think, in the words that templates and llama.cpp understand."""
    values: dict[str, Any] = {}
    effort = request.reasoning_effort
    if effort is not None:
        body["reasoning_effort"] = effort
        values["enable_thinking"] = effort != "none"
    given = request.engine_options.get("chat_template_kwargs")
    if given is not None:
        values |= _template_values(given)
    if values:
        body["chat_template_kwargs"] = values
    budget = request.engine_options.get("thinking_budget_tokens")
    if budget is not None:
        body["reasoning_budget_tokens"] = int(budget)


def _template_values(text: str) -> dict[str, Any]:
    values = json.loads(text)
    if not isinstance(values, dict):
        raise InvalidRequest(
            "chat_template_kwargs must be an object of names and values.",
            param="chat_template_kwargs",
        )
    return values


def _add_tools(body: dict[str, Any], request: GenerationRequest) -> None:
    policy = request.tool_policy
    if not request.tools or policy.mode is ToolMode.NONE:
        return
    if request.logprobs is not None:
        raise Unsupported(
            "llama.cpp gives no log probabilities where this model may call tools.",
            feature="logprobs",
            param="logprobs",
            hint="Leave out logprobs or the tools, or send tool_choice none.",
        )
    offered = [
        tool
        for tool in request.tools
        if policy.mode is not ToolMode.NAMED or tool.name == policy.name
    ]
    body["tools"] = [engine_tool(tool, policy) for tool in offered]
    if not isinstance(request.output, PlainText):
        body["tool_choice"] = "none"  # the prompt shows the tools; the answer obeys its grammar
        return
    body["tool_choice"] = "auto" if policy.mode is ToolMode.AUTO else "required"
    body["parallel_tool_calls"] = policy.parallel


def _with_one_last_turn(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Put the model's messages at the end together: llama-server goes on from one, not from two."""
    if not messages or messages[-1].role is not Role.ASSISTANT:
        return messages
    turns = list(messages)
    while [turn.role for turn in turns[-2:]] == [Role.ASSISTANT, Role.ASSISTANT]:
        last, before = turns.pop(), turns.pop()
        parts = (*before.parts, Text(text="\n\n"), *last.parts)
        turns.append(replace(before, parts=parts))
    return tuple(turns)


def _message(message: Message) -> dict[str, Any]:
    role = (
        Role.SYSTEM if message.role is Role.DEVELOPER else message.role
    )  # templates do not know developers
    spelled: dict[str, Any] = {"role": role}
    if message.name is not None:
        spelled["name"] = message.name
    if len(message.parts) == 1 and type(message.parts[0]) is Text:  # most are
        spelled["content"] = message.parts[0].text
        return spelled
    contents: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    reasoning: list[str] = []
    for part in message.parts:
        match part:
            case Text():
                contents.append({"type": "text", "text": part.text})
            case Reasoning():
                reasoning.append(part.text)
            case ToolCall():
                function = {"name": part.name, "arguments": part.arguments}
                calls.append({"id": part.call_id, "type": "function", "function": function})
            case ToolResult():
                spelled["tool_call_id"] = part.call_id
                contents.append({"type": "text", "text": part.text})
            case Media():
                contents.append(_media(part))
            case _:
                assert_never(part)
    if calls:
        spelled["tool_calls"] = calls
    if reasoning:
        spelled["reasoning_content"] = "".join(reasoning)
    if all(item["type"] == "text" for item in contents):
        spelled["content"] = "".join(item["text"] for item in contents)
    else:
        spelled["content"] = contents
    return spelled


def _media(part: Media) -> dict[str, Any]:
    data = base64.b64encode(_checked(part)).decode()
    if part.kind is MediaKind.IMAGE:
        return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{data}"}}
    form = "mp3" if "mp3" in part.media_type or "mpeg" in part.media_type else "wav"
    return {"type": "input_audio", "input_audio": {"data": data, "format": form}}


def _checked(part: Media) -> bytes:
    """The bytes of an image or sound that llama.cpp takes."""
    match part.kind:
        case MediaKind.IMAGE:
            return part.data
        case MediaKind.AUDIO:
            return checked_sound(part.data)
        case other:
            message = f"llama.cpp takes images and sound, not {other.value}."
            raise InvalidRequest(message, param="messages")

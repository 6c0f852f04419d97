"""POST /v1/chat/completions: the endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from localai.dialects.contract import ErrorReply, Origin
from localai.dialects.fields import NULL, check_limits
from localai.dialects.json_body import json_object, read_body
from localai.dialects.openai.chat_answer import ChatStream, ChatWhole
from localai.dialects.openai.errors import error_reply
from localai.dialects.openai.generation import generation_request, token_logprobs
from localai.dialects.openai.messages import conversation
from localai.dialects.openai.requests import ChatBody
from localai.dialects.openai.spelling import Spelling, spelling
from localai.dialects.openai.tools import tools_and_policy
from localai.domain.errors import InvalidRequest, LocalAIError, Unsupported
from localai.domain.generation import METADATA_OPTION, Chat, GenerationRequest

REASONING_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_THINKING_SWITCHES: Final = ("enable_thinking", "preserve_thinking")
_SWITCHES: Final = {"true": True, "false": False}

_decoder = msgspec.json.Decoder(ChatBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCall:
    """A decoded chat call."""

    requests: tuple[GenerationRequest, ...]
    streams: bool
    spelled: Spelling
    older_functions: bool

    def stream_encoder(self, model: str) -> ChatStream:
        """An encoder for a stream."""
        choices = self.requests[0].choices
        return ChatStream(self.spelled, model, choices, older_functions=self.older_functions)

    def whole_encoder(self, model: str) -> ChatWhole:
        """An encoder for a whole answer."""
        has_logprobs = self.requests[0].logprobs is not None
        return ChatWhole(
            self.spelled, model, has_logprobs=has_logprobs, older_functions=self.older_functions
        )


class ChatEndpoint:
    """Chat completions."""

    def decode(self, body: bytes, origin: Origin) -> ChatCall:
        """Read a request body. Raises RequestError with `param`."""
        chat = read_body(_decoder, body)
        options = chat.stream_options
        return ChatCall(
            requests=(_request(chat, origin),),
            streams=bool(chat.stream),
            spelled=spelling(
                "chatcmpl-",
                origin,
                include_usage=options is not None and bool(options.include_usage),
            ),
            older_functions=chat.functions is not None,
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error that came before the first byte of the answer."""
        return error_reply(error)


def _request(chat: ChatBody, origin: Origin) -> GenerationRequest:
    check_limits(chat)
    _refuse_unsupported(chat)
    prompt = Chat(messages=conversation(chat.messages))
    tools, policy = tools_and_policy(chat)
    said = _said(chat.metadata) if chat.metadata else {}
    effort = chat.reasoning_effort or said.get("reasoning_effort") or None
    if effort is not None:
        _check_effort(effort)
    return generation_request(
        chat,
        prompt,
        origin,
        max_tokens=_max_tokens(chat),
        tools=tools,
        tool_policy=policy,
        reasoning_effort=effort,
        logprobs=_logprobs(chat),
        engine_options=_engine_options(chat, said),
    )


def _said(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The metadata as texts."""
    texts = {True: "true", False: "false", None: ""}
    return {
        name: texts[value] if value is None or isinstance(value, bool) else str(value)
        for name, value in metadata.items()
    }


def _engine_options(chat: ChatBody, said: dict[str, str]) -> dict[str, str]:
    """What templates are told; the more exact a field names it, the more it counts."""
    if not said and chat.enable_thinking is None and chat.chat_template_kwargs == NULL:
        return {}
    options = {METADATA_OPTION: msgspec.json.encode(said).decode()} if said else {}
    values: dict[str, Any] = {
        name: _SWITCHES.get(said[name].strip().lower(), said[name])
        for name in _THINKING_SWITCHES
        if said.get(name)
    }
    if chat.enable_thinking is not None:
        values["enable_thinking"] = chat.enable_thinking
    arguments = json_object(chat.chat_template_kwargs, "chat_template_kwargs")
    if values:
        values |= msgspec.json.decode(arguments or "{}")
        arguments = msgspec.json.encode(values).decode()
    if arguments is not None:
        options["chat_template_kwargs"] = arguments
    return options


def _refuse_unsupported(chat: ChatBody) -> None:
    for i, modality in enumerate(chat.modalities or ()):
        if modality != "text":
            message = f"Answers as {modality[:40]} are not supported; modalities may be ['text']."
            raise Unsupported(message, feature=modality, param=f"modalities[{i}]")
    for name in ("audio", "prediction", "web_search_options"):
        if getattr(chat, name) != NULL:
            message = f"{name} is not supported by this version."
            raise Unsupported(message, feature=name, param=name, hint="Leave it out.")


def _max_tokens(chat: ChatBody) -> int | None:
    name, most = "max_completion_tokens", chat.max_completion_tokens
    if most is None:
        name, most = "max_tokens", chat.max_tokens
    if most == 0:
        message = f"{name} is 0; it must be 1 or more, or -1 for no limit."
        raise InvalidRequest(message, param=name)
    return None if most == -1 else most


def _check_effort(effort: str) -> None:
    if effort not in REASONING_EFFORTS:
        allowed = ", ".join(REASONING_EFFORTS)
        message = f"reasoning_effort is {effort[:40]!r}; it must be one of {allowed}."
        raise InvalidRequest(message, param="reasoning_effort")


def _logprobs(chat: ChatBody) -> int | None:
    if chat.logprobs is None and chat.top_logprobs is None:
        return None
    asked = token_logprobs(chat.logprobs, zero=None)
    if chat.top_logprobs is None:
        return asked
    if asked is None and chat.top_logprobs > 0:
        message = "top_logprobs needs logprobs to be true."
        raise InvalidRequest(message, param="top_logprobs")
    return asked if asked is None else chat.top_logprobs

"""POST /v1/messages and POST /v1/messages/count_tokens: the endpoints."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from localai.dialects.anthropic.answer import MessageStream, MessageWhole, Spelling
from localai.dialects.anthropic.bodies import read_body
from localai.dialects.anthropic.errors import error_reply
from localai.dialects.anthropic.generation import message_request, prompt_request, shows_thinking
from localai.dialects.anthropic.requests import MessagesBody, PromptBody
from localai.dialects.contract import ErrorReply, Origin
from localai.domain.errors import LocalAIError
from localai.domain.generation import GenerationRequest
from localai.domain.tasks import Task
from localai.domain.vectors import TokenCount

_message_decoder = msgspec.json.Decoder(MessagesBody)
_prompt_decoder = msgspec.json.Decoder(PromptBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesCall:
    """A decoded call: one request with one choice."""

    requests: tuple[GenerationRequest, ...]
    streams: bool
    spelled: Spelling

    def stream_encoder(self, model: str) -> MessageStream:
        """An encoder for a stream."""
        return MessageStream(self.spelled, model)

    def whole_encoder(self, model: str) -> MessageWhole:
        """An encoder for a whole answer."""
        return MessageWhole(self.spelled, model)


class MessagesEndpoint:
    """Answers to conversations."""

    def decode(self, body: bytes, origin: Origin) -> MessagesCall:
        """Read a request body. Raises RequestError with `param`."""
        message = read_body(_message_decoder, body)
        request = message_request(message, origin)
        return MessagesCall(
            requests=(request,),
            streams=bool(message.stream),
            spelled=Spelling(
                answer_id=origin.answer_id,
                stops=request.stop,
                shows_thinking=shows_thinking(message),
                with_timings=origin.with_timings,
            ),
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error that came before the first byte of the answer."""
        return error_reply(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountTokensCall:
    """A decoded call: the request whose prompt is to be counted."""

    request: GenerationRequest
    task: Task = Task.COUNT

    @property
    def model(self) -> str:
        """The model as named by the caller, perhaps empty."""
        return self.request.model

    def encode(self, result: TokenCount, model: str) -> bytes:  # noqa: ARG002 - it is not shown
        """The response body."""
        return msgspec.json.encode({"input_tokens": result.prompt_tokens})


class CountTokensEndpoint:
    """How many tokens a conversation is, with its system prompt and its tools."""

    def decode(self, body: bytes, origin: Origin) -> CountTokensCall:
        """Read a request body. Raises RequestError with `param`."""
        return CountTokensCall(request=prompt_request(read_body(_prompt_decoder, body), origin))

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        return error_reply(error)
